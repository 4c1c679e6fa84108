"""`restore --table ... --put-back`: either every row of the backup is there afterwards, once and as it was, or nothing is changed and it is said why."""
import shutil

import psycopg2
import pytest

from conftest import create_database, drop_databases
from lib import oracle, pgserver, runner
from lib.backups import error_lines, take

TEN = "INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 10) g;"
KEYED = "CREATE TABLE t (id int PRIMARY KEY, v text);" + TEN
PARTS = """
CREATE TABLE m (id int, at date, v text, PRIMARY KEY (id, at, v)) PARTITION BY RANGE (at); CREATE INDEX ON m (v);
CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE m_2 PARTITION OF m FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (v);
CREATE TABLE m_2x PARTITION OF m_2 FOR VALUES IN ('x'); CREATE TABLE m_2d PARTITION OF m_2 DEFAULT;
ALTER INDEX m_2x_v_idx RENAME TO named_by_hand; CREATE INDEX own ON m_1 (at) WHERE id > 3;
INSERT INTO m SELECT g, date '2024-01-01' + g, CASE g % 3 WHEN 0 THEN 'x' ELSE 'y' END FROM generate_series(1, 500) g;
CREATE TABLE ref (id int, at date, v text, FOREIGN KEY (id, at, v) REFERENCES m); INSERT INTO ref SELECT id, at, v FROM m WHERE id < 3;
GRANT SELECT ON m_1, m_2x TO PUBLIC; COMMENT ON TABLE m_1 IS 'the first';
"""
USERS = """
CREATE TABLE users (id int PRIMARY KEY, name text DEFAULT 'x'); INSERT INTO users SELECT g, 'n' FROM generate_series(1, 10) g;
CREATE TABLE bookings (id int PRIMARY KEY, user_id int REFERENCES users); INSERT INTO bookings SELECT g, g FROM generate_series(1, 10) g;
CREATE VIEW v1 AS SELECT id FROM users; CREATE VIEW v2 AS SELECT id FROM v1; COMMENT ON VIEW v2 IS 'second'; GRANT SELECT ON v2 TO PUBLIC;
CREATE VIEW grouped AS SELECT id, name FROM users GROUP BY id; CREATE MATERIALIZED VIEW mv AS SELECT count(*) FROM users; CREATE INDEX ON mv (count);
CREATE RULE r AS ON DELETE TO users DO INSTEAD NOTHING; CREATE FUNCTION f(users) RETURNS int LANGUAGE sql AS 'SELECT 1';
"""
RICH = r"""
CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE SEQUENCE numbers;
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE TABLE rich (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, old serial, feeling mood DEFAULT 'good', n positive,
  "Odd ""column" text COLLATE "C", number int DEFAULT nextval('numbers'), double int GENERATED ALWAYS AS (twice(number)) STORED,
  during int4range, EXCLUDE USING gist (during WITH &&), CHECK (n < 1000), UNIQUE (old) DEFERRABLE) WITH (fillfactor = 70);
CREATE INDEX rich_twice ON rich (twice(number)) WHERE n > 3; COMMENT ON INDEX rich_twice IS 'an index';
CREATE STATISTICS rich_stats ON old, number FROM rich; COMMENT ON COLUMN rich.n IS 'a number'; ALTER TABLE rich ALTER n SET STATISTICS 7;
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER look BEFORE UPDATE ON rich FOR EACH ROW EXECUTE FUNCTION look(); ALTER TABLE rich ENABLE ALWAYS TRIGGER look;
ALTER TABLE rich ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON rich USING (n > 1); GRANT SELECT (id), UPDATE (n) ON rich TO PUBLIC;
CREATE UNIQUE INDEX rich_n ON rich (old, id); ALTER TABLE rich REPLICA IDENTITY USING INDEX rich_pkey; ALTER TABLE rich CLUSTER ON rich_n;
INSERT INTO rich (n, during) SELECT g, int4range(g, g + 1) FROM generate_series(1, 20) g;
"""
TRIGGER = "CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS '{}'; CREATE TRIGGER fire {} INSERT ON t FOR EACH ROW EXECUTE FUNCTION fire();"
DELETED = "DELETE FROM t WHERE id > 5"

