"""Settings of a server, database or role change neither what is read nor whether we survive; poolers."""
import threading

import psycopg2
import pytest

from lib import backups
from lib.backups import error_lines
from lib.pgbouncer import PgBouncer

# Values that no one would want, of every setting that a session may have and that could matter to us. In milliseconds
# where it is a time: shorter than any run.
AWKWARD = {
    "statement_timeout": "150", "lock_timeout": "1", "idle_in_transaction_session_timeout": "150",
    "idle_session_timeout": "150", "transaction_timeout": "150", "exit_on_error": "on", "temp_file_limit": "64",
    "default_transaction_read_only": "on", "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on", "session_replication_role": "replica", "role": "nobody_at_all",
    "default_tablespace": "pg_global", "temp_tablespaces": "pg_global", "default_table_access_method": "no_such_method",
    "check_function_bodies": "on", "zero_damaged_pages": "on", "ignore_checksum_failure": "on", "row_security": "on",
    "restrict_nonsystem_relation_kind": "view, foreign-table", "gin_fuzzy_search_limit": "1",
    "synchronize_seqscans": "on", "enable_tidscan": "off", "force_parallel_mode": "regress",
    "debug_parallel_query": "regress", "jit": "on", "jit_above_cost": "0", "vacuum_cost_delay": "50",
    "datestyle": "SQL, DMY", "intervalstyle": "sql_standard", "extra_float_digits": "-15", "timezone": "Asia/Kathmandu",
    "bytea_output": "escape", "xmloption": "document", "xmlbinary": "hex",
    "array_nulls": "off", "quote_all_identifiers": "on", "standard_conforming_strings": "off", "backslash_quote": "on",
    "escape_string_warning": "on", "transform_null_equals": "on", "client_min_messages": "debug1",
    "client_encoding": "LATIN1", "search_path": "trap", "log_statement": "none", "log_min_messages": "panic",
    "application_name": "an application", "default_statistics_target": "1", "work_mem": "64kB",
    "maintenance_work_mem": "1MB", "enable_seqscan": "off", "from_collapse_limit": "1", "track_activities": "off",
    "lc_monetary": "C.UTF-8", "default_toast_compression": "pglz", "createrole_self_grant": "set",
}

CONTENT = """
CREATE SCHEMA trap;
CREATE FUNCTION trap.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT 'trapped' $$;
CREATE FUNCTION trap.format_type(oid, int) RETURNS text LANGUAGE sql AS $$ SELECT 'trapped' $$;
CREATE OPERATOR trap.= (LEFTARG = name, RIGHTARG = name, FUNCTION = namene);
CREATE TABLE odd (id int PRIMARY KEY, "when" timestamptz, day date, span interval, bytes bytea, ratio float8, words text[],
                  price money, doc xml, said text CHECK (said <> 'a\\b'), j jsonb);
INSERT INTO odd VALUES
  (1, '2026-04-05 06:07:08+09', '2026-04-05', '1 day 02:03', '\\x00ff5c27', 0.1::float8 + 0.2, ARRAY[NULL, 'NULL', '"'],
   '1234.50', XMLPARSE(CONTENT 'a<b/>'), 'c\\d é', '{"a": null}'), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO odd (id, said) SELECT g, md5(g::text) FROM generate_series(3, 3000) g;
CREATE VIEW seen AS SELECT id, said FROM odd WHERE said = 'c\\d é' OR bytes IS NULL;
CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM odd WHERE said IS NOT NULL;
CREATE TABLE part (of int, CONSTRAINT f FOREIGN KEY (of) REFERENCES odd); INSERT INTO part VALUES (1), (NULL);
CREATE INDEX ON odd USING gin (words); CREATE INDEX ON odd (lower(said));
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.said := NEW.said || '!'; RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE INSERT ON part FOR EACH ROW WHEN (NEW.of > 1) EXECUTE FUNCTION touch();
CREATE TABLE own (who text); ALTER TABLE own ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON own USING (who = 'x');
INSERT INTO own VALUES ('x'), ('y'); SELECT lo_from_bytea(0, '\\x0102');
"""
LEVELS = {"database": 'ALTER DATABASE "{0}"', "role": "ALTER ROLE awkward",
          "role in database": 'ALTER ROLE awkward IN DATABASE "{0}"'}


