"""The event log becomes partitioned by retention class and by month of arrival; what is in it is carried over."""

from django.db import migrations, models

from decisioning.customers.models import log

FUNCTIONS = """
-- The smallest UUID of version 7 (RFC 9562) that can be made at this moment.
CREATE FUNCTION customers_first_id(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Makes the table that holds one retention class's events of the month of `day`, unless it is there.
CREATE FUNCTION customers_open_month(class integer, day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    shelf text := format('customers_event_keep%s', class);
    month date := date_trunc('month', day)::date;
    leaf text := format('%s_%s', shelf, to_char(month, 'YYYY_MM'));
BEGIN
    IF to_regclass(leaf) IS NOT NULL THEN
        RETURN;
    END IF;
    -- Two processes may come here at the same moment.
    PERFORM pg_advisory_xact_lock(7011970);
    IF to_regclass(shelf) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF customers_event FOR VALUES IN (%s) PARTITION BY RANGE (id)',
                       shelf, class);
    END IF;
    IF to_regclass(leaf) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', leaf, shelf,
                       customers_first_id(month::timestamp AT TIME ZONE 'UTC'),
                       customers_first_id((month + interval '1 month') AT TIME ZONE 'UTC'));
    END IF;
END $$;
"""

LOG = """
ALTER TABLE customers_event RENAME TO customers_event_before;
CREATE TABLE customers_event (
    id uuid NOT NULL,
    keep smallint NOT NULL,
    message_id text NOT NULL,
    identity_id bigint NOT NULL,
    type text NOT NULL,
    name text NOT NULL,
    identifiers json NOT NULL,
    properties json NOT NULL,
    context json NOT NULL,
    timestamp timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    historical boolean NOT NULL,
    bot boolean NOT NULL,
    source text NOT NULL
) PARTITION BY LIST (keep);
-- One event by its id: the consumer's reading, the explorer's newest first.
CREATE UNIQUE INDEX event_by_id ON customers_event (id, keep);
-- One customer's history: rebuilding facts, the timeline.
CREATE INDEX event_of_identity ON customers_event (identity_id, timestamp);
-- The explorer's filter by name, newest first.
CREATE INDEX event_by_name ON customers_event (name, id);
"""

CARRY_OVER = """
-- Months are those of arrival, which a UUID of version 7 begins with.
SELECT customers_open_month(0, month::date) FROM generate_series(
    date_trunc('month', coalesce(
        (SELECT to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0)
         FROM customers_event_before ORDER BY id LIMIT 1), now()) AT TIME ZONE 'UTC'),
    date_trunc('month', now() AT TIME ZONE 'UTC') + interval '3 months', interval '1 month') AS month;

-- Everybody is behind at least one identity, and one identity of each was theirs from the start.
INSERT INTO customers_identity (kind, value, customer_id)
SELECT 'user_id', left(c.key, 200), c.id FROM customers_customer c
WHERE NOT EXISTS (SELECT FROM customers_identity i WHERE i.customer_id = c.id)
ON CONFLICT DO NOTHING;
UPDATE customers_identity i SET home_id = i.customer_id
WHERE i.id = (SELECT s.id FROM customers_identity s WHERE s.customer_id = i.customer_id
              ORDER BY (s.kind <> 'user_id'), s.id LIMIT 1);

-- What keeps the others there from now on.
INSERT INTO customers_link (one_id, other_id, how, at, message_id, followed, code, reason)
SELECT h.id, i.id, 'import', i.created_at, '', true, 'joined', 'They were together before links were kept.'
FROM customers_identity i JOIN customers_identity h ON h.home_id = i.customer_id AND h.id <> i.id;

INSERT INTO customers_event
SELECT e.id, 0, e.message_id, i.id, e.type, e.name, json_build_array(json_build_array(i.kind, i.value)),
       e.properties::json, e.context::json, e.timestamp, e.received_at,
       coalesce((e.context ->> 'historical')::boolean, false), false, ''
FROM customers_event_before e JOIN customers_identity i ON i.home_id = e.customer_id;
INSERT INTO customers_receipt (digest, event_id)
SELECT encode(substr(sha256(convert_to(message_id, 'UTF8')), 1, 16), 'hex')::uuid, id FROM customers_event_before
ON CONFLICT DO NOTHING;
INSERT INTO customers_pending (event_id, identity_id, attempts, problem)
SELECT e.id, i.id, 0, '' FROM customers_event_before e JOIN customers_identity i ON i.home_id = e.customer_id
WHERE e.handled_at IS NULL;

-- Traits were kept on the customer alone; now the log has them too, so that facts can be rebuilt from it.
INSERT INTO customers_event
SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '7'
        || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid, 0, 'traits-before:' || c.id, i.id, 'identify', 'identify',
       json_build_array(json_build_array(i.kind, i.value)), c.traits::json, '{"historical": true}',
       least(c.created_at, f.at), c.created_at, true, false, 'migration'
FROM customers_customer c JOIN customers_identity i ON i.home_id = c.id
LEFT JOIN (SELECT identity_id, min(timestamp) AS at FROM customers_event GROUP BY identity_id) f ON f.identity_id = i.id
WHERE c.traits <> '{}';
-- An identity with a first moment was handled before: its facts are folded anew from the log when they are next wanted.
UPDATE customers_identity i SET first_at = e.at
FROM (SELECT identity_id, min(timestamp) AS at FROM customers_event GROUP BY identity_id) e WHERE e.identity_id = i.id;
DROP TABLE customers_event_before;
"""

# Rows that every event of their customer changes leave room for it in their page.
ROOM = """
ALTER TABLE customers_customer SET (fillfactor = 60);
ALTER TABLE customers_state SET (fillfactor = 60);
"""


class Migration(migrations.Migration):
    dependencies = [("customers", "0002_identity_and_log")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.RunSQL(FUNCTIONS),
        migrations.RunSQL(ROOM),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(LOG), migrations.RunSQL(CARRY_OVER)],
            state_operations=[
                migrations.DeleteModel("Event"),
                migrations.CreateModel(
                    name="Event",
                    fields=[
                        ("id", models.UUIDField(primary_key=True, serialize=False)),
                        ("keep", models.SmallIntegerField(default=0, help_text="For how many months; 0 is for ever.")),
                        ("message_id", models.CharField(max_length=300)),
                        ("type", models.CharField(max_length=10)),
                        ("name", models.CharField(max_length=200)),
                        (
                            "identifiers",
                            log.Kept(default=list, help_text="[kind, value] pairs, the strongest first."),
                        ),
                        ("properties", log.Kept(default=dict, help_text="Of identify and group: the traits.")),
                        ("context", log.Kept(default=dict)),
                        (
                            "identity",
                            models.ForeignKey(
                                db_constraint=False,
                                on_delete=models.DO_NOTHING,
                                related_name="events",
                                to="customers.identity",
                            ),
                        ),
                        ("timestamp", models.DateTimeField()),
                        ("received_at", models.DateTimeField()),
                        ("historical", models.BooleanField(default=False)),
                        ("bot", models.BooleanField(default=False)),
                        ("source", models.CharField(blank=True, max_length=100)),
                    ],
                    options={"db_table": "customers_event"},
                ),
            ],
        ),
    ]
