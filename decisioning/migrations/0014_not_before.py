"""What came before a decision did not come of it: the rule for outcomes gets a lower bound beside its windows."""

from django.db import migrations

SIGNATURE = "decisioning_in_time(windows float8[], what text, decided timestamptz, at timestamptz)"
HEAD = f"CREATE OR REPLACE FUNCTION {SIGNATURE} RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$"
WINDOW = "3600 * windows[CASE what WHEN 'impression' THEN 1 WHEN 'click' THEN 2 WHEN 'conversion' THEN 3 ELSE 4 END]"
SECONDS = "extract(epoch FROM at - decided)::float8"
# A moment told by the client's clock may lie before that of ours: so many seconds, as in `Decision.in_time`.
NOT_BEFORE = f"{HEAD} SELECT {SECONDS} BETWEEN -300 AND coalesce({WINDOW}, 'infinity') $$;"
FORMER = f"{HEAD} SELECT coalesce({SECONDS} <= {WINDOW}, true) $$;"


class Migration(migrations.Migration):
    dependencies = [("decisioning", "0013_scores")]
    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.RunSQL(NOT_BEFORE, FORMER),
    ]
