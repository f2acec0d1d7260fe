"""The candidate lists that a placement draws from."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0008_contacts")]
    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            "placement",
            "candidate_lists",
            models.JSONField(
                blank=True,
                db_default=[],
                default=list,
                help_text="For thousands of contents: the lists that choose the 500 worth ranking. None: all contents "
                "compete.",
            ),
        ),
    ]
