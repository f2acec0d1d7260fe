"""The ledger, outcomes, artefacts, scores, snapshots and API keys, as PostgreSQL keeps them."""

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class ApiKey(models.Model):
    """A key for the REST API. Only its SHA-256 is kept; the secret is shown once, when it is made."""

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(default=list, help_text='Any of "decide", "track", "read", "lists", "manage".')
    origins = models.JSONField(
        default=list, blank=True, help_text="Whose pages may use it; none: the key is for servers."
    )
    decide_rate = models.PositiveIntegerField(
        "decisions a second", null=True, blank=True, help_text="Empty or 0: no limit."
    )
    outcome_rate = models.PositiveIntegerField(
        "outcomes a second", null=True, blank=True, help_text="Empty or 0: no limit."
    )
    event_rate = models.PositiveIntegerField(
        "events a second", null=True, blank=True, help_text="Empty: the server's own limit. 0: no limit."
    )
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_on = models.DateField("last used", null=True, editable=False, help_text="The day, in UTC.")
    predecessor = models.OneToOneField(
        "self", on_delete=models.SET_NULL, null=True, editable=False, related_name="successor"
    )

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Artefact(models.Model):
    """A learned thing with its metrics: text or arrays, signed, never a pickle. One of a kind is active."""

    class Kind(models.TextChoices):
        SCORER = "scorer", "scorer"
        CLUSTERING = "clustering", "clustering"

    kind = models.CharField(max_length=12, choices=Kind)
    data = models.BinaryField()
    signature = models.CharField(max_length=64)
    schema_hash = models.CharField(max_length=64, blank=True)
    metrics = models.JSONField(default=dict)
    active = models.BooleanField(default=False)
    trained_at = models.DateTimeField(help_text="By the product's clock.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind"], condition=Q(active=True), name="one_active_artefact_a_kind")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class Score(models.Model):
    """A customer's score for every content, as the worker wrote them with one scorer."""

    customer = models.OneToOneField("customers.Customer", on_delete=models.CASCADE, primary_key=True)
    artefact = models.ForeignKey(Artefact, on_delete=models.CASCADE, related_name="+")
    values = models.JSONField(help_text="Content key to probability.")
    at = models.DateTimeField(help_text="By the product's clock; older than the facts means: score again.")

    def __str__(self) -> str:
        return f"{self.customer_id} by scorer {self.artefact_id}"


class Snapshot(models.Model):
    """A frozen, numbered copy of everything a decision needs, as handed to the serving processes."""

    number = models.BigAutoField(primary_key=True)
    digest = models.CharField(max_length=64)
    data = models.BinaryField()
    built_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"snapshot {self.number}"


class Change(models.Model):
    """One row whose number the database raises with every change of what a snapshot is made of."""

    number = models.BigIntegerField(default=0)
    built = models.BigIntegerField(default=-1)

    def __str__(self) -> str:
        return f"change {self.number}"


class Decision(models.Model):
    """The ledger: what was decided for one customer and placement, and everything it was decided from."""

    class Source(models.TextChoices):
        API = "api", "API"
        CAMPAIGN = "campaign", "campaign"
        IMPORT = "import", "import"

    id = models.UUIDField(primary_key=True)
    at = models.DateTimeField()
    customer_id = models.BigIntegerField(null=True)
    customer_key = models.CharField(max_length=200, blank=True)
    placement = models.CharField(max_length=100)
    source = models.CharField(max_length=10, choices=Source, default=Source.API)
    request_id = models.CharField(max_length=100, blank=True)
    snapshot = models.BigIntegerField(null=True)
    scorer = models.BigIntegerField(null=True)
    rung = models.CharField(max_length=20)
    reason = models.CharField(max_length=20)
    policy = models.CharField(max_length=20)
    items = models.JSONField(default=list)
    explanation = models.JSONField(default=dict)
    facts = models.JSONField(default=dict)
    context = models.JSONField(default=dict)
    asked = models.JSONField(default=dict, help_text="What else was asked; enough to decide it once more.")
    whole = models.BooleanField(
        db_default=True, default=True, help_text="It is kept with everything; no: without reasons, drops and question."
    )

    class Meta:
        indexes = [
            # A customer's decisions, newest first.
            models.Index(fields=["customer_id", "-at"], name="decision_of_customer"),
            # Search by content, by rule and by customer.
            GinIndex(fields=["items"], opclasses=["jsonb_path_ops"], name="decision_items"),
            GinIndex(fields=["explanation"], opclasses=["jsonb_path_ops"], name="decision_explanation"),
            models.Index(fields=["customer_key", "-at"], name="decision_of_key"),
            # The training window.
            models.Index(fields=["at"], name="decision_at"),
        ]

    def __str__(self) -> str:
        return f"{self.placement} for {self.customer_key or 'somebody'}"


