"""Scores as arrays of numbers beside one list of contents: a third of the room, and written by binary COPY."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("decisioning", "0012_registry"), ("customers", "0001_initial")]
    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            "ScoredContents",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "keys",
                    django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=100), size=None),
                ),
                (
                    "digest",
                    models.CharField(
                        help_text="SHA-256 of the keys: too many for an index.", max_length=64, unique=True
                    ),
                ),
            ],
            options={"verbose_name_plural": "scored contents"},
        ),
        # The worker writes them anew within minutes; decisions ask the scorer itself meanwhile.
        migrations.RunSQL("DELETE FROM decisioning_score", migrations.RunSQL.noop),
        migrations.RemoveField("score", "values"),
        migrations.AddField(
            "score",
            "values",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.FloatField(),
                default=list,
                help_text="A chance for each of the contents, in their order.",
                size=None,
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            "score",
            "contents",
            models.ForeignKey(
                db_constraint=False,
                default=0,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="decisioning.scoredcontents",
            ),
            preserve_default=False,
        ),
        migrations.AlterField(
            "score",
            "at",
            models.DateTimeField(
                help_text="Of when the facts are that it stands on; others by now mean: score again."
            ),
        ),
        migrations.AlterField(
            "score",
            "artefact",
            models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="decisioning.artefact",
            ),
        ),
    ]