# name: SQL before the backup, the tables asked for, what happens then, exit code, what is said, checks: SQL that must be
# true. "same": rows of the schema's tables are those of the backup; "schema": so is pg_dump's text; code not 0 or 18:
# nothing is changed.
CASES = {
    # ---- keys
    "a unique value is taken by now": (
        "CREATE TABLE t (id int PRIMARY KEY, v text UNIQUE);" + TEN, ["t"],
        DELETED + "; INSERT INTO t SELECT id + 100, 'v' || id FROM generate_series(6, 9) id", 11, "4 of the 5 missing rows", []),
    "an exclusion constraint is in the way": (
        "CREATE TABLE t (id int PRIMARY KEY, r int4range, EXCLUDE USING gist (r WITH &&)); INSERT INTO t SELECT g, int4range(g, g + 1) FROM generate_series(1, 10) g",
        ["t"], DELETED + "; INSERT INTO t VALUES (99, '[6,8)')", 11, "2 of the 5 missing rows", []),
    "the key was dropped": (KEYED, ["t"], "ALTER TABLE t DROP CONSTRAINT t_pkey; DELETE FROM t WHERE id = 3", 12, "ADD PRIMARY KEY", []),
    "made again without a key": (KEYED, ["t"], "ALTER TABLE t RENAME TO t_old; CREATE TABLE t AS SELECT * FROM t_old WHERE id < 4", 12, "ADD PRIMARY KEY", []),
    "the key is over other columns": (KEYED, ["t"], "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (v, id)", 12, "primary or unique key", []),
    "another unique index over the key": (KEYED, ["t"], "ALTER TABLE t DROP CONSTRAINT t_pkey; CREATE UNIQUE INDEX ON t (id); " + DELETED, 0, "5 rows", ["same"]),
    "an index over the key that is not valid for all rows": (
        KEYED, ["t"], "ALTER TABLE t DROP CONSTRAINT t_pkey; CREATE UNIQUE INDEX ON t (id) WHERE id < 4", 12, "ADD PRIMARY KEY", []),
    "a deferrable key": ("CREATE TABLE t (id int PRIMARY KEY DEFERRABLE, v text);" + TEN, ["t"], DELETED, 0, "5 rows", ["same"]),
    "a deferred unique value is taken": (
        "CREATE TABLE t (id int PRIMARY KEY, v text UNIQUE DEFERRABLE INITIALLY DEFERRED);" + TEN, ["t"],
        DELETED + "; INSERT INTO t VALUES (99, 'v6')", 11, "t_v_key", []),
    "a key of two columns": (
        "CREATE TABLE t (a int, b text, v int, PRIMARY KEY (b, a)); INSERT INTO t SELECT g % 3, 'k' || g, g FROM generate_series(1, 20) g", ["t"],
        "DELETE FROM t WHERE v > 9", 0, "11 rows", ["same"]),
    "a key with NaN and both zeros": (
        "CREATE TABLE t (id float8 PRIMARY KEY, v text); INSERT INTO t VALUES ('NaN', 'n'), (0, 'z'), ('-Infinity', 'i')", ["t"],
        "DELETE FROM t WHERE id = '-Infinity'; UPDATE t SET id = '-0' WHERE id = 0", 0, "1 rows of", ["(SELECT count(*) = 3 FROM t)"]),
    "a citext key": (
        "CREATE TABLE t (id public.citext PRIMARY KEY, v text); INSERT INTO t VALUES ('Anna', 'a'), ('Bert', 'b')", ["t"],
        "DELETE FROM t WHERE id = 'bert'; UPDATE t SET id = 'ANNA' WHERE v = 'a'", 0, "Put back 1 rows",
        ["(SELECT string_agg(id::text, ',' ORDER BY v) = 'ANNA,Bert' FROM t)"]),
    "a key that knows no case": (
        "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
        "CREATE TABLE t (id text COLLATE ci PRIMARY KEY, v text COLLATE \"C\"); INSERT INTO t VALUES ('Anna', 'a'), ('Bert', 'b')", ["t"],
        "DELETE FROM t WHERE v = 'b'; UPDATE t SET id = 'ANNA' WHERE v = 'a'", 0, "Put back 1 rows", ["(SELECT count(*) = 2 FROM t)"]),
    "keys of many types": (
        "CREATE TABLE t (a uuid, b numeric, c timestamptz, d int[], e inet, PRIMARY KEY (a, b, c, d, e));"
        "INSERT INTO t SELECT md5(g::text)::uuid, g / 7.0, '2024-03-31 01:30+00'::timestamptz + g * interval '1 hour', ARRAY[g, NULL], '10.0.0.1' FROM generate_series(1, 9) g",
        ["t"], "DELETE FROM t WHERE d[1] > 4", 0, "5 rows", ["same"]),
    "quoted names": (
        'CREATE TABLE "T ""x"", é" ("Key, 1" text PRIMARY KEY, "select" int); INSERT INTO "T ""x"", é" VALUES (\'a\', 1), (E\'\\\\.\', 2)',
        ['"T ""x"", é"'], 'DELETE FROM "T ""x"", é" WHERE "select" = 2', 0, "1 rows", ["same"]),
    # ---- without a key
    "no key, NULLs and duplicates": (
        "CREATE TABLE t (a int, v text); INSERT INTO t VALUES (1, 'x'), (1, 'x'), (NULL, NULL), (NULL, NULL), (2, '')", ["t"],
        "DELETE FROM t WHERE ctid <> (SELECT min(ctid) FROM t WHERE a = 1)", 0, "4 rows", ["same"]),
    "a unique column that may be NULL": (
        "CREATE TABLE t (a int UNIQUE, v text); INSERT INTO t VALUES (NULL, 'x'), (NULL, 'x'), (1, 'y')", ["t"], "DELETE FROM t", 0, "3 rows", ["same"]),
    "a unique index on some rows only": (
        "CREATE TABLE t (a int NOT NULL, v text); CREATE UNIQUE INDEX ON t (a) WHERE a > 1; INSERT INTO t VALUES (1, 'x'), (1, 'x'), (2, 'y')", ["t"],
        "DELETE FROM t WHERE ctid <> (SELECT min(ctid) FROM t)", 0, "2 rows", ["same"]),
    "unique and not null is a key": (
        "CREATE TABLE t (id int NOT NULL UNIQUE, v text);" + TEN, ["t"], DELETED + "; UPDATE t SET v = 'new' WHERE id = 2", 0, "1 rows of",
        ["(SELECT count(*) = 10 AND bool_or(v = 'new') FROM t)"]),
    "no columns": ("CREATE TABLE t (); INSERT INTO t SELECT FROM generate_series(1, 5)", ["t"],
                   "DELETE FROM t WHERE ctid IN (SELECT ctid FROM t LIMIT 3)", 0, "3 rows", ["(SELECT count(*) = 5 FROM t)"]),
    # ---- rows that changed, and those who change them
    "changed rows are left and told": (KEYED, ["t"], DELETED + "; UPDATE t SET v = 'new' WHERE id < 3", 0, "2 rows of", ["(SELECT count(*) = 10 FROM t)"]),
    "nothing is missing": (KEYED, ["t"], "SELECT 1", 0, "Put back 0 rows", ["same", "schema"]),
    "a trigger leaves rows out": (KEYED, ["t"], TRIGGER.format("BEGIN RETURN NULL; END", "BEFORE") + DELETED, 11, "5 rows of the backup are still missing", []),
    "a trigger changes rows": (
        KEYED, ["t"], TRIGGER.format("BEGIN NEW.v := ''''other''''; RETURN NEW; END".replace("''''", "''"), "BEFORE") + DELETED, 11, "5 rows would not be", []),
    "a trigger adds rows": (
        KEYED + "CREATE TABLE other (id int); INSERT INTO other VALUES (1)", ["t"],
        TRIGGER.format("BEGIN IF NEW.id < 100 THEN INSERT INTO t VALUES (NEW.id + 100); END IF; RETURN NEW; END", "AFTER")
        .replace("INTO t ", "INTO {schema}.t ") + DELETED, 11, "trigger fire", []),
    "a trigger that waits for the end takes rows away": (
        KEYED, ["t"], TRIGGER.format("BEGIN DELETE FROM {schema}.t WHERE id = NEW.id; RETURN NULL; END", "AFTER")
        .replace("CREATE TRIGGER fire AFTER INSERT ON t", "CREATE CONSTRAINT TRIGGER fire AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED") + DELETED,
        11, "still missing", []),
    "a trigger that is off": (KEYED, ["t"], TRIGGER.format("BEGIN RETURN NULL; END", "BEFORE") + "ALTER TABLE t DISABLE TRIGGER fire;" + DELETED, 0, "5 rows", ["same"]),
    "a trigger whose names are not to be found": (
        KEYED, ["t"], TRIGGER.format("BEGIN INSERT INTO nowhere VALUES (1); RETURN NEW; END", "AFTER") + DELETED, 11, "PGOPTIONS='-c search_path", []),
    "a rule instead": (KEYED, ["t"], "CREATE RULE no AS ON INSERT TO t DO INSTEAD NOTHING; " + DELETED, 11, 'rule no', []),
    "row level security": (KEYED, ["t"], "ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; " + DELETED, 0, "5 rows", ["same"]),
    # ---- columns
    "a column was dropped": (KEYED, ["t"], "ALTER TABLE t DROP v", 12, 'its column "v" was dropped or renamed', []),
    "a column was added": (KEYED, ["t"], "ALTER TABLE t ADD w int DEFAULT 3, ADD x int; " + DELETED, 0, "5 rows", ["(SELECT count(*) = 10 AND min(w) = 3 FROM t)"]),
    "a column was added that must be given": (KEYED, ["t"], "DELETE FROM t; ALTER TABLE t ADD w int NOT NULL", 12, 'its column "w" is new', []),
    "a column became a generated one": (KEYED, ["t"], "ALTER TABLE t DROP v, ADD v text GENERATED ALWAYS AS (id::text) STORED", 12, "is a generated one now", []),
    "a wider type": (KEYED, ["t"], "ALTER TABLE t ALTER id TYPE bigint, ALTER v TYPE varchar(10);" + DELETED, 0, "5 rows", ["(SELECT count(*) = 10 FROM t)"]),
    "a type that would cut": (KEYED, ["t"], "DELETE FROM t; ALTER TABLE t ALTER v TYPE varchar(1)", 11, "value too long", []),
    "a type that would round": (
        "CREATE TABLE t (id int PRIMARY KEY, v numeric(6, 2)); INSERT INTO t SELECT g, g + 0.25 FROM generate_series(1, 10) g", ["t"],
        DELETED + "; ALTER TABLE t ALTER v TYPE numeric(6, 0)", 11, "rows would not be", []),
    "times with a zone by now": (
        "CREATE TABLE t (id int PRIMARY KEY, v timestamp); INSERT INTO t SELECT g, '2024-03-31 02:30' FROM generate_series(1, 10) g", ["t"],
        "DELETE FROM t; ALTER TABLE t ALTER v TYPE timestamptz", 0, "10 rows", ["(SELECT count(*) = 10 FROM t)"]),
    "a domain that is stricter by now": (
        "CREATE DOMAIN d AS int CHECK (VALUE > 0); CREATE TABLE t (id int PRIMARY KEY, v d); INSERT INTO t SELECT g, g FROM generate_series(1, 10) g", ["t"],
        DELETED + "; ALTER DOMAIN d ADD CHECK (VALUE < 6)", 11, "text: the live database", []),
    "an enum that was made anew": (
        "CREATE TYPE e AS ENUM ('a', 'b'); CREATE TABLE t (id int PRIMARY KEY, v e); INSERT INTO t SELECT g, 'b' FROM generate_series(1, 10) g", ["t"],
        "DELETE FROM t; ALTER TABLE t ALTER v TYPE text; DROP TYPE e", 0, "10 rows", ["(SELECT count(*) = 10 AND min(v) = 'b' FROM t)"]),
    "a view by that name": (KEYED, ["t"], "ALTER TABLE t RENAME TO t_old; CREATE VIEW t AS SELECT * FROM t_old", 12, "something else now", []),
    # ---- sequences
    "identity by default": (
        "CREATE TABLE t (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, v text); INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 9)", ["t"],
        "TRUNCATE t RESTART IDENTITY", 0, "Moved sequence", ["same", "(SELECT nextval(pg_get_serial_sequence('t', 'id')) = 10)"]),
    "identity always": (
        "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY (INCREMENT -1) PRIMARY KEY, v text); INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 9)", ["t"],
        "TRUNCATE t RESTART IDENTITY", 0, "Moved sequence", ["same", "(SELECT nextval(pg_get_serial_sequence('t', 'id')) = -10)"]),
    "serial that went on since": (
        "CREATE TABLE t (id serial PRIMARY KEY, v text); INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 9)", ["t"],
        "SELECT nextval('t_id_seq') FROM generate_series(1, 50); DELETE FROM t", 0, "9 rows", ["same", "(SELECT nextval('t_id_seq') = 60)"]),
    "a sequence that others use too": (
        "CREATE SEQUENCE s; CREATE TABLE t (id int DEFAULT nextval('s') PRIMARY KEY, v text); INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 9)", ["t"],
        "ALTER SEQUENCE s RESTART; DELETE FROM t", 0, "Moved sequence", ["same", "(SELECT nextval('s') = 10)"]),
    "a sequence under another name by now": (
        "CREATE TABLE t (id serial PRIMARY KEY, v text); INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 9)", ["t"],
        "DROP TABLE t; CREATE SEQUENCE other; CREATE TABLE t (id int DEFAULT nextval('other') PRIMARY KEY, v text)", 0, "Moved sequence",
        ["same", "(SELECT nextval('other') = 10)"]),
    # ---- foreign keys
    "rows of others went along": (
        KEYED + "CREATE TABLE c (id int PRIMARY KEY, t int REFERENCES t ON DELETE CASCADE); INSERT INTO c SELECT g, g FROM generate_series(1, 10) g;", ["t"],
        DELETED, 0, "give --table {schema}.c as well", []),
    "both sides of a cascade": (
        KEYED + "CREATE TABLE c (id int PRIMARY KEY, t int REFERENCES t ON DELETE CASCADE); INSERT INTO c SELECT g, g FROM generate_series(1, 10) g;", ["c", "t"],
        DELETED, 0, "5 rows", ["same"]),
    "a circle of foreign keys": (
        KEYED + "CREATE TABLE c (id int PRIMARY KEY REFERENCES t DEFERRABLE, v int); INSERT INTO c SELECT g, g FROM generate_series(1, 10) g;"
        "ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES c DEFERRABLE", ["c", "t"], "BEGIN; SET CONSTRAINTS ALL DEFERRED; DELETE FROM t; DELETE FROM c; COMMIT", 0, "10 rows", ["same"]),
    "a table that refers to itself": (
        "CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES t); INSERT INTO t SELECT g, CASE WHEN g < 10 THEN g + 1 END FROM generate_series(1, 10) g", ["t"],
        "DELETE FROM t", 0, "10 rows", ["same"]),
    # ---- parents and children
    "an inheriting table has rows of the same key": (
        KEYED + "CREATE TABLE c (w int, PRIMARY KEY (id)) INHERITS (t); INSERT INTO c SELECT g, 'v' || g, 0 FROM generate_series(5, 7) g", ["t"],
        "DELETE FROM ONLY t", 0, "its rows are not among those", ["same"]),
    "the same without keys": (
        "CREATE TABLE t (id int, v text);" + TEN + "CREATE TABLE c () INHERITS (t); INSERT INTO c SELECT * FROM ONLY t", ["t"], "DELETE FROM ONLY t", 0, "10 rows", ["same"]),
    "parent and child were dropped": (
        KEYED + "CREATE TABLE c (w int, PRIMARY KEY (id)) INHERITS (t); INSERT INTO c SELECT g, 'v' || g, 0 FROM generate_series(5, 7) g", ["c", "t"],
        "DROP TABLE t CASCADE", 0, "again", ["same", "schema"]),
    "a child without its parent": (
        KEYED + "CREATE TABLE c (w int) INHERITS (t)", ["c"], "DROP TABLE t CASCADE", 12, "give --table {schema}.t as well", []),
    "a parent whose child is gone too": (
        KEYED + "CREATE TABLE c (w int) INHERITS (t)", ["t"], "DROP TABLE t CASCADE", 0, "give --table {schema}.c as well", []),
    # ---- partitions
    "a partitioned table was dropped": (PARTS, ["m"], "DROP TABLE m CASCADE", 0, "again", ["same", "schema"]),
    "one partition was dropped": (PARTS, ["m_1"], "DROP TABLE m_1 CASCADE", 0, "again", ["(SELECT count(*) = 500 FROM m)", "schema"]),
    "the whole is asked for, one partition was dropped": (PARTS, ["m"], "DROP TABLE m_1 CASCADE", 0, "again", ["(SELECT count(*) = 500 FROM m)", "schema"]),
    "a partition of a partition was dropped": (PARTS, ["m"], "DROP TABLE m_2x CASCADE", 0, "again", ["same", "schema"]),
    "a partition with partitions was dropped": (PARTS, ["m_2"], "DROP TABLE m_2 CASCADE", 0, "again", ["same", "schema"]),
    "a partition without its parent": (PARTS, ["m_1"], "DROP TABLE m CASCADE", 12, "give --table {schema}.m as well", []),
    "all rows of all partitions": (PARTS, ["m"], "DELETE FROM ref; DELETE FROM m", 0, "m_2d", ["(SELECT count(*) = 500 FROM m)"]),
    "partitions are other ones by now": (
        PARTS, ["m"], "DROP TABLE m_2 CASCADE; CREATE TABLE n_1 PARTITION OF m FOR VALUES FROM ('2025-01-01') TO ('2025-02-01'); CREATE TABLE n_2 PARTITION OF m DEFAULT", 11,
        "would overlap", []),
    "a detached partition": (PARTS, ["m"], "DELETE FROM ref; ALTER TABLE m DETACH PARTITION m_1", 11, "no partition", []),
    "a detached partition by its own name": (
        PARTS, ["m_1"], "DELETE FROM ref; ALTER TABLE m DETACH PARTITION m_1; DELETE FROM m_1 WHERE id > 200", 0, "165 rows", ["(SELECT count(*) = 365 FROM m_1)"]),
    "a partition with other bounds": (
        PARTS, ["m"], "DELETE FROM ref; ALTER TABLE m DETACH PARTITION m_1; DELETE FROM m_1; CREATE TABLE n_1 PARTITION OF m FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');"
        "ALTER TABLE m ATTACH PARTITION m_1 FOR VALUES FROM ('2024-07-01') TO ('2025-01-01')", 0, "365 rows", ["(SELECT count(*) = 500 FROM m)"]),
    # ---- what goes along with a dropped table
    "everything that depends on it": (USERS, ["users"], "DROP TABLE users CASCADE", 0, "Made again: FK CONSTRAINT", ["same", "schema"]),
    "rows of others that no longer match": (
        USERS, ["users"], "DROP TABLE users CASCADE; UPDATE bookings SET user_id = 99 WHERE id = 1", 18, "NOT VALID", ["(SELECT NOT convalidated FROM pg_constraint WHERE conname = 'bookings_user_id_fkey' AND connamespace = '{schema}'::regnamespace)"]),
    "what is still there stays": (
        USERS, ["users"], "DROP VIEW grouped; ALTER TABLE bookings DROP CONSTRAINT bookings_user_id_fkey; DROP TABLE users CASCADE; CREATE VIEW v1 AS SELECT 7 AS id", 0, "again",
        ["(SELECT id = 7 FROM v1)", "(SELECT count(*) = 10 FROM grouped)"]),
    "its name for an index is taken": (KEYED, ["t"], "DROP TABLE t; CREATE TABLE other (id int); CREATE INDEX t_pkey ON other (id)", 18, "Left out: CONSTRAINT", ["(SELECT count(*) = 10 FROM t)"]),
    "all that a table can have": (RICH, ["rich"], "DROP TABLE rich", 0, "again", ["same", "schema"]),
    "its schema was dropped": (RICH, ["rich"], "DROP SCHEMA {schema} CASCADE", 0, "again", ["same", "schema"]),
}
# Not run each time: its kind is there by another member.
LONG = {"made again without a key", "a key of two columns", "a unique column that may be NULL", "identity always", "the same without keys", "a table that refers to itself",
        "a partition of a partition was dropped", "an index over the key that is not valid for all rows", "all rows of all partitions", "a view by that name",
        "a partition with partitions was dropped", "a trigger that is off", "keys of many types", "a sequence that others use too", "a column became a generated one"}
