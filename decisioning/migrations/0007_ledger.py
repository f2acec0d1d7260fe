"""The ledger in months, and what it adds up to."""

import django.db.models.functions.datetime
from django.db import migrations, models

# What there is becomes the part that holds whatever belongs to no month; months are then taken out of it.
PARTITION = """
ALTER TABLE decisioning_decision RENAME TO decisioning_decision_rest;
ALTER TABLE decisioning_decision_rest RENAME CONSTRAINT decisioning_decision_pkey TO decisioning_decision_rest_pkey;
ALTER INDEX decision_of_customer RENAME TO decision_rest_of_customer;
ALTER INDEX decision_items RENAME TO decision_rest_items;
ALTER INDEX decision_explanation RENAME TO decision_rest_explanation;
ALTER INDEX decision_of_key RENAME TO decision_rest_of_key;
ALTER INDEX decision_at RENAME TO decision_rest_at;
CREATE TABLE decisioning_decision (LIKE decisioning_decision_rest INCLUDING DEFAULTS INCLUDING STORAGE)
    PARTITION BY RANGE (id);
ALTER TABLE decisioning_decision ATTACH PARTITION decisioning_decision_rest DEFAULT;
ALTER TABLE decisioning_decision ADD CONSTRAINT decisioning_decision_pkey PRIMARY KEY (id);
"""
INDEXES = """
CREATE INDEX decision_of_customer ON decisioning_decision (customer_id, at DESC);
CREATE INDEX decision_items ON decisioning_decision USING gin (items jsonb_path_ops);
CREATE INDEX decision_explanation ON decisioning_decision USING gin (explanation jsonb_path_ops);
CREATE INDEX decision_of_key ON decisioning_decision (customer_key, at DESC);
CREATE INDEX decision_at ON decisioning_decision (at);
"""
MONTHS = """
-- Makes the table for the decisions of the month of `day` by their ids, UUIDs of version 7, unless it is there.
CREATE FUNCTION decisioning_open_month(day date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    month date := date_trunc('month', day)::date;
    leaf text := format('decisioning_decision_%s', to_char(month, 'YYYY_MM'));
    first uuid := customers_first_id(month::timestamp AT TIME ZONE 'UTC');
    beyond uuid := customers_first_id((month + interval '1 month') AT TIME ZONE 'UTC');
BEGIN
    IF to_regclass(leaf) IS NOT NULL THEN
        RETURN false;
    END IF;
    -- Two processes may come here at the same moment.
    PERFORM pg_advisory_xact_lock(7011971);
    IF to_regclass(leaf) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE decisioning_decision INCLUDING DEFAULTS INCLUDING INDEXES INCLUDING STORAGE)',
                   leaf);
    -- Whoever writes meanwhile waits, and then finds the month.
    LOCK TABLE decisioning_decision_rest IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('WITH moved AS (DELETE FROM decisioning_decision_rest WHERE id >= %L AND id < %L RETURNING *) '
                   'INSERT INTO %I SELECT * FROM moved', first, beyond, leaf);
    EXECUTE format('ALTER TABLE decisioning_decision ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   leaf, first, beyond);
    RETURN true;
END $$;
"""
OPEN = """
SELECT decisioning_open_month(month::date) FROM generate_series(
    date_trunc('month', coalesce(
        (SELECT to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0)
         FROM decisioning_decision WHERE id >= customers_first_id('2020-01-01') AND id < customers_first_id(now())
         AND substr(id::text, 15, 1) = '7' ORDER BY id LIMIT 1), now()) AT TIME ZONE 'UTC'),
    date_trunc('month', now() AT TIME ZONE 'UTC') + interval '2 months', interval '1 month') AS month;
"""
PLAIN = f"""
DROP FUNCTION decisioning_open_month(date);
CREATE TABLE decisioning_decision_plain (LIKE decisioning_decision INCLUDING DEFAULTS INCLUDING STORAGE);
INSERT INTO decisioning_decision_plain SELECT * FROM decisioning_decision;
DROP TABLE decisioning_decision;
ALTER TABLE decisioning_decision_plain RENAME TO decisioning_decision;
ALTER TABLE decisioning_decision ADD CONSTRAINT decisioning_decision_pkey PRIMARY KEY (id);
{INDEXES}
"""
# Statement triggers with transition tables: what a COPY, an INSERT that skips what is there, or anything else has
# added is noted in the same transaction, once.
COUNTING = """
-- The groups a decision counts in, from its explanation; whatever shape that has, it never fails.
CREATE FUNCTION decisioning_parts(told jsonb) RETURNS TABLE (part text, name text) LANGUAGE sql IMMUTABLE AS $$
    SELECT 'all', ''
    UNION SELECT 'segment', left(s, 200) FROM jsonb_array_elements_text(
        CASE jsonb_typeof(told -> 'segments') WHEN 'array' THEN told -> 'segments' ELSE '[]' END) AS s
        WHERE s IS NOT NULL
    UNION SELECT 'rule', left(r ->> 'key', 200) FROM jsonb_array_elements(
        CASE jsonb_typeof(told -> 'rules') WHEN 'array' THEN told -> 'rules' ELSE '[]' END) AS r
        WHERE r ->> 'matched' = 'true' AND r ->> 'key' IS NOT NULL
    UNION SELECT 'arm', left(a, 200) FROM jsonb_array_elements_text(
        CASE jsonb_typeof(told -> 'arms') WHEN 'array' THEN told -> 'arms' ELSE '[]' END) AS a
        WHERE a IS NOT NULL
$$;
-- The contents a decision chose, each once.
CREATE FUNCTION decisioning_keys(items jsonb) RETURNS TABLE (content text) LANGUAGE sql IMMUTABLE AS $$
    SELECT DISTINCT left(i ->> 'key', 100) FROM jsonb_array_elements(
        CASE jsonb_typeof(items) WHEN 'array' THEN items ELSE '[]' END) AS i WHERE i ->> 'key' IS NOT NULL
$$;
CREATE FUNCTION decisioning_note_decisions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO decisioning_uncounted (decision_id) SELECT id FROM added ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE FUNCTION decisioning_note_outcomes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO decisioning_uncountedoutcome (outcome_id) SELECT id FROM added;
    RETURN NULL;
END $$;
CREATE TRIGGER note_decisions AFTER INSERT ON decisioning_decision REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION decisioning_note_decisions();
CREATE TRIGGER note_outcomes AFTER INSERT ON decisioning_outcome REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION decisioning_note_outcomes();
INSERT INTO decisioning_uncounted (decision_id) SELECT id FROM decisioning_decision;
INSERT INTO decisioning_uncountedoutcome (outcome_id) SELECT id FROM decisioning_outcome;
"""
NOT_COUNTING = """
DROP TRIGGER note_outcomes ON decisioning_outcome;
DROP TRIGGER note_decisions ON decisioning_decision;
DROP FUNCTION decisioning_note_outcomes();
DROP FUNCTION decisioning_note_decisions();
DROP FUNCTION decisioning_keys(jsonb);
DROP FUNCTION decisioning_parts(jsonb);
"""