def known_settings(server):
    known = {name.lower() for name, in server.query("SELECT name FROM pg_settings")} | {"role"}
    return {name: value for name, value in AWKWARD.items() if name in known}


@pytest.fixture
def awkward(server, db):
    """A database, and a superuser whose settings a test may make awkward."""
    database = db()
    database.query(CONTENT)
    server.query("CREATE ROLE awkward SUPERUSER LOGIN")
    server.query("CREATE ROLE nobody_at_all")
    yield database
    server.query("DROP OWNED BY awkward, nobody_at_all")
    for made in server.databases():
        if made.startswith(database.name):
            server.query(f'ALTER DATABASE "{made}" RESET ALL')
            server.query(f'ALTER DATABASE "{made}" OWNER TO postgres')
    server.query("DROP ROLE awkward, nobody_at_all")


def set_all(server, database, level, settings):
    """With a patient session: it is changed for those who come after."""
    statement = LEVELS[level].format(database.name)
    connection = server.connect()
    with connection.cursor() as cursor:
        cursor.execute("SET allow_in_place_tablespaces = on" if server.connect().server_version >= 150000 else "SELECT 1")
        for name, value in settings.items():
            list_of_names = name in ("search_path", "temp_tablespaces", "datestyle", "restrict_nonsystem_relation_kind")
            cursor.execute(f"{statement} SET {name} = {value if list_of_names and ',' not in value else repr(value)}")
    connection.close()


def unset_all(server, database, level):
    server.query(LEVELS[level].format(database.name) + " RESET ALL")


@pytest.mark.parametrize("level", LEVELS)
def test_no_setting_is_in_the_way(opstower, server, awkward, level):
    """All at once, at each level; what comes back is what was, the settings too."""
    settings = known_settings(server)
    set_all(server, awkward, level, settings)
    kept = server.query("SELECT setconfig FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = setdatabase"
                        " WHERE datname = %s", (awkward.name,))
    unset_all(server, awkward, level)
    schema, rows = awkward.schema(), awkward.fingerprints()
    set_all(server, awkward, level, settings)
    check_round_trip_with(opstower, server, awkward)
    assert server.query("SELECT setconfig FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = setdatabase"
                        " WHERE datname = %s", (awkward.name,)) == kept
    unset_all(server, awkward, level)
    assert awkward.schema() == schema and awkward.fingerprints() == rows


def check_round_trip_with(opstower, server, database):
    url = server.url(database.name, "awkward")
    opstower("backup", "--local-only", env={"DATABASE_URL": url})
    opstower("verify", "latest", "--full-test", "--test-url", url, env={"DATABASE_URL": url})
    opstower("restore", "latest", "--force", "--no-pre-backup", env={"DATABASE_URL": url})


@pytest.mark.long
@pytest.mark.parametrize("name", AWKWARD)
def test_each_setting_alone(opstower, server, awkward, name):
    if name not in known_settings(server):
        return      # of another version
    schema, rows = awkward.schema(), awkward.fingerprints()
    for level in LEVELS:
        set_all(server, awkward, level, {name: AWKWARD[name]})
        check_round_trip_with(opstower, server, awkward)
        unset_all(server, awkward, level)
        assert awkward.schema() == schema and awkward.fingerprints() == rows, level


# ---- poolers ---------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def busy(server):
    """A database of some size, for poolers."""
    from conftest import create_database, drop_databases  # pylint: disable=import-outside-toplevel
    database = create_database(server, "pooled")
    database.query("CREATE TABLE t AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, 5000) g")
    yield database
    drop_databases(server, "pooled")