SCHEMAS = {name: f"c{i}" for i, name in enumerate(CASES)}


@pytest.fixture(scope="module")
def cases(server):
    """One database with a schema per case, and one backup of it."""
    folder = pgserver.temporary_folder("opstower-putback-")
    database = create_database(server, "putback")
    database.query("CREATE EXTENSION citext SCHEMA public; CREATE TABLE public.note_of (id int); CREATE TABLE public.booking (id int PRIMARY KEY);"
                   "INSERT INTO booking SELECT generate_series(1, 10); CREATE TABLE public.wide AS SELECT g AS id, repeat(md5(g::text), 9) AS v FROM generate_series(1, 40000) g;"
                   "CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO note_of VALUES (NEW.id); RETURN NEW; END';"
                   "CREATE TRIGGER note AFTER INSERT ON public.booking FOR EACH ROW EXECUTE FUNCTION public.note()")
    for name, (setup, *_) in CASES.items():
        database.query(f"CREATE SCHEMA {SCHEMAS[name]}; SET search_path = {SCHEMAS[name]}, public; {setup}")
    program = runner.Opstower(folder, {"PG_BINDIR": server.bindir, "DATABASE_URL": database.url})
    database.program = program
    take(program, database)
    yield database
    drop_databases(server, database.name)
    shutil.rmtree(folder)


