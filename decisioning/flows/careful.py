"""A text of the catalogue in; whether it belongs to what is never told to a customer, out.

Kinds: those of Regulation (EU) 2016/679, Article 9 (1), with alcohol, tobacco, drugs, gambling, weapons, weight and
debt. Stems are English, German, French, Spanish, Italian and Dutch, without accents. No list is ever whole: it may
leave out too much, and shops add their own words (`CAREFUL_WORDS`) or tell no values at all (`TELL_VALUES`).
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

# Found anywhere in a word, as German and Dutch join words and medicine puts Greek before them.
ANYWHERE: Final = """
    health gesund gezond salud salute sante medic medik medizin arznei geneesmid pharma farma apothe apotek
    drogu droge droga opioid pregnan schwanger zwanger grossesse enceinte embaraz gravidanz incinta fertil
    fruchtbar vruchtbaar ovulation contracept verhut kontrazep anticonce kondom condom preservati durex viagra
    abort avort miscarr menopaus wechseljahr menstru tampon diabet insulin cancer krebs kanker tumor chemo
    depress psych therap antibioti antiviral steroid analges painkill schmerz pijnstil disab behinder handicap
    discapac disabil invalid wheelchair rollstuhl rolstoel illness krank malad enferm malatti disease incontinen
    inkontinen prosthe hearing horgerat epilep asthma alzheim dementi dement autis hepatit arthrit herpes syphil
    chlamyd hormon suicid selbstmord zelfmoord addict sucht verslav dipenden rehab religio church kirche kerk
    eglise iglesia chiesa islam muslim moslem musulm christian christlich christelijk chretien cristian catholic
    katholi catoli protestant jewish judai judisch joods hindu buddh boudd budis halal kosher koscher casher
    bible bibel bijbel biblia bibbia quran koran mosque moschee synagog atheis politic politik politiek partei
    trade_union gewerkschaft vakbond syndicat sindicat sindacat sex erotic erotik erotisch erotique porn fetish
    fetisch lgbt lesb lesbi transgender homoerot dildo vibrator lingerie ethnic ethni etnic racial rassi genetic
    genetik genetisch genetique biometr dna_test alcohol alkohol alcool liquor liqueur likor likeur liquore
    spirituos spirits vodka wodka whisky whiskey bourbon cognac tequila brandy bier birra cerveza biere brewer
    brauerei champagn prosecco schnaps tobac tabak tabac cigar zigar sigar nicotin nikotin vape vaping cannabis
    hasch marihuana marijuana gambl gluckss casino kasino lotter loteri loterij lotto poker roulette betting
    wetten gokken apuesta scommess weapon waffen wapen ammunition munition firearm overweight ubergewicht
    overgewicht obes adipos slimming abnehm afslank adelgaz dimagr amaigr laxati debt schuld dette deuda debiti
    kredit krediet lening prestamo prestito insolven bankrupt payday
"""
# Found at the beginning of a word, as they stand by chance within others (twine, muziek, gebraucht).
BEGINNING: Final = """
    wine sekt smok rauch ziek zieken wijn drug diet weight church faith pray gebet queer union_member weed bong
    hemp hanf loan mental ozempic wegovy xanax prozac zoloft marlboro tampax clearblue
"""
# Found as a whole word.
WHOLE: Final = """
    hiv aids gay gays sti std adhd beer beers ale ales lager stout cider gin rum rhum ron vin vins vino vinos
    vini bet bets bingo gun guns pill pills pille pillen pilule pildora pillola dieta dietas regime arma armas
    armi fe fede foi geloof glaube race sm bdsm cbd thc tena depends plan_b
"""


def _words(text: str) -> str:
    return "|".join(re.escape(plain(word)) for word in sorted(set(text.split())))


def plain(text: str) -> str:
    """The text in small letters without accents, its words parted by single spaces."""
    bare = "".join(each for each in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(each))
    return " ".join(re.findall(r"[^\W_]+", bare))


# Beer and Wein are joined to other words as well, and are neither Himbeeren nor Schweine.
CAREFUL: Final = re.compile(
    rf"{_words(ANYWHERE)}|\b(?:{_words(BEGINNING)})|\b(?:{_words(WHOLE)})\b|beer(?!e)|(?<!sch)wein"
)


def needs_care(text: str, more: Iterable[str] = ()) -> bool:
    """Whether the text has a word of the list, or one of `more`, which are found anywhere in it."""
    bare = plain(text)
    # A text of signs alone is nothing that anybody could judge.
    return not bare or CAREFUL.search(bare) is not None or any(plain(word) in bare for word in more if plain(word))
