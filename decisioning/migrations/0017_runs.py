"""Trainings are written down, and a challenger may run as a shadow."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("decisioning", "0016_recall"),
    ]

    operations = [
        migrations.AddField(
            model_name="artefact",
            name="shadow_since",
            field=models.DateTimeField(
                help_text="It scores live decisions beside the active one; nobody sees it.",
                null=True,
                verbose_name="runs as shadow since",
            ),
        ),
        migrations.CreateModel(
            name="LearningRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("verb", models.CharField(help_text="What is learned: train.", max_length=20)),
                ("reason", models.CharField(max_length=300)),
                (
                    "state",
                    models.CharField(
                        choices=[("running", "running"), ("done", "done"), ("failed", "failed")],
                        default="running",
                        max_length=10,
                    ),
                ),
                ("step", models.PositiveSmallIntegerField(default=0, help_text="Steps that are done.")),
                ("steps", models.PositiveSmallIntegerField(default=0)),
                ("doing", models.CharField(blank=True, max_length=200)),
                ("error", models.TextField(blank=True)),
                ("started_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "artefact",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="decisioning.artefact",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["verb", "-id"], name="learning_run_newest")],
            },
        ),
    ]
