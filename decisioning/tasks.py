"""Every Celery task: read the clock, call a flow. Arguments are ids; obligations are rows, never messages."""

import logging
import time
from datetime import UTC, datetime, timedelta

from celery import shared_task
from django.conf import settings
from django.db import connection

from campaigns import calls
from rules import recomputes, sizes

from .config import clock
from .customers import profile
from .customers.intake import letters, partitions, pending
from .customers.plan import planning, tally
from .flows import (
    archive,
    call,
    cluster,
    define,
    describe,
    enlist,
    guard,
    judge,
    quality,
    recall,
    refresh,
    renew,
    respond,
    score,
    shadow,
    spawning,
    tell,
    unite,
    watch,
)
from .flows.alert import alert
from .flows.deliver import deliver as deliver_messages
from .flows.message import choose
from .flows.standing import standing
from .store import candidates, counts, frames, layers, months, publishing, snapshot, tallies, uploads
from .store.connection import once_a_minute, patient
from .store.counting import count_new, give_up

log = logging.getLogger(__name__)

# Batches one tick may handle before the next tick goes on.
ROUNDS = 20
MESSAGES = 100
# A wave of scoring is given up when nothing came of it for so long.
WAVE, WAVE_SECONDS = "scoring:{}", 120
# Counting segments rests so many times as long as it took.
RECOUNTING, RESTS = "segments:recounting", 10
# Only one learns candidate lists at a time; after a kill, so many seconds later.
LEARNING_RECALL, LONGEST_LEARNING = "recall:learning", 2400
# Clusters are looked at so often; files that no manifest names are deleted after so long.
WATCHED, LOST_FILES = timedelta(minutes=30), timedelta(hours=2)


@shared_task
def deliver() -> None:
    """Send what the outbox owes."""
    deliver_messages(clock.now(), choose, MESSAGES)


@shared_task
def keep_snapshot() -> None:
    """Build the next snapshot if anything published changed, and repair Redis if it lost the newest.

    A published text may ask for histories that nobody has yet: then everybody's facts are computed anew.
    """
    snapshot.build()
    candidates.keep_announced()
    snapshot.keep_announced()
    if profile.missing_histories() and once_a_minute("histories"):
        refresh_everything.delay()


@shared_task
def keep_profiles() -> None:
    """Fill Redis again after it came back empty."""
    if not publishing.is_complete():
        log.info("published %s profiles", publishing.publish_all())


@shared_task
def keep_scores() -> None:
    """Score customers whose scores are missing or of other facts; where many wait, all of them bucket by bucket."""
    if (wave := score.wave()) is None:
        for _ in range(ROUNDS):
            if not score.score_pending():
                return
    # A wave goes on while somebody works on it; one whose tasks were lost is begun again a while later.
    elif patient().set(WAVE.format(wave), 1, nx=True, ex=WAVE_SECONDS):
        frames.refresh(clock.now())
        for bucket in range(layers.BUCKETS):
            score_bucket.delay(wave, bucket)


@shared_task
def score_bucket(wave: str, bucket: int) -> None:
    """Everybody in one bucket of the all-customers frame."""

    def go_on(scored: int) -> None:
        patient().set(WAVE.format(wave), 1, ex=WAVE_SECONDS)

    score.score_bucket(bucket, go_on)


@shared_task
def recount_segments() -> None:
    """Sizes of segments as entries and exits have left them."""
    started = time.monotonic()
    if patient().set(RECOUNTING, 1, nx=True, ex=60):
        sizes.recount(clock.now())
        # Where it takes long it is done less often.
        patient().set(RECOUNTING, 1, px=int(1 + RESTS * 1000 * (time.monotonic() - started)))
    recomputes.bury()


@shared_task
def keep_log() -> None:
    """Open the log's coming months, drop those past their time, forget old dead letters and pending rows of nothing."""
    moment = datetime.now(UTC)
    partitions.open_months({0, *planning.keeps().values()}, moment)
    for name in partitions.drop_expired(moment):
        log.warning("dropped %s: its events are older than they are kept", name)
    pending.drop_orphans()
    letters.age_out(clock.now())
    tally.age_out(clock.now())
    sizes.thin(clock.now())
    calls.age_out()