class Outcome(models.Model):
    """What followed a decision: an impression, click or conversion of one of its contents, counted once.

    No foreign key: an outcome may reach the database before the ledger's bulk write does; its token was signed.
    """

    class Kind(models.TextChoices):
        IMPRESSION = "impression", "impression"
        CLICK = "click", "click"
        CONVERSION = "conversion", "conversion"

    decision_id = models.UUIDField()
    content = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=Kind)
    value = models.FloatField(default=0)
    at = models.DateTimeField()
    message_id = models.CharField(max_length=100, unique=True)
    told = models.BooleanField(
        db_default=False, default=False, help_text="It is in the event log too, or never will be."
    )

    class Meta:
        indexes = [
            models.Index(fields=["decision_id"], name="outcome_of_decision"),
            # What the event log does not know yet.
            models.Index(fields=["id"], name="outcome_untold", condition=Q(told=False)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.content}"


class Uncounted(models.Model):
    """A decision that is in the ledger and not in the statistics yet; a trigger adds it with the row itself."""

    decision_id = models.UUIDField(primary_key=True)

    def __str__(self) -> str:
        return f"decision {self.decision_id}"


class UncountedOutcome(models.Model):
    """An outcome that is not in the statistics yet; a trigger adds it with the row itself."""

    outcome_id = models.BigIntegerField(primary_key=True)

    def __str__(self) -> str:
        return f"outcome {self.outcome_id}"


class Statistic(models.Model):
    """What the ledger adds up to for one content in one placement, by the day it was decided on (UTC).

    A decision counts once for everybody, once for each of the customer's segments, each rule that matched and each arm.
    """

    class Part(models.TextChoices):
        ALL = "all", "everybody"
        SEGMENT = "segment", "segment"
        RULE = "rule", "rule"
        ARM = "arm", "arm"

    placement = models.CharField(max_length=100)
    content = models.CharField(max_length=100)
    part = models.CharField(max_length=10, choices=Part)
    name = models.CharField(max_length=200, blank=True, help_text="Key of the segment, rule or arm; nothing for all.")
    day = models.DateField()
    decisions = models.BigIntegerField(default=0, help_text="Decisions that chose the content.")
    impressions = models.BigIntegerField(default=0, help_text="Of those: seen.")
    shown = models.BigIntegerField(default=0, help_text="Of those: seen, clicked or converted.")
    clicks = models.BigIntegerField(default=0, help_text="Of those: clicked.")
    conversions = models.BigIntegerField(default=0, help_text="Of those: converted.")
    value = models.DecimalField(default=0, max_digits=30, decimal_places=6, help_text="Sum of what conversions told.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["placement", "day", "part", "name", "content"], name="one_statistic")
        ]

    def __str__(self) -> str:
        return f"{self.content} in {self.placement} on {self.day}"


class Traffic(models.Model):
    """How many decisions of an hour came to which end, by the product's clock (UTC)."""

    hour = models.DateTimeField()
    placement = models.CharField(max_length=100)
    source = models.CharField(max_length=10, choices=Decision.Source)
    rung = models.CharField(max_length=20)
    reason = models.CharField(max_length=20)
    decisions = models.BigIntegerField(default=0)
    whole = models.BigIntegerField(default=0, help_text="Of those: kept with everything they were decided from.")

    class Meta:
        verbose_name_plural = "traffic"
        constraints = [
            models.UniqueConstraint(
                fields=["hour", "placement", "source", "rung", "reason"], name="one_traffic_an_hour"
            )
        ]

    def __str__(self) -> str:
        return f"{self.decisions} decisions at {self.rung} in {self.placement}"


class Tally(models.Model):
    """What one process counted in one hour that leaves no row elsewhere: drops, answers from the cache, waits.

    A process writes its count so far, never a difference, so that writing it twice changes nothing.
    """

    process = models.UUIDField()
    hour = models.DateTimeField()
    what = models.CharField(max_length=30)
    name = models.CharField(max_length=100, blank=True)
    count = models.BigIntegerField(default=0)
    most = models.FloatField(default=0, help_text="The largest single figure.")

    class Meta:
        verbose_name_plural = "tallies"
        constraints = [
            models.UniqueConstraint(fields=["hour", "process", "what", "name"], name="one_tally_a_process_and_hour")
        ]

    def __str__(self) -> str:
        return f"{self.count} {self.what} {self.name}"


class DroppedMonth(models.Model):
    """A month of the ledger that was older than it is kept. What it added up to stays."""

    month = models.DateField(primary_key=True)
    rows = models.BigIntegerField()
    last_day = models.DateField(null=True, help_text="Up to this day the statistics cannot be counted anew.")
    dropped_at = models.DateTimeField(db_default=Now())
    outcomes_gone = models.BooleanField(db_default=False, default=False)

    def __str__(self) -> str:
        return f"{self.month:%B %Y}"


class ArchivePart(models.Model):
    """One file of the archive: events of one bucket of customers and one month, in Parquet."""

    path = models.CharField(max_length=300, unique=True, help_text="Below ARCHIVE_URL.")
    table = models.CharField(max_length=20)
    bucket = models.SmallIntegerField()
    month = models.DateField()
    schema = models.CharField(max_length=32, help_text="Digest of its columns; another one means: write it again.")
    rows = models.BigIntegerField()
    bytes = models.BigIntegerField()
    first_id = models.UUIDField(null=True)
    last_id = models.UUIDField(null=True)
    written_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            # All files of a bucket, a month after the other.
            models.Index(fields=["table", "bucket", "month"], name="archivepart_of_bucket"),
        ]

    def __str__(self) -> str:
        return self.path
