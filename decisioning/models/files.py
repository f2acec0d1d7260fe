"""Files of the archive."""

from django.db import models
from django.db.models.functions import Now


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
