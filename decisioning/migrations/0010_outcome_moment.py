"""Reports look outcomes up by when they came: an index on that, made without holding up those that come meanwhile."""

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class AddIndexUnhurried(AddIndexConcurrently):
    """Concurrently, but inside of somebody's transaction, where PostgreSQL allows it only as any other index."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self.kind(schema_editor).database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self.kind(schema_editor).database_backwards(self, app_label, schema_editor, from_state, to_state)

    def kind(self, schema_editor: Any) -> type[migrations.AddIndex]:
        return migrations.AddIndex if schema_editor.connection.in_atomic_block else AddIndexConcurrently


class Migration(migrations.Migration):
    # PostgreSQL makes such an index in two transactions of its own. One that is stopped halfway leaves an index marked
    # invalid: drop it (DROP INDEX outcome_by_moment) and migrate again.
    atomic = False
    dependencies = [("decisioning", "0009_windows")]
    operations = [
        AddIndexUnhurried("outcome", models.Index(fields=["at"], name="outcome_by_moment")),
    ]
