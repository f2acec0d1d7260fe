"""What is foretold of customers are artefacts too."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("decisioning", "0017_runs")]
    operations = [
        migrations.AlterField(
            "artefact",
            "kind",
            models.CharField(
                choices=[
                    ("scorer", "scorer"),
                    ("clustering", "clustering"),
                    ("recall", "candidate lists"),
                    ("churn", "churn"),
                    ("repurchase", "repurchase"),
                    ("value", "lifetime value"),
                ],
                max_length=12,
            ),
        ),
    ]
