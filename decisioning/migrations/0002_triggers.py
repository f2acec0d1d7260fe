"""Database triggers: any change of what a snapshot holds is numbered, and published revisions never change."""

from django.db import migrations

# Everything that `store.snapshot` freezes. queryset.update() and plain SQL are seen too.
WATCHED = [
    "rules_rule",
    "rules_rule_placements",
    "rules_segment",
    "campaigns_content",
    "campaigns_content_placements",
    "campaigns_content_default_for",
    "campaigns_placement",
    "campaigns_campaign",
    "decisioning_apikey",
    "decisioning_artefact",
]

NUMBER = """
INSERT INTO decisioning_change (id, number, built) VALUES (1, 0, -1);
CREATE FUNCTION decisioning_number_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO decisioning_change (id, number, built) VALUES (1, 1, -1)
    ON CONFLICT (id) DO UPDATE SET number = decisioning_change.number + 1;
    RETURN NULL;
END $$;
"""

FREEZE = """
CREATE FUNCTION rules_refuse_revision_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Who published it may be forgotten; nothing else about it changes.
    IF to_jsonb(NEW) - 'published_by_id' <> to_jsonb(OLD) - 'published_by_id' OR NEW.published_by_id IS NOT NULL
       AND NEW.published_by_id IS DISTINCT FROM OLD.published_by_id THEN
        RAISE EXCEPTION 'A published revision never changes; publish a new one.';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse_change BEFORE UPDATE ON rules_revision
    FOR EACH ROW EXECUTE FUNCTION rules_refuse_revision_change();
"""


# rules_segment also carries size and refreshed_at, which are measurements and not part of a snapshot.
def columns(table: str) -> str:
    return " OF key, name, kind, condition, active" if table == "rules_segment" else ""


def watch(table: str) -> str:
    return (
        f"CREATE TRIGGER number_change AFTER INSERT OR DELETE OR UPDATE{columns(table)} ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION decisioning_number_change();"
    )


def unwatch(table: str) -> str:
    return f"DROP TRIGGER number_change ON {table};"


class Migration(migrations.Migration):
    dependencies = [
        ("decisioning", "0001_initial"),
        ("rules", "0001_initial"),
        ("campaigns", "0002_initial"),
    ]

    operations = [
        migrations.RunSQL(NUMBER, "DROP FUNCTION decisioning_number_change(); DELETE FROM decisioning_change;"),
        *[migrations.RunSQL(watch(table), unwatch(table)) for table in WATCHED],
        migrations.RunSQL(
            FREEZE, "DROP TRIGGER refuse_change ON rules_revision; DROP FUNCTION rules_refuse_revision_change();"
        ),
    ]
