"""Who may call: API keys."""

from django.db import models
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