@shared_task
def count_ledger() -> None:
    """Add what the ledger has got since to the statistics."""
    for _ in range(ROUNDS):
        if not count_new():
            break
    if lost := give_up(clock.now(), datetime.now(UTC)):
        log.warning("%s outcomes belong to decisions that the ledger does not have; they are not counted", lost)


@shared_task
def keep_ledger() -> None:
    """Open the ledger's coming months, drop those past their time, and settle the counts of processes long gone."""
    moment = datetime.now(UTC)
    months.open_months(moment)
    for month in months.drop_expired(settings.LEDGER_MONTHS, moment):
        log.warning("dropped the decisions of %s: they are older than they are kept", f"{month:%B %Y}")
    tallies.settle(clock.now())
    # What decisions lean on besides the scorer is counted with the next snapshot.
    counts.recount()


@shared_task
def propose_claimed() -> None:
    """Put before a person what events have claimed and a guard did not follow."""
    unite.propose_claimed(clock.now())


@shared_task
def propose_merges() -> None:
    """Look for customers who may be one person, for somebody to decide."""
    unite.propose(clock.now())


@shared_task
def refresh_everything() -> None:
    """Everybody's facts and segments anew: a task a bucket, for as many workers as there are."""
    recomputes.bury()
    if refresh.running():
        return
    run = refresh.begin(clock.now(), "on the hour, or asked for")
    for bucket in range(refresh.BUCKETS):
        refresh_bucket.delay(run, bucket)


@shared_task
def refresh_bucket(run: int, bucket: int) -> None:
    """The customers of one bucket."""
    refresh.refresh_bucket(run, bucket, clock.now())


@shared_task
def refresh_segment(segment_id: int) -> None:
    """One segment anew, after its condition changed or it was switched on."""
    judge.judge([segment_id], clock.now())
    enlist.follow([segment_id], clock.now())


@shared_task
def refresh_segments(segment_ids: list[int]) -> None:
    """Several segments anew, from one reading of the facts."""
    judge.judge(segment_ids, clock.now())
    enlist.follow(segment_ids, clock.now())


@shared_task
def recheck_segments() -> None:
    """Everybody who changed is where their facts say."""
    if wrong := judge.recheck(clock.now()):
        log.warning("mended %s memberships that did not fit their customers' facts", wrong)


@shared_task
def import_list(token: str) -> None:
    """Do with an uploaded file of identifiers what was asked."""
    try:
        enlist.enlist(token, clock.now())
    except uploads.Gone as gone:
        # A task that came back after its worker was killed: the file had been imported.
        log.info("%s", gone)


@shared_task
def take_back_list(segment_id: int) -> None:
    """An imported list as it was before the last import."""
    try:
        enlist.take_back(segment_id, clock.now())
    except enlist.NotPossible as reason:
        log.info("%s", reason)


@shared_task
def tell_responses() -> None:
    """Let facts know what followed decisions, and which messages were sent."""
    for _ in range(ROUNDS):
        if respond.tell(clock.now()) < respond.AT_ONCE:
            return


@shared_task
def call_webhooks() -> None:
    """Make the calls of webhooks that are due."""
    call.call_due()


@shared_task
def catch_up_traits() -> None:
    """Set the traits that were held back because their customers moved too often."""
    tell.catch_up([reaction for mine in standing().reactions.values() for reaction in mine], clock.now())


@shared_task
def archive_log() -> None:
    """Take what is complete of the log into the archive."""
    archive.write(datetime.now(UTC))


@shared_task
def keep_archive() -> None:
    """Merge the archive's small files, drop what expired, and files that no manifest names."""
    archive.tidy(datetime.now(UTC))
    frames.sweep(datetime.now(UTC) - LOST_FILES)


