"""A check reports on everything once, one at a time; policies change what is learned and nothing that came in."""

from datetime import datetime, timedelta

import pytest
import redis
from django.db import connection, connections
from redis.backoff import NoBackoff
from redis.retry import Retry

from campaigns.models import Content
from decisioning.customers.models import Customer, FactVocabulary, QualityPolicy, QualityReport
from decisioning.flows import learn, promote, quality, score
from decisioning.learning.scorer import Scorer
from decisioning.models import Artefact, Decision, Score
from decisioning.store import artefacts
from tests.admin.crowd import a_customer, an_event

from .shops import open_shop, show

TERMS = learn.Terms(placement="mail")
FAR = 1e6
HELD = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objid = %s
"""

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]


@pytest.fixture
def shop(now: datetime) -> list[Customer]:
    """Customers with up to 19 orders; one in fifty has a spend that cannot be, one in five has none."""

    def facts(n: int) -> dict[str, float]:
        spend = FAR + n if n % 50 == 1 else 7.0 * (n % 20) + n / 100
        return {"orders_365d": n % 20, "recency_days": n % 9, **({"spend_365d": spend} if n % 5 else {})}

    return open_shop(now, facts)


def test_a_check_reports_on_facts_and_events_and_a_second_replaces_it(shop: list[Customer], now: datetime) -> None:
    an_event(a_customer("u-1", ("user_id", "u-1")).identities.get(), timestamp=now - timedelta(hours=1))
    steps: list[tuple[float, str]] = []
    made = quality.check(now, lambda share, what: steps.append((share, what)))
    assert made == QualityReport.objects.count()
    assert QualityReport.objects.filter(kind="event").values_list("name", flat=True).get() == "Order Completed"
    spend = QualityReport.objects.get(kind="fact", name="spend_365d")
    assert spend.findings["figures"]["coverage"] == 0.8
    assert {one["code"] for one in spend.findings["findings"]} >= {"outliers", "skewed"}
    shares = [share for share, _ in steps]
    assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] < 1
    FactVocabulary.objects.update(data={"departments": ["Dairy"]})
    Customer.objects.filter(key="u-1").delete()
    quality.check(now + timedelta(days=1))
    assert set(QualityReport.objects.values_list("at", flat=True)) == {now + timedelta(days=1)}
    assert QualityReport.objects.filter(name="share_dairy").exists()


def test_an_empty_product_is_checked_without_a_report(now: datetime) -> None:
    assert quality.check(now) == 0


def test_pages_are_told_how_far_a_running_check_is_and_when_it_is_over(
    shop: list[Customer], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    told = quality.tell
    monkeypatch.setattr(quality, "tell", lambda *step: (told(*step), seen.append(quality.underway())))
    assert quality.underway() is None
    assert quality.check_telling(now)
    assert seen[0] == quality.Underway(0, "counting events")
    assert len({one.what for one in seen}) > 3
    assert quality.underway() is None


def test_a_check_that_fails_is_not_told_to_run_for_ever(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> list[object]:
        quality.tell(0.5, "something")
        raise OSError("disk")

    monkeypatch.setattr(quality, "check_events", fail)
    with pytest.raises(OSError, match="disk"):
        quality.check_telling(now)
    assert quality.underway() is None


def test_without_redis_a_check_goes_on_untold(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = redis.Redis(unix_socket_path="/nowhere", retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(quality, "patient", lambda: nowhere)
    assert quality.check_telling(now) == 0
    assert quality.underway() is None


@pytest.mark.django_db(transaction=True)
def test_two_checks_never_run_at_once(now: datetime) -> None:
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [quality.LOCK])
            quality.tell(0.3, "the other")
            assert quality.check_telling(now) is None
            assert quality.underway() == quality.Underway(0.3, "the other")
            cursor.execute("SELECT pg_advisory_unlock(%s)", [quality.LOCK])
    finally:
        other.close()
    assert quality.check_telling(now) == 0
    with connection.cursor() as cursor:
        cursor.execute(HELD, [quality.LOCK])
        assert cursor.fetchone() == (0,), "the lock is given back"


def loaded(artefact: Artefact) -> Scorer:
    return Scorer.from_artefact(artefacts.read(artefact))


def test_a_policy_changes_what_was_learned_and_what_is_scored_and_nothing_that_is_stored(
    shop: list[Customer], now: datetime
) -> None:
    show(shop, now)
    plain = learn.train_scorer(now, TERMS)
    before = {row.pk: row.facts for row in Customer.objects.all()}
    ledger = dict(Decision.objects.values_list("pk", "facts"))
    QualityPolicy.objects.create(fact="spend_365d", outliers="clip", method="iqr", width=1.5, missing="median")
    treated = learn.train_scorer(now + timedelta(seconds=1), TERMS)
    promote.promote(treated.pk, "the same rows, treated")

    said = treated.metrics["data quality"]["spend_365d"]
    assert said.startswith("32 of 1,600 clipped to ")
    assert said.endswith("320 gaps filled (constants)")
    assert "data quality" not in plain.metrics
    scorer = loaded(treated)
    fence = scorer.treatment.fences["spend_365d"]
    assert fence.high < 1_000
    assert scorer.learned() != loaded(plain).learned()

    contents = list(Content.objects.order_by("key"))
    far, at_the_fence = ({"orders_365d": 3, "recency_days": 2, "spend_365d": value} for value in (FAR, fence.high))
    assert scorer.score_contents(far, contents) == scorer.score_contents(at_the_fence, contents)
    while score.score_pending():
        pass
    customer = Customer.objects.get(key="c-51")
    scores = Score.objects.get(customer=customer)
    assert scores.artefact_id == treated.pk
    clipped = {**customer.facts, "spend_365d": fence.high}
    assert scores.values == pytest.approx(scorer.score_contents(clipped, contents), abs=1e-6)

    assert {row.pk: row.facts for row in Customer.objects.all()} == before
    assert dict(Decision.objects.values_list("pk", "facts")) == ledger


@pytest.mark.parametrize("how", ["knn", "mice"])
def test_guessed_gaps_are_guessed_the_same_in_training_and_scoring(
    shop: list[Customer], now: datetime, how: str
) -> None:
    show(shop, now)
    QualityPolicy.objects.create(fact="spend_365d", outliers="flag", missing=how)
    QualityPolicy.objects.create(fact="orders", outliers="clip", missing="median")
    treated = learn.train_scorer(now, TERMS)
    scorer = loaded(treated)
    assert set(scorer.treatment.policies) == {"spend_365d"}, "what is not learned from needs no treatment"
    lacking = Customer.objects.get(key="c-5").facts
    assert "spend_365d" not in lacking
    guessed = scorer.treatment.one(lacking)["spend_365d"]
    contents = list(Content.objects.order_by("key"))
    assert scorer.score_contents(lacking, contents) == scorer.score_contents(
        {**lacking, "spend_365d": guessed}, contents
    )
    assert treated.metrics["backtest"]["tested_rows"] > 0
