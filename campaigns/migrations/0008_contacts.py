"""How often one customer may be written to, and which messages were contacts when."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0007_holdout")]
    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            "ContactLimit",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "channel",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "all channels together"),
                            ("email", "e-mail"),
                            ("push", "push"),
                            ("webhook", "webhook"),
                        ],
                        db_default="",
                        default="",
                        help_text="What is counted, and what the limit holds for.",
                        max_length=10,
                    ),
                ),
                (
                    "count",
                    models.PositiveIntegerField(
                        help_text="At most so many to one customer. To send nothing at all, untick the campaigns.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1000),
                        ],
                        verbose_name="messages",
                    ),
                ),
                (
                    "hours",
                    models.FloatField(
                        default=24.0,
                        help_text="Within so many hours, counted back from each message: 168 is a week, 744 (31 days) "
                        "the most.",
                        validators=[
                            django.core.validators.MinValueValidator(0.01),
                            django.core.validators.MaxValueValidator(744),
                        ],
                    ),
                ),
            ],
            options={"verbose_name": "contact limit", "ordering": ["channel", "hours"]},
        ),
        migrations.AddConstraint(
            "contactlimit", models.UniqueConstraint(fields=["channel", "hours"], name="contact_limit_once")
        ),
        migrations.AddField(
            "campaign",
            "ignores_limits",
            models.BooleanField(
                db_default=False,
                default=False,
                help_text="For what customers asked for or have to know, such as a receipt. It is sent whatever the "
                "contact limits say, and counts in them.",
                verbose_name="ignores contact limits",
            ),
        ),
        migrations.AddField("message", "contacted_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField("message", "uncounted", models.BooleanField(db_default=False, default=False)),
        migrations.AddIndex(
            "message", models.Index(condition=models.Q(("uncounted", True)), fields=["id"], name="message_uncounted")
        ),
    ]