@shared_task
def verify_archive() -> None:
    """Compare the archive with the log and mend what differs."""
    for mended in archive.verify(datetime.now(UTC)):
        log.warning("the archive differed from the log and was mended: %s", mended)


@shared_task
def archive_facts(run: str, bucket: int) -> None:
    """One bucket's facts from the archive, kept under the run's name."""
    archive.compute(run, bucket, clock.now())


@shared_task
def compute_fact(fact_id: int) -> None:
    """A custom fact that was just published, for everybody; what it meant before is taken away first."""
    define.renew(fact_id)
    if profile.missing_histories():
        refresh_everything.delay()


@shared_task
def describe_facts() -> None:
    """How every fact is distributed."""
    describe.describe(frames.facts(clock.now()), clock.now())
    describe.describe_moments(clock.now())
    describe.describe_scores(clock.now())


@shared_task
def check_quality() -> None:
    """What is wrong with events and facts."""
    quality.check_telling(clock.now())


@shared_task
def cluster_customers() -> None:
    """Find the clusters anew and make them segments, in a process of its own."""
    _clustering("cluster", {})


@shared_task
def compare_clusterings(words: dict[str, str]) -> None:
    """Search for clusters; `words` are options of `manage.py learn compare`: facts, algorithms, scalings, numbers."""
    _clustering("compare", words)


@shared_task
def adopt_clustering(artefact_id: int) -> None:
    """Make the clusters of a comparison segments, and put everybody into theirs."""
    _clustering("adopt", {"artefact": str(artefact_id)})


def _clustering(verb: str, words: dict[str, str]) -> None:
    with recomputes.watched(recomputes.CLUSTERING, 0) as progress:
        connection.close()
        spawning.in_own_process(verb, words, lambda: progress.tell(0))


@shared_task
def watch_clusters() -> None:
    """Let the clusters follow those who changed, and look how far customers have drifted from them."""
    cluster.learn_from_recent(clock.now(), clock.now() - WATCHED)
    cluster.watch(clock.now())


@shared_task
def guard_scorer() -> None:
    """Go back to the former scorer where the one in use brings less."""
    guard.guard(clock.now())


@shared_task
def learn_recall() -> None:
    """Learn candidate lists anew in a process of its own, where a placement draws from them and they are due."""
    if recall.due(clock.now()) and patient().set(LEARNING_RECALL, 1, nx=True, ex=LONGEST_LEARNING):
        try:
            connection.close()
            spawning.in_own_process("recall", {})
        finally:
            patient().delete(LEARNING_RECALL)


@shared_task
def train_scorer(**words: str) -> None:
    """Train on the ledger in a process of its own: OpenMP threads do not survive a fork.

    `words` are options of `manage.py learn train`: split, placement, baseline, since, as_of (moments in ISO 8601).
    """
    _train(words)


@shared_task
def train_for(why: str) -> None:
    """Train because somebody wishes it."""
    _train({"why": why})


@shared_task
def renew_scorer() -> None:
    """Train where there is a reason: so many hours are over, many outcomes are new, or customers have drifted."""
    if why := renew.why(clock.now()):
        _train({"why": why})


@shared_task
def watch_scorer() -> None:
    """Look how far the scorer in use lies from what it learned from."""
    watch.watch(clock.now())


@shared_task
def look_at_shadows() -> None:
    """Score what was decided with every challenger that runs as a shadow."""
    shadow.look(clock.now())


@shared_task
def foretell_customers() -> None:
    """Learn who leaves, buys again and spends, and tell every customer; in a process of its own."""
    if settings.FORETOLD:
        connection.close()
        spawning.in_own_process("foretell", {"why": "once a day"})


def _train(words: dict[str, str]) -> None:
    connection.close()
    try:
        spawning.in_own_process("train", {name.replace("_", "-"): word for name, word in words.items()})
    except RuntimeError as error:
        alert("The training of a scorer failed", f"{error} What is in use stays in use.")
        raise