def rows_of(database, schema):
    """Each table's rows, sorted."""
    tables = [row[0] for row in database.query("SELECT quote_ident(relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = %s::regnamespace ORDER BY 1", (schema,))] \
        if database.query("SELECT FROM pg_namespace WHERE nspname = %s", (schema,)) else []
    return {table: database.query(f"SET search_path = {schema}, public; SELECT t::text FROM ONLY {table} t ORDER BY 1") for table in tables}


def schema_of(database, schema):
    return sorted(line for line in oracle.schema_dump(database.url, "-n", schema).split("\n") if line and not line.startswith("--"))


def put_back(database, tables, **options):
    asked = [word for table in tables for word in ("--table", table)]
    return database.program("restore", "latest", *asked, "--put-back", **options)


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.long) if name in LONG else name for name in CASES])
def test_rows_are_put_back_or_nothing_is_changed(cases, name):
    _, tables, accident, code, said, checks = CASES[name]
    schema = SCHEMAS[name]
    wanted_rows, wanted_schema = rows_of(cases, schema), schema_of(cases, schema) if "schema" in checks else None
    cases.query(f"SET search_path = {schema}, public; {accident.replace('{schema}', schema)}")
    before = rows_of(cases, schema)
    result = put_back(cases, [f"{schema}.{table}" for table in tables], check=code)
    assert said.replace("{schema}", schema) in result.output, result
    if code not in (0, 18):
        assert rows_of(cases, schema) == before
        assert len(error_lines(result)) == 1, result
    for check in checks:
        if check == "same":
            assert rows_of(cases, schema) == wanted_rows
        elif check == "schema":
            assert schema_of(cases, schema) == wanted_schema
        else:
            assert cases.value(f"SET search_path = {schema}, public; SELECT {check.replace('{schema}', schema)}"), check


