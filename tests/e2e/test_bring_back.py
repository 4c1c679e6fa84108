"""Whatever `pg_dump | psql` brings back, opstower brings back; and where even that fails there is a way."""
import signal
import subprocess
import time

from conftest import create_database, psql
from lib import oracle
from lib.backups import error_lines, programs_with, take

# An extension's own tables have their foreign keys as soon as it is there; CHECKs, domains and generated columns call
# functions that read tables, in whichever order the names are.
ORDERED = """
CREATE EXTENSION keyed_config;
INSERT INTO z_parent SELECT g FROM generate_series(4, 3000) g; INSERT INTO a_child SELECT 3001 - g FROM generate_series(1, 3000) g;
CREATE TABLE z_ref (i int); INSERT INTO z_ref VALUES (1);
CREATE FUNCTION filled(int) RETURNS boolean LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM public.z_ref WHERE i = $1)';
CREATE TABLE a_check (i int CHECK (public.filled(i))); INSERT INTO a_check VALUES (1);
CREATE DOMAIN known AS int CHECK (public.filled(VALUE)); CREATE TYPE pair AS (k known, n int);
CREATE TABLE b_domain (p pair); INSERT INTO b_domain VALUES (ROW(1, 2));
CREATE FUNCTION chained() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN EXISTS (SELECT FROM public.y_check); END';
CREATE TABLE a_chain (i int CHECK (public.chained()));
CREATE TABLE y_check (i int CHECK (public.filled(i))); INSERT INTO y_check VALUES (1); INSERT INTO a_chain VALUES (1), (2);
CREATE TABLE heir () INHERITS (a_check); INSERT INTO heir VALUES (1);
CREATE FUNCTION found(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN (SELECT i FROM public.z_ref WHERE i = $1); END';
CREATE TABLE a_made (i int, found int NOT NULL GENERATED ALWAYS AS (public.found(i)) STORED); INSERT INTO a_made VALUES (1);
CREATE TABLE m_big AS SELECT g, repeat('x', 500) FROM generate_series(1, 20000) g;
"""

# Each needs a search_path that pg_dump empties: of the database, the default, or one that only its author had.
PATHS = """
CREATE SCHEMA ext; CREATE SCHEMA app; CREATE EXTENSION hstore SCHEMA ext; ALTER DATABASE "{0}" SET search_path = app, public;
SET search_path = app, public, ext;
CREATE FUNCTION slug(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN inner_slug(v); END';
CREATE FUNCTION inner_slug(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN lower(v); END';
CREATE TABLE page (t text, s text GENERATED ALWAYS AS (slug(t)) STORED); INSERT INTO page VALUES ('A');
CREATE INDEX page_slug ON page (slug(t)); COMMENT ON INDEX page_slug IS 'kept';
CREATE TABLE kind (v text); INSERT INTO kind VALUES ('a');
CREATE FUNCTION is_kind(text) RETURNS boolean LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM kind WHERE v = $1)';
CREATE TABLE thing (v text CHECK (is_kind(v))); INSERT INTO thing VALUES ('a');
CREATE TABLE doc (h hstore, b text); INSERT INTO doc VALUES ('a=>1', 'word');
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER t BEFORE UPDATE ON doc FOR EACH ROW WHEN (OLD.h IS DISTINCT FROM NEW.h) EXECUTE FUNCTION f();
CREATE MATERIALIZED VIEW words AS SELECT word FROM ts_stat('SELECT to_tsvector(''simple'', b) FROM doc');
CREATE TABLE log (tag text);
CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (tg_tag); END';
CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION e();
"""

# Rows that their own rules forbid, and a view whose source is gone. What is left of each afterwards: SQL that is true.
BROKEN = """
CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE orphan (id int CONSTRAINT orphan_fk REFERENCES parent);
CREATE TABLE twice (id int); INSERT INTO twice VALUES (7); CREATE UNIQUE INDEX twice_id ON twice (id);
UPDATE pg_index SET indisready = false, indislive = false WHERE indexrelid = 'twice_id'::regclass;
"""
BROKEN_LATER = """
INSERT INTO twice VALUES (7); UPDATE pg_index SET indisready = true, indislive = true WHERE indexrelid = 'twice_id'::regclass;
CREATE TABLE checked (v int CONSTRAINT small CHECK (v < 10), must int NOT NULL); INSERT INTO checked VALUES (1, 1);
UPDATE pg_constraint SET convalidated = true, conbin = (SELECT conbin FROM pg_constraint WHERE conname = 'small') WHERE conname = 'small';
CREATE FUNCTION rule_now(int) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE TABLE ruled (v int CONSTRAINT ruled CHECK (public.rule_now(v))); INSERT INTO ruled VALUES (1);
CREATE OR REPLACE FUNCTION rule_now(int) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE TABLE holes (v int); INSERT INTO holes VALUES (NULL); UPDATE pg_attribute SET attnotnull = true WHERE attrelid = 'holes'::regclass AND attname = 'v';
SET session_replication_role = replica; INSERT INTO orphan VALUES (9); RESET session_replication_role;
CREATE FUNCTION gone() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'; CREATE MATERIALIZED VIEW view AS SELECT public.gone();
CREATE OR REPLACE FUNCTION gone() RETURNS int LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''the server is gone''; END';
"""
LEFT_OUT = {"orphan_fk is NOT VALID": "SELECT NOT convalidated FROM pg_constraint WHERE conname = 'orphan_fk'",
            "twice_id": "SELECT to_regclass('twice_id') IS NULL AND count(*) = 2 FROM twice",
            "constraint ruled": "SELECT NOT convalidated FROM pg_constraint WHERE conname = 'ruled'",
            "NOT NULL of": "SELECT count(*) = 1 FROM holes",
            "view is not populated": "SELECT NOT relispopulated FROM pg_class WHERE relname = 'view'"}


