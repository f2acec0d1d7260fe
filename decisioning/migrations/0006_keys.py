"""What keys may do, from where and how often; when they were last used is no change of a snapshot."""

from django.db import migrations, models

# Everything that decides what a key may do. A key's use is written once a day and must not wake the builder.
COLUMNS = (
    "name, prefix, digest, scopes, active, expires_at, origins, decide_rate, outcome_rate, event_rate, predecessor_id"
)
WATCH = (
    "CREATE TRIGGER number_change AFTER INSERT OR DELETE OR UPDATE{} ON decisioning_apikey "
    "FOR EACH STATEMENT EXECUTE FUNCTION decisioning_number_change();"
)
UNWATCH = "DROP TRIGGER number_change ON decisioning_apikey;"


def rate(label, told):
    return models.PositiveIntegerField(label, null=True, blank=True, help_text=told)


class Migration(migrations.Migration):
    dependencies = [("decisioning", "0005_asked")]
    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AlterField(
            "apikey",
            "scopes",
            models.JSONField(default=list, help_text='Any of "decide", "track", "read", "lists", "manage".'),
        ),
        migrations.AddField(
            "apikey",
            "origins",
            models.JSONField(
                default=list, blank=True, help_text="Whose pages may use it; none: the key is for servers."
            ),
        ),
        migrations.AddField("apikey", "decide_rate", rate("decisions a second", "Empty or 0: no limit.")),
        migrations.AddField("apikey", "outcome_rate", rate("outcomes a second", "Empty or 0: no limit.")),
        migrations.AddField(
            "apikey", "event_rate", rate("events a second", "Empty: the server's own limit. 0: no limit.")
        ),
        migrations.AddField(
            "apikey",
            "last_used_on",
            models.DateField("last used", null=True, editable=False, help_text="The day, in UTC."),
        ),
        migrations.AddField(
            "apikey",
            "predecessor",
            models.OneToOneField(
                "decisioning.apikey",
                on_delete=models.SET_NULL,
                null=True,
                editable=False,
                related_name="successor",
            ),
        ),
        migrations.RunSQL(
            [UNWATCH, WATCH.format(f" OF {COLUMNS}")],
            [UNWATCH, WATCH.format("")],
        ),
    ]
