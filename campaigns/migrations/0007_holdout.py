"""Customers who get default contents only, of all placements and of one; and bandits whose contents share."""

import django.core.validators
from django.db import migrations, models


def share(what):
    return models.FloatField(
        blank=True,
        db_default=0.0,
        default=0.0,
        help_text=what,
        validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(0.5)],
        verbose_name="share held out",
    )


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0006_windows"), ("decisioning", "0002_triggers")]
    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            "Holdout",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "share",
                    share("Of all customers: everywhere the same people, who get default contents."),
                ),
                (
                    "draw",
                    models.CharField(
                        db_default="1",
                        default="1",
                        help_text="Another word, such as 2027-q1, draws other customers, in every placement.",
                        max_length=50,
                    ),
                ),
            ],
            options={"verbose_name": "holdout"},
        ),
        migrations.RunSQL("INSERT INTO campaigns_holdout DEFAULT VALUES", migrations.RunSQL.noop),
        migrations.AddField(
            "placement",
            "holdout_share",
            share("Of its customers: they get its default contents, to compare with. 0: as in all placements."),
        ),
        migrations.AddField(
            "placement",
            "bandit_shared",
            models.BooleanField(
                db_default=False,
                default=False,
                help_text="For LinUCB and linear Thompson: contents with common tags learn from each other, new ones too.",
                verbose_name="learned together",
            ),
        ),
        migrations.RunSQL(
            "CREATE TRIGGER number_change AFTER INSERT OR DELETE OR UPDATE ON campaigns_holdout "
            "FOR EACH STATEMENT EXECUTE FUNCTION decisioning_number_change();",
            "DROP TRIGGER number_change ON campaigns_holdout;",
        ),
    ]
