"""Comes in: nothing. Goes out: the grammar (Lark, LALR) and the words people know its terminals by.

Words of two parts (`NOT IN`, `STARTS WITH`) are one terminal each, which is what makes the grammar LALR(1);
the contextual lexer lets a keyword still be a fact's name wherever the keyword itself could not stand.
"""

GRAMMAR = r"""
start: rule | disjunction

rule: IF disjunction THEN actions [ELSE actions]
actions: action ("," action)*

?disjunction: conjunction (OR conjunction)*
?conjunction: negation (AND negation)*
?negation: NOT negation -> negated
         | LPAR disjunction RPAR -> group
         | test

test: operand comparison
    | IN_SEGMENT STRING -> in_segment
    | CHANCE NUMBER PERCENT [FOR STRING] -> chance

comparison: relation [IGNORING_CASE]
          | IS_MISSING -> missing
          | IS_PRESENT -> present
          | (IS_EMPTY | IS_NOT_EMPTY) -> empty
relation: COMPARE value -> compare
        | (BETWEEN | NOT_BETWEEN) value AND value -> between
        | (IN | NOT_IN) LPAR value ("," value)* RPAR -> inside
        | (CONTAINS | STARTS_WITH | ENDS_WITH) value -> compare
        | (NOT_CONTAINS | NOT_STARTS_WITH | NOT_ENDS_WITH) value -> compare
        | (MATCHES | NOT_MATCHES) PATTERN -> pattern
        | (BEFORE | AFTER | ON) value -> compare
        | (BEFORE | AFTER) LAST span -> before_last
        | (WITHIN_LAST | WITHIN_NEXT) span -> within

operand: NAME -> named
       | STRING -> quoted_name
       | FACT STRING -> fact_name
       | AGGREGATE LPAR event [WHERE disjunction] RPAR [IN_LAST span] -> history
       | DAYS_SINCE NAME -> days_since
       | DAYS_SINCE STRING -> days_since
       | DAYS_SINCE LPAR event [WHERE disjunction] RPAR -> days_since_where

event: NAME -> event
     | STRING -> quoted_event
     | STRING DOT (NAME | STRING) -> quoted_event

value: STRING -> text
     | NUMBER -> number
     | (TRUE | FALSE) -> flag
     | DATE -> moment
     | VERSION_NUMBER -> version
     | VERSION STRING -> version_text
     | (NOW | TODAY) -> clock
     | span (AGO | AHEAD) -> relative
     | FACT STRING -> other_fact_name
     | NAME -> other_fact
span: NUMBER UNIT

action: (SHOW | ONLY | HIDE) target -> aim
      | (BOOST | BURY) target BY NUMBER -> weigh
      | PIN target AT NUMBER -> pin
      | START_CAMPAIGN STRING -> start_campaign
      | STOP -> stop
target: STRING -> content
      | TAGGED STRING -> tagged
      | WHERE disjunction -> where

LPAR: "("
RPAR: ")"
DOT: "."
PERCENT: "%"
COMPARE.3: "!=" | "<>" | "<=" | ">=" | "==" | "=" | "<" | ">" | "≠" | "≤" | "≥"

IF.3: /IF\b/i
THEN.3: /THEN\b/i
ELSE.3: /ELSE\b/i
AND.3: /AND\b/i
OR.3: /OR\b/i
NOT.3: /NOT\b/i
IN_SEGMENT.4: /IN\s+SEGMENT\b/i
IN_LAST.4: /IN\s+LAST\b/i
IN.3: /IN\b/i
NOT_IN.4: /NOT\s+IN\b/i
BETWEEN.3: /BETWEEN\b/i
NOT_BETWEEN.4: /NOT\s+BETWEEN\b/i
CONTAINS.3: /CONTAINS\b/i
NOT_CONTAINS.4: /NOT\s+CONTAINS\b/i
STARTS_WITH.4: /STARTS\s+WITH\b/i
NOT_STARTS_WITH.4: /NOT\s+STARTS\s+WITH\b/i
ENDS_WITH.4: /ENDS\s+WITH\b/i
NOT_ENDS_WITH.4: /NOT\s+ENDS\s+WITH\b/i
MATCHES.3: /MATCHES\b/i
NOT_MATCHES.4: /NOT\s+MATCHES\b/i
IS_MISSING.4: /IS\s+(MISSING|NOT\s+PRESENT)\b/i
IS_PRESENT.4: /IS\s+(PRESENT|NOT\s+MISSING)\b/i
IS_EMPTY.4: /IS\s+EMPTY\b/i
IS_NOT_EMPTY.4: /IS\s+NOT\s+EMPTY\b/i
IGNORING_CASE.4: /IGNORING\s+CASE\b/i
BEFORE.3: /BEFORE\b/i
AFTER.3: /AFTER\b/i
ON.3: /ON\b/i
LAST.3: /LAST(?=\s+[0-9])/i
WITHIN_LAST.4: /WITHIN(\s+THE)?\s+LAST\b/i
WITHIN_NEXT.4: /WITHIN(\s+THE)?\s+NEXT\b/i
CHANCE.3: /CHANCE(?=\s+[0-9.])/i
FOR.3: /FOR\b/i
FACT.3: /FACT(?=\s*")/i
VERSION.3: /VERSION(?=\s*")/i
AGGREGATE.4: /(COUNT|SUM|AVG|MIN|MAX|LAST|FIRST|DISTINCT)(?=\s*\()/i
DAYS_SINCE.4: /DAYS\s+SINCE\b/i
WHERE.3: /WHERE\b/i
NOW.3: /NOW\b/i
TODAY.3: /TODAY\b/i
AGO.3: /AGO\b/i
AHEAD.3: /AHEAD\b/i
UNIT.3: /(MINUTE|HOUR|DAY|WEEK)S?\b/i
TRUE.3: /TRUE\b/i
FALSE.3: /FALSE\b/i
SHOW.3: /(SHOW|DISPLAY)\b/i
ONLY.3: /ONLY\b/i
HIDE.3: /HIDE\b/i
BOOST.3: /BOOST\b/i
BURY.3: /BURY\b/i
PIN.3: /PIN\b/i
STOP.3: /STOP\b/i
START_CAMPAIGN.4: /START\s+CAMPAIGN\b/i
TAGGED.3: /TAGGED\b/i
BY.3: /BY\b/i
AT.3: /AT\b/i

STRING: /"(?:[^"\\\x00-\x1f\x7f\x85\u2028\u2029]|\\["\\\/nrt]|\\u[0-9A-Fa-f]{4})*"/
PATTERN: /"(?:[^"\\\x00-\x1f\x7f\x85\u2028\u2029]|\\[^\x00-\x1f\x7f\x85\u2028\u2029])*"/
DATE.6: DAY CLOCK_TIME? /(?!\w)/
DAY: /[0-9]{4}-[0-9]{2}-[0-9]{2}/
CLOCK_TIME: /T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?/i
VERSION_NUMBER.5: /[0-9]+\.[0-9]+\.[0-9]+/ ("-" IDENTIFIERS)? ("+" IDENTIFIERS)? /(?!\w)/
IDENTIFIERS: /[0-9A-Za-z.-]*[0-9A-Za-z-]/
NUMBER.4: /-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.])/
NAME: /[^\W\d]\w*(?:\.[^\W]\w*)*/

COMMENT: /#[^\n]*/
SPACE: /(?:[ \t\n\u00a0\ufeff]|\r\n)+/
%ignore COMMENT
%ignore SPACE
"""