def eventually(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def beside(opstower, db, database, *arguments, **options):
    copy = db(name=database.name + "_copy")
    copy.server.query(f'DROP DATABASE "{copy.name}"')
    result = opstower("restore", "latest", "--target-db", copy.name, "--force", *arguments,
                      env={"DATABASE_URL": database.url}, **options)
    return copy, result


def stock(db, database, backup):
    other = db(name=database.name + "_stock")
    text = subprocess.run(["gunzip", "-c", str(backup.path)], capture_output=True, check=True).stdout
    psql(other.url, input=text)
    return other


def test_tables_come_after_those_that_their_rules_ask_for(opstower, db):
    database = db()
    database.psql("-c", ORDERED)
    backup = take(opstower, database)
    opstower("verify", backup.path, "--full-test")
    copy, result = beside(opstower, db, database)
    assert "Left out" not in result.stderr and "Stock tools" not in result.stderr
    oracle.assert_same(database.url, copy.url)
    oracle.assert_same(database.url, stock(db, database, backup).url)


def test_objects_that_need_a_search_path_come_back(opstower, db):
    database = db()
    database.psql("-c", PATHS.format(database.name))
    backup = take(opstower, database)
    copy, result = beside(opstower, db, database)
    assert "Left out" not in result.stderr and "search_path = app, public" in result.stderr
    oracle.assert_same(database.url, copy.url)
    result = opstower("verify", backup.path, "--full-test")
    assert "Full restoration test: WARN" in result.stdout and backup.meta["state"] == "proven"


def test_rows_come_back_without_the_rules_that_they_break(opstower, db):
    database = db()
    database.psql("-c", BROKEN)
    database.psql("-c", BROKEN_LATER)
    backup = take(opstower, database)
    result = opstower("verify", backup.path, "--full-test", check=18)
    assert all(what in result.stderr for what in LEFT_OUT) and backup.meta["state"] == "verified"
    copy, result = beside(opstower, db, database)
    for what, sql in LEFT_OUT.items():
        assert what in result.stderr and copy.value(sql) is True, what
    assert oracle.data_fingerprints(copy.url).keys() == oracle.data_fingerprints(database.url).keys()


def test_what_lacks_objects_takes_the_live_databases_place_only_if_that_is_accepted(opstower, db):
    database = db()
    database.psql("-c", BROKEN)
    database.psql("-c", BROKEN_LATER)
    take(opstower, database)
    database.query("CREATE TABLE new ()")
    result = opstower("restore", "latest", "--force", "--no-pre-backup", env={"DATABASE_URL": database.url}, check=18)
    assert f"{database.name}_incomplete_" in error_lines(result)[0] and database.value("SELECT to_regclass('new') IS NOT NULL")
    opstower("restore", "latest", "--force", "--no-pre-backup", "--accept-incomplete", env={"DATABASE_URL": database.url})
    assert database.value("SELECT to_regclass('new') IS NULL AND count(*) = 2 FROM twice")


SLOW = {"pg_restore": 'case "$*" in *--verbose*post-data*) for i in {1..300}; do sleep 0.1; done;; esac; exec "{real}" "$@"'}
COMMENT = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'bound'"


def test_an_extension_that_is_bound_to_the_databases_name(opstower, make_server, folder):
    """cluster_name stands for pg_cron's cron.database_name."""
    server = make_server({"cluster_name": "bound"})
    database = create_database(server, "bound")
    database.psql("-c", "CREATE EXTENSION bound_name; INSERT INTO bound_job VALUES (1); CREATE TABLE t AS SELECT 1 AS a")
    environment = {"DATABASE_URL": database.url, "PG_BINDIR": server.bindir}
    opstower("backup", "--local-only", env=environment)
    database.query("INSERT INTO t VALUES (2); COMMENT ON DATABASE bound IS 'of old'")
    slow = {**environment, "PG_BINDIR": programs_with(folder, server, **SLOW)}
    process = opstower.popen("restore", "latest", "--force", "--no-pre-backup", env=slow)
    eventually(lambda: "under its own name" in (server.query(COMMENT) or [[""]])[0][0])
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert server.query(COMMENT) == [("of old",)] and database.value("SELECT count(*) FROM t") == 2
    process = opstower.popen("restore", "latest", "--force", "--no-pre-backup", env=slow)
    eventually(lambda: "under its own name" in (server.query(COMMENT) or [[""]])[0][0])
    process.kill()
    process.communicate(timeout=60)
    result = opstower("restore", "latest", "--force", "--no-pre-backup", env=environment)
    assert "putting back the former one" in result.stdout
    assert database.value("SELECT count(*) FROM t") == 1 and database.value("SELECT count(*) FROM bound_job") == 1
    assert [name.split("_")[1] for name in server.databases() if name.startswith("bound_")] == ["replaced"]
