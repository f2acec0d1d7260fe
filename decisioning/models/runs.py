"""What is being learned at the moment, and what was: a row a run."""

from django.db import models
from django.db.models.functions import Now


class LearningRun(models.Model):
    """One training: why, how far it is, how it ended. Whoever runs holds a lock, so that one who died is known."""

    class State(models.TextChoices):
        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "failed"

    verb = models.CharField(max_length=20, help_text="What is learned: train.")
    reason = models.CharField(max_length=300)
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    step = models.PositiveSmallIntegerField(default=0, help_text="Steps that are done.")
    steps = models.PositiveSmallIntegerField(default=0)
    doing = models.CharField(max_length=200, blank=True)
    error = models.TextField(blank=True)
    artefact = models.ForeignKey("decisioning.Artefact", models.SET_NULL, null=True, related_name="+")
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            # The newest of a kind.
            models.Index(fields=["verb", "-id"], name="learning_run_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.pk}"
