"""Candidate lists are artefacts too."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("decisioning", "0014_not_before")]
    operations = [
        migrations.AlterField(
            "artefact",
            "kind",
            models.CharField(
                choices=[("scorer", "scorer"), ("clustering", "clustering"), ("recall", "candidate lists")],
                max_length=12,
            ),
        ),
    ]
