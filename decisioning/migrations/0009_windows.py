"""A decision keeps the windows in which what follows it counts, and the database judges by them."""

import django.contrib.postgres.fields
from django.db import migrations, models

# One rule for statistics, learning, reports and answers. A decision without windows (imported, or made before there
# were any) is credited with everything that follows.
IN_TIME = """
CREATE FUNCTION decisioning_in_time(windows float8[], what text, decided timestamptz, at timestamptz)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(extract(epoch FROM at - decided)::float8 <= 3600 * windows[
        CASE what WHEN 'impression' THEN 1 WHEN 'click' THEN 2 WHEN 'conversion' THEN 3 ELSE 4 END], true)
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("decisioning", "0008_attribution"), ("campaigns", "0006_windows")]
    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            "decision",
            "windows",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.FloatField(),
                help_text="Hours for which impressions, clicks, conversions and their value count; nothing: for ever.",
                null=True,
                size=None,
            ),
        ),
        migrations.RunSQL(IN_TIME, "DROP FUNCTION decisioning_in_time(float8[], text, timestamptz, timestamptz);"),
    ]
