"""What a decision was asked, so that it can be decided once more."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("decisioning", "0004_watching")]
    operations = [
        migrations.AddField(
            "decision",
            "asked",
            models.JSONField(default=dict, help_text="What else was asked; enough to decide it once more."),
        )
    ]
