"""How long after a decision what follows counts: for all placements, and for one."""

import django.core.validators
from django.db import migrations, models

WITHIN = [django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(8784)]


def window(what):
    return models.FloatField(
        blank=True,
        help_text="Hours after the decision; empty is as in all placements, see Windows.",
        null=True,
        validators=WITHIN,
        verbose_name=f"{what} counts for",
    )


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0005_filters"), ("decisioning", "0002_triggers")]
    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            "Window",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("impression", "impressions"),
                            ("click", "clicks"),
                            ("conversion", "conversions"),
                            ("value", "value of conversions"),
                        ],
                        max_length=10,
                        unique=True,
                        verbose_name="what follows",
                    ),
                ),
                (
                    "hours",
                    models.FloatField(
                        help_text="It counts for so long after the decision; what comes later is kept, and credited to "
                        "nothing.",
                        validators=WITHIN,
                    ),
                ),
            ],
            options={"ordering": ["pk"]},
        ),
        migrations.RunSQL(
            "INSERT INTO campaigns_window (kind, hours) "
            "VALUES ('impression', 168), ('click', 168), ('conversion', 24), ('value', 24)",
            migrations.RunSQL.noop,
        ),
        migrations.AddField("placement", "impression_hours", window("an impression")),
        migrations.AddField("placement", "click_hours", window("a click")),
        migrations.AddField("placement", "value_hours", window("its value")),
        migrations.RunSQL(
            migrations.RunSQL.noop, "UPDATE campaigns_placement SET window_hours = 24 WHERE window_hours IS NULL"
        ),
        migrations.AlterField("placement", "window_hours", window("a conversion")),
        # What was the usual before is now said in one place.
        migrations.RunSQL(
            "UPDATE campaigns_placement SET window_hours = NULL WHERE window_hours = 24", migrations.RunSQL.noop
        ),
        migrations.RunSQL(
            "CREATE TRIGGER number_change AFTER INSERT OR DELETE OR UPDATE ON campaigns_window "
            "FOR EACH STATEMENT EXECUTE FUNCTION decisioning_number_change();",
            "DROP TRIGGER number_change ON campaigns_window;",
        ),
    ]