class Migration(migrations.Migration):
    dependencies = [("decisioning", "0006_keys"), ("customers", "0003_partitioned_log")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="DroppedMonth",
            fields=[
                ("month", models.DateField(primary_key=True, serialize=False)),
                ("rows", models.BigIntegerField()),
                (
                    "last_day",
                    models.DateField(help_text="Up to this day the statistics cannot be counted anew.", null=True),
                ),
                ("dropped_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("outcomes_gone", models.BooleanField(db_default=False, default=False)),
            ],
        ),
        migrations.CreateModel(
            name="Uncounted",
            fields=[
                ("decision_id", models.UUIDField(primary_key=True, serialize=False)),
            ],
        ),
        migrations.CreateModel(
            name="UncountedOutcome",
            fields=[
                ("outcome_id", models.BigIntegerField(primary_key=True, serialize=False)),
            ],
        ),
        migrations.AddField(
            model_name="decision",
            name="whole",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text="It is kept with everything; no: without reasons, drops and question.",
            ),
        ),
        migrations.CreateModel(
            name="Statistic",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("placement", models.CharField(max_length=100)),
                ("content", models.CharField(max_length=100)),
                (
                    "part",
                    models.CharField(
                        choices=[("all", "everybody"), ("segment", "segment"), ("rule", "rule"), ("arm", "arm")],
                        max_length=10,
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        blank=True, help_text="Key of the segment, rule or arm; nothing for all.", max_length=200
                    ),
                ),
                ("day", models.DateField()),
                ("decisions", models.BigIntegerField(default=0, help_text="Decisions that chose the content.")),
                ("impressions", models.BigIntegerField(default=0, help_text="Of those: seen.")),
                ("shown", models.BigIntegerField(default=0, help_text="Of those: seen, clicked or converted.")),
                ("clicks", models.BigIntegerField(default=0, help_text="Of those: clicked.")),
                ("conversions", models.BigIntegerField(default=0, help_text="Of those: converted.")),
                (
                    "value",
                    models.DecimalField(
                        decimal_places=6, default=0, help_text="Sum of what conversions told.", max_digits=30
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("placement", "day", "part", "name", "content"), name="one_statistic"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Tally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("process", models.UUIDField()),
                ("hour", models.DateTimeField()),
                ("what", models.CharField(max_length=30)),
                ("name", models.CharField(blank=True, max_length=100)),
                ("count", models.BigIntegerField(default=0)),
                ("most", models.FloatField(default=0, help_text="The largest single figure.")),
            ],
            options={
                "verbose_name_plural": "tallies",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("hour", "process", "what", "name"), name="one_tally_a_process_and_hour"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Traffic",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hour", models.DateTimeField()),
                ("placement", models.CharField(max_length=100)),
                (
                    "source",
                    models.CharField(
                        choices=[("api", "API"), ("campaign", "campaign"), ("import", "import")], max_length=10
                    ),
                ),
                ("rung", models.CharField(max_length=20)),
                ("reason", models.CharField(max_length=20)),
                ("decisions", models.BigIntegerField(default=0)),
                (
                    "whole",
                    models.BigIntegerField(
                        default=0, help_text="Of those: kept with everything they were decided from."
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "traffic",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("hour", "placement", "source", "rung", "reason"), name="one_traffic_an_hour"
                    )
                ],
            },
        ),
        migrations.RunSQL(PARTITION + INDEXES, PLAIN),
        migrations.RunSQL(MONTHS + OPEN, migrations.RunSQL.noop),
        migrations.RunSQL(COUNTING, NOT_COUNTING),
    ]
