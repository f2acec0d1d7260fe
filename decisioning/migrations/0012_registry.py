"""What an artefact was learned from, what it replaced and why, and rows by which it is known to score as it did."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("decisioning", "0010_outcome_moment")]
    operations = [
        migrations.AddField(
            "artefact",
            "since",
            models.DateTimeField("learned from", null=True, help_text="The first moment it learned from."),
        ),
        migrations.AddField(
            "artefact",
            "until",
            models.DateTimeField("learned until", null=True, help_text="Nothing after this moment was learned from."),
        ),
        migrations.AddField(
            "artefact",
            "golden",
            models.JSONField(default=dict, db_default={}, help_text="Inputs, and the scores it gave them at first."),
        ),
        migrations.AddField(
            "artefact",
            "note",
            models.TextField(blank=True, default="", db_default="", help_text="Why a person put it to work."),
        ),
        migrations.AddField(
            "artefact",
            "parent",
            models.ForeignKey(
                "decisioning.artefact",
                django.db.models.deletion.SET_NULL,
                null=True,
                related_name="+",
                help_text="The champion it met.",
            ),
        ),
        migrations.AddField(
            "artefact",
            "former",
            models.ForeignKey(
                "decisioning.artefact",
                django.db.models.deletion.SET_NULL,
                null=True,
                related_name="+",
                help_text="What it replaced.",
            ),
        ),
    ]