def test_what_would_hide_rows_and_cannot_be_turned_off_is_refused(opstower, server, busy):
    server.query("CREATE ROLE modest LOGIN BYPASSRLS IN ROLE pg_read_all_data")
    try:
        server.query("ALTER ROLE modest SET zero_damaged_pages = on")
        env = {"DATABASE_URL": server.url(busy.name, "modest")}
        result = opstower("backup", "--local-only", env=env, check=3)
        assert "zero_damaged_pages" in error_lines(result)[0] and backups.all_of(opstower) == []
        server.query("ALTER ROLE modest RESET zero_damaged_pages")
        server.query("ALTER ROLE modest SET session_replication_role = replica")    # no matter to one who reads
        opstower("backup", "--local-only", env=env)
    finally:
        server.query("DROP ROLE modest")


def settings_of(pool, database, count):
    """What clients of a pool find, each in a session of its own at the same time."""
    connections = [psycopg2.connect(pool.url(database.name)) for _ in range(count)]
    found = set()
    for connection in connections:
        connection.autocommit = pool.settings["pool_mode"] == "statement"
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, setting FROM pg_settings WHERE name <> 'application_name' AND"
                           " source NOT IN ('default', 'client', 'override')")
            found.add(frozenset(cursor.fetchall()))
    for connection in connections:
        connection.close()
    return found


class Load:
    """Clients that keep a pool busy."""

    def __init__(self, pool, database, count):
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(pool.url(database.name),)) for _ in range(count)]

    def work(self, url):
        connection = psycopg2.connect(url)
        connection.autocommit = True
        with connection.cursor() as cursor:
            while not self.over.wait(0.002):
                cursor.execute("SELECT pg_sleep(0.002)")
        connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()

    def __exit__(self, *exc_info):
        self.over.set()
        for thread in self.threads:
            thread.join()


@pytest.mark.parametrize("mode, settings, clients", [
    ("transaction", {}, 0), ("transaction", {"server_round_robin": 1}, 0), ("transaction", {"default_pool_size": 1}, 0),
    ("transaction", {}, 4), ("transaction", {"server_round_robin": 1}, 4), ("statement", {}, 0)])
def test_a_pooler_that_changes_sessions_is_refused(opstower, server, busy, mode, settings, clients):
    with PgBouncer(server, pool_mode=mode, **settings) as pool:
        env = {"DATABASE_URL": pool.url(busy.name)}
        count = min(5, settings.get("default_pool_size", 5)) if mode == "transaction" else 1
        before = settings_of(pool, busy, count)
        with Load(pool, busy, clients):
            result = opstower("backup", "--local-only", env=env, check=3)
            assert "pool_mode session" in error_lines(result)[0] and "connect to the server itself" in result.output
            for arguments in (("restore", "latest", "--force"), ("restore", "latest", "--table", "public.t")):
                take_path = opstower(*arguments, env=env, check=False)
                assert take_path.returncode in (3, 10)
        assert settings_of(pool, busy, count) == before, "nothing of ours stays in the pool"
        assert backups.all_of(opstower) == []


@pytest.mark.parametrize("settings", [{}, {"server_round_robin": 1, "server_reset_query": ""}])
def test_a_pooler_that_keeps_sessions_is_fine(opstower, server, busy, settings):
    with PgBouncer(server, pool_mode="session", **settings) as pool:
        env = {"DATABASE_URL": pool.url(busy.name)}
        rows = busy.fingerprints()
        before = settings_of(pool, busy, 5)
        opstower("backup", "--local-only", env=env)
        opstower("verify", "latest", env=env)
        opstower("restore", "latest", "--table", "public.t", env=env)
        opstower("restore", "latest", "--target-db", "pooled_copy", "--force", env=env)
        assert settings_of(pool, busy, 5) == before
    busy.query("DROP SCHEMA IF EXISTS " + ", ".join(
        name for name, in busy.query("SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname LIKE 'recovered%'")) + " CASCADE")
    assert busy.fingerprints() == rows
    assert server.query("SELECT count(*) FROM t", dbname="pooled_copy") == [(5000,)]
    server.query("DROP DATABASE pooled_copy")