WORDS = {
    "LPAR": "(",
    "RPAR": ")",
    "DOT": ".",
    "COMMA": ",",
    "PERCENT": "%",
    "COMPARE": "= != < <= > >=",
    "STRING": 'a text in "quotes"',
    "PATTERN": 'a pattern in "quotes"',
    "NUMBER": "a number",
    "DATE": "a date",
    "NAME": "a fact's name",
    "UNIT": "MINUTES, HOURS, DAYS or WEEKS",
    "TRUE": "TRUE",
    "FALSE": "FALSE",
    "AGGREGATE": "COUNT(…)",
    "VERSION_NUMBER": "a version",
    "PLUS": "+",
    "MINUS": "-",
    "TIMES": "*",
    "OVER": "/",
    "$END": "the end",
}


# What is left out of a long list of what could stand somewhere.
RARE = frozenset(
    {
        "FACT",
        "VERSION",
        "VERSION_NUMBER",
        "NOW",
        "TODAY",
        "FALSE",
        "TRUE",
        "DATE",
        "DOT",
        "CHANCE",
        "DAYS_SINCE",
    }
)


def words_for(terminals: set[str]) -> tuple[str, ...]:
    """What an editor shows for the terminals the parser would have taken, without the NOT forms."""
    shown = {t for t in terminals if not t.startswith("NOT_")}
    if len(shown) > 1:
        shown.discard("UNIT")  # after any number a unit could follow
    if len(shown) > 8:
        shown -= RARE
    return tuple(sorted({WORDS.get(t, t.replace("_", " ")) for t in shown}, key=_word_order))


def _word_order(word: str) -> tuple[bool, str]:
    return word.isupper(), word
