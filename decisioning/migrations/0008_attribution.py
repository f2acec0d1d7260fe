"""What events count as, where that differs from what is usual."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("decisioning", "0007_ledger"),
    ]

    operations = [
        migrations.CreateModel(
            name="EventOutcome",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "event",
                    models.CharField(
                        help_text="The event's name, such as Order Completed.", max_length=200, unique=True
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "nothing"),
                            ("impression", "impression"),
                            ("click", "click"),
                            ("conversion", "conversion"),
                        ],
                        default="",
                        max_length=10,
                        verbose_name="counts as",
                    ),
                ),
            ],
            options={
                "verbose_name": "event as outcome",
                "verbose_name_plural": "events as outcomes",
            },
        ),
    ]
