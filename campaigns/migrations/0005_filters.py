"""Named conditions on contents, which a call asks for by their key."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0004_choosing"), ("decisioning", "0002_triggers")]
    operations = [
        migrations.CreateModel(
            "Filter",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "key",
                    models.CharField(
                        max_length=100,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9][a-z0-9-]{0,99}$",
                                "Use lower-case letters, digits and hyphens, starting with a letter or digit.",
                            )
                        ],
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                (
                    "condition",
                    models.TextField(
                        help_text="On attributes of contents, such as: department = $department AND price < 20"
                    ),
                ),
                (
                    "values",
                    models.TextField(
                        blank=True,
                        help_text="A line for each $name with its type: text, number, boolean, date, text_list, "
                        "number_list.",
                    ),
                ),
                ("active", models.BooleanField(default=True)),
            ],
            options={"ordering": ["key"]},
        ),
        migrations.RunSQL(
            "CREATE TRIGGER number_change AFTER INSERT OR DELETE OR UPDATE ON campaigns_filter "
            "FOR EACH STATEMENT EXECUTE FUNCTION decisioning_number_change();",
            "DROP TRIGGER number_change ON campaigns_filter;",
        ),
    ]