def test_triggers_see_the_search_path_of_the_database(cases):
    cases.query("DELETE FROM booking WHERE id > 5")
    put_back(cases, ["booking"])
    assert cases.query("SELECT (SELECT count(*) FROM booking), (SELECT count(*) FROM note_of)") == [(10, 5)]


def test_time_does_not_grow_with_the_square_of_the_rows(cases):
    cases.query("DELETE FROM wide WHERE id % 10 = 0; ANALYZE wide")
    put_back(cases, ["wide"], timeout=40)
    assert cases.value("SELECT count(*) = 40000 AND count(DISTINCT id) = 40000 FROM wide")


def test_others_wait_until_the_rows_are_counted(cases, server):
    """A writer in the middle of its work is waited for; what it wrote is seen."""
    cases.query("DELETE FROM booking WHERE id > 8")
    with psycopg2.connect(server.url(cases.name)) as other, other.cursor() as cursor:
        cursor.execute("INSERT INTO booking VALUES (9)")
        asked = cases.program.popen("restore", "latest", "--table", "booking", "--put-back")
        for _ in range(200):
            if asked.poll() is not None or cases.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'ShareRowExclusiveLock'"):
                break
        other.commit()
    output = b"".join(asked.communicate(timeout=60))
    assert asked.returncode == 0 and b"Put back 1 rows" in output, output
    assert cases.value("SELECT count(*) FROM booking") == 10


