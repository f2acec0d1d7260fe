"""Database triggers: what consumers read of defined facts and reactions is numbered as what a snapshot holds is."""

from django.db import migrations

WATCH = """
CREATE TRIGGER number_change AFTER INSERT OR DELETE OR UPDATE OF published_text, type, name ON customers_customfact
    FOR EACH STATEMENT EXECUTE FUNCTION decisioning_number_change();
CREATE TRIGGER number_change AFTER INSERT OR DELETE OR UPDATE ON campaigns_reaction
    FOR EACH STATEMENT EXECUTE FUNCTION decisioning_number_change();
CREATE TRIGGER number_change AFTER INSERT OR DELETE OR UPDATE OF key, active ON campaigns_webhook
    FOR EACH STATEMENT EXECUTE FUNCTION decisioning_number_change();
"""
UNWATCH = """
DROP TRIGGER number_change ON customers_customfact;
DROP TRIGGER number_change ON campaigns_reaction;
DROP TRIGGER number_change ON campaigns_webhook;
"""
# What was counted before outcomes became events too stays out of the log.
TOLD = "UPDATE decisioning_outcome SET told = true"


class Migration(migrations.Migration):

    dependencies = [
        ("decisioning", "0003_archive"),
        ("customers", "0005_facts_and_quality"),
        ("campaigns", "0003_reactions"),
    ]

    operations = [
        migrations.RunSQL(TOLD, migrations.RunSQL.noop),
        migrations.RunSQL(WATCH, UNWATCH),
    ]