def test_the_statement_that_is_printed_puts_the_rows_back(cases):
    cases.query("DELETE FROM booking WHERE id > 7; DELETE FROM wide WHERE id < 10")
    result = cases.program("restore", "latest", "--table", "booking", "--table", "wide")
    for line in result.stdout.splitlines():
        if "To put back the rows that are missing" in line:
            cases.query(line.split(": ", 1)[1])
    assert cases.query("SELECT (SELECT count(*) FROM booking), (SELECT count(*) FROM wide)") == [(10, 40000)]


# What an event trigger of the live database does to a table that is made there. Rows go in with their table's triggers.
EVENT_TRIGGERS = {
    "refuses": "RAISE EXCEPTION 'no tables by day'",
    "adds a column": "FOR t IN SELECT object_identity FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE' LOOP"
                     " EXECUTE 'ALTER TABLE ' || t || ' ADD COLUMN made_by text NOT NULL DEFAULT current_user'; END LOOP",
}
NOISY = """CREATE FUNCTION public.noisy() RETURNS event_trigger LANGUAGE plpgsql AS $$DECLARE t text; BEGIN {}; END$$;
CREATE EVENT TRIGGER "Noisy" ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'CREATE SCHEMA') EXECUTE FUNCTION public.noisy()"""


@pytest.fixture
def noisy(opstower, db):
    """A database with a backup; noisy.program restores in it. Its rows are lost, and one of its tables."""
    database = db()
    database.query(KEYED + "CREATE TABLE gone AS SELECT * FROM t; CREATE TABLE log (id int);"
                   + TRIGGER.format("BEGIN INSERT INTO log VALUES (NEW.id); RETURN NEW; END", "AFTER"))
    database.program = lambda *words, **options: opstower(*words, env={"DATABASE_URL": database.url}, **options)
    take(opstower, database)
    database.query(DELETED + "; DROP TABLE gone")
    return database


@pytest.mark.parametrize("does", EVENT_TRIGGERS)
def test_event_triggers_do_not_fire_on_what_a_superuser_has_made(noisy, does):
    noisy.query(NOISY.format(EVENT_TRIGGERS[does]))
    put_back(noisy, ["t", "gone"])
    assert noisy.value("SELECT (SELECT count(*) FROM t) = 10 AND (SELECT count(*) FROM gone) = 10 AND (SELECT count(*) FROM log) = 5")
    assert noisy.value("SELECT count(*) = 2 FROM pg_attribute WHERE attrelid = 'gone'::regclass AND attnum > 0")


def test_event_triggers_that_are_heard_are_named(noisy):
    noisy.query(NOISY.format(EVENT_TRIGGERS["refuses"]) + '; ALTER EVENT TRIGGER "Noisy" ENABLE ALWAYS')
    result = put_back(noisy, ["t"], check=False)
    if noisy.value("SELECT current_setting('event_triggers', true) IS NOT NULL"):
        assert result.returncode == 0
        return
    assert result.returncode == 11 and 'fire on what is made: "Noisy"' in error_lines(result)[0]
    assert noisy.value("SELECT count(*) = 5 FROM t")
