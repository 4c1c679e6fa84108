"""What is read is what was planned, under locks that held: sessions that die, names that change, locks that are not had."""
import os
import pathlib
import re
import signal
import subprocess
import time

import psycopg2
import pytest

from conftest import create_database
from lib import backups, pgserver
from lib.backups import error_lines, programs_with

KEY = 4711


def eventually(condition, seconds=60, step=0.02):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(step)


class Held:
    """A database whose table odd_config.everything cannot be read to its end before release(): its condition waits."""

    def __init__(self, database, sql, standby=None):
        self.name, self.reader = database.name, standby or database.server
        self.database, self.url = database, self.reader.url(database.name)
        database.query("CREATE SCHEMA odd_config; CREATE EXTENSION odd_config SCHEMA odd_config;"
                       " INSERT INTO odd_config.everything (note) VALUES ('x');" + sql)
        database.query("UPDATE pg_extension SET extcondition[array_position(extconfig, 'odd_config.everything'::regclass)] ="
                       " 'WHERE pg_catalog.current_query() !~ ''FROM ONL[Y]'' OR"
                       f" pg_catalog.pg_advisory_lock_shared({KEY}) IS NOT NULL' WHERE extname = 'odd_config'")
        if standby:
            at = database.value("SELECT pg_current_wal_lsn()::text")
            eventually(lambda: standby.query("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (at,))[0][0])
        self.holder = self.reader.connect(database.name)
        self.holder.cursor().execute(f"SELECT pg_advisory_lock({KEY})")

    def wait(self):
        """Until a worker waits (not pg_dump, whose query is another)."""
        eventually(lambda: self.reader.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory' AND query LIKE"
                                             " 'COPY (SELECT%% FROM ONLY %%' AND datname = %s", (self.name,)))

    def release(self):
        self.holder.close()


@pytest.fixture
def held(db):
    made = []

    def make(sql):
        made.append(Held(db(), sql))
        return made[-1]
    yield make
    for each in made:
        each.release()


def start(opstower, url, *more, env=None):
    return opstower.popen("backup", "--lock-timeout", 60, *more, env={"DATABASE_URL": url, **(env or {})})


def finish(process):
    try:
        stdout, stderr = process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode, (stdout + stderr).decode()


def rows(opstower):
    return {f"{t['schema']}.{t['name']}": t["rows"] for t in backups.all_of(opstower)[0].meta["tables"]}


# ---- sessions that are lost ------------------------------------------------------------------------------------------

PAIR = ("CREATE SCHEMA {0}; CREATE TABLE {0}.mark AS SELECT 1 AS v; CREATE TABLE {0}.small AS SELECT generate_series(1, 50) AS v")
CHANGE = "BEGIN; TRUNCATE {0}.small; INSERT INTO {0}.small VALUES (1), (2); INSERT INTO {0}.mark VALUES (2); COMMIT"
PAUSED = 'case "$*" in *{0}*) touch "{1}"; until [ -e "{1}.go" ]; do nap 0.02; done;; esac\nexec "{{real}}" "$@"'
# phase -> schema of the tables (read before odd_config's, or after them), the program that waits, more options
PHASES = {"while it plans": ("z", ("pg_dump", "-Fc"), ()),
          "before a table": ("z", None, ("--jobs", 1)),
          "in the last table": ("a", None, ("--jobs", 1)),
          "after the last row": ("a", ("pg_restore", "post-data"), ("--jobs", 2))}
SESSIONS = {"the locks": "application_name LIKE 'opstower %' AND state = 'idle in transaction' ORDER BY backend_start",
            "the watch": "application_name = 'opstower' AND query LIKE 'WITH ours%' ORDER BY backend_start"}


@pytest.mark.parametrize("whose", SESSIONS)
@pytest.mark.parametrize("phase", PHASES)
def test_a_session_that_is_ended(opstower, server, held, folder, phase, whose):
    """Ends in a backup of one moment, or in none: what was truncated and filled together is in it together."""
    schema, program, options = PHASES[phase]
    slow, flag, env = held(PAIR.format(schema)), os.path.join(folder, "flag"), {}
    if program:
        slow.release()
        env["PG_BINDIR"] = programs_with(folder, server, **{program[0]: PAUSED.format(program[1], flag)})
    process = start(opstower, slow.url, *options, env=env)
    if program:
        eventually(lambda: os.path.exists(flag))
    else:
        slow.wait()
    if phase == "after the last row":
        # every session of the run has been waiting for us for a second: nothing is read any more
        eventually(lambda: slow.database.query(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'opstower %'"
            " HAVING count(*) >= 2 AND bool_and(state = 'idle in transaction' OR wait_event = 'ClientWrite')"
            " AND max(state_change) < clock_timestamp() - interval '1 second'"))
    find = ("SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            f" AND {SESSIONS[whose]} LIMIT 1) s")
    eventually(lambda: slow.database.query(find))
    try:
        slow.database.query("SET lock_timeout = '1s';" + CHANGE.format(schema))
    except psycopg2.errors.LockNotAvailable:    # the locks are still there, or a session that reads has its own
        assert whose == "the watch" or schema == "a"
    pathlib.Path(flag + ".go").touch()
    slow.release()
    code, output = finish(process)
    if code == 0:
        found = rows(opstower)
        assert (found[f"{schema}.small"], found[f"{schema}.mark"]) in ((50, 1), (2, 2)), output
    else:
        assert whose == "the locks" and code == 7 and output.count("[ERROR]") == 1, output
        assert "administrator" in output and backups.all_of(opstower) == [] and backups.unfinished(opstower) == []


# ---- names that change -----------------------------------------------------------------------------------------------

NAMES = """;CREATE SCHEMA x_live; CREATE TABLE x_live.t AS SELECT g AS v FROM generate_series(1, 100) g;
CREATE SCHEMA x_new; CREATE TABLE x_new.t AS SELECT g AS v FROM generate_series(1, 5) g; CREATE SCHEMA x_evil;
CREATE FUNCTION x_evil.f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'COPY (SELECT 1) TO ''%s'''; RETURN 1; END $$;
INSERT INTO odd_config.setting VALUES ('mine', 'x')"""
TAKE_PLACE = "BEGIN; ALTER SCHEMA {0} RENAME TO x_old; ALTER SCHEMA x_evil RENAME TO {0}; COMMIT"
# what is done while another table is read -> in the place of x_live.t, what bears its name now
CHANGES = {
    "a schema is renamed": (None, "ALTER SCHEMA x_live RENAME TO x_old"),
    "schemas swap": (None, "BEGIN; ALTER SCHEMA x_live RENAME TO x_old; ALTER SCHEMA x_new RENAME TO x_live;"
                           " ALTER SCHEMA x_old RENAME TO x_new; COMMIT"),
    "a schema is renamed and back": (None, "ALTER SCHEMA x_live RENAME TO x_old; ALTER SCHEMA x_old RENAME TO x_live"),
    "rights are granted": (None, "GRANT USAGE ON SCHEMA x_live TO PUBLIC"),
    "a view takes its place": ("CREATE VIEW x_evil.t AS SELECT x_evil.f() AS v", TAKE_PLACE.format("x_live")),
    "a materialized view takes its place": ("CREATE MATERIALIZED VIEW x_evil.t AS SELECT 1 AS v", TAKE_PLACE.format("x_live")),
    "a sequence takes its place": ("CREATE SEQUENCE x_evil.t", TAKE_PLACE.format("x_live")),
    "a partitioned table takes its place": ("CREATE TABLE x_evil.t (v int) PARTITION BY LIST (v)", TAKE_PLACE.format("x_live")),
    "a foreign table takes its place":
        ("CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;"
         " CREATE FOREIGN TABLE x_evil.t (v int) SERVER files OPTIONS (filename '/dev/null')", TAKE_PLACE.format("x_live")),
    "a view takes the place of an extension's table":
        ("CREATE VIEW x_evil.setting AS SELECT x_evil.f()::text AS name, ''::text AS value, false AS builtin",
         TAKE_PLACE.format("odd_config")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_table_is_read_whatever_its_name_means_by_then_when(opstower, server, held, change):
    evidence = os.path.join(server.socket, f"evidence-{os.getpid()}")
    made, sql = CHANGES[change]
    slow = held(NAMES % evidence + (";" + made if made else ""))
    process = start(opstower, slow.url, "--jobs", 1)
    slow.wait()
    connection = server.connect(slow.database.name)
    connection.autocommit = True
    for statement in sql.split("; ") if not sql.startswith("BEGIN") else [sql]:
        connection.cursor().execute(statement)
    connection.close()
    slow.release()
    code, output = finish(process)
    assert code == 0 and "[WARN]" not in output, output
    found = rows(opstower)
    assert (found["x_live.t"], found["x_new.t"], found["odd_config.setting"]) == (100, 5, 1), output
    assert not os.path.exists(evidence), "a stranger's function ran with the backup's rights"


# ---- what goes on meanwhile ------------------------------------------------------------------------------------------

WORK = ["VACUUM x_live.t", "ANALYZE x_live.t", "INSERT INTO x_live.t SELECT generate_series(1, 9)", "UPDATE x_live.t SET v = -v",
        "DELETE FROM x_live.t WHERE v < -50", "COMMENT ON TABLE x_live.t IS 'later'", "ALTER TABLE x_live.t ALTER v SET STATISTICS 50",
        "CREATE STATISTICS x_live.s (ndistinct) ON v, w FROM x_live.t", "CREATE INDEX more ON x_live.t (v)",
        "ALTER TABLE x_live.t SET (fillfactor = 70)",
        "CREATE TRIGGER tr BEFORE INSERT ON x_live.t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE TABLE x_live.later (v int)", "DROP TABLE x_live.later", "VACUUM (TRUNCATE) x_live.cut", "CHECKPOINT"]
# They wait for every older transaction, and so for the backup; nobody has to wait for them.
LONG_WORK = ["CREATE INDEX CONCURRENTLY beside ON x_live.cut (v)", "REINDEX INDEX CONCURRENTLY x_live.t_w_idx"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_ordinary_work_on_its_tables_ends_no_backup(opstower, server, held, jobs):
    """Nothing that needs no lock against readers, before the rows are read and after that (by the second worker)."""
    slow = held("CREATE SCHEMA x_live; CREATE TABLE x_live.t AS SELECT v, v AS w FROM generate_series(1, 100) v;"
                "CREATE INDEX ON x_live.t (w); CREATE TABLE x_live.cut AS SELECT generate_series(1, 20000) AS v;"
                "DELETE FROM x_live.cut WHERE v > 10")
    process = start(opstower, slow.url, "--jobs", jobs)
    slow.wait()
    for statement in WORK:
        connection = server.connect(slow.database.name)
        connection.autocommit = True
        connection.cursor().execute("SET statement_timeout = '20s'")
        connection.cursor().execute(statement)
        connection.close()
    waiting = [subprocess.Popen([os.path.join(server.bindir, "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", slow.url, "-c", each],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for each in LONG_WORK]
    slow.release()
    code, output = finish(process)
    assert code == 0 and "[WARN]" not in output, output
    for each in waiting:
        said, _ = each.communicate(timeout=60)
        assert each.returncode == 0, said
    assert (rows(opstower)["x_live.t"], rows(opstower)["x_live.cut"]) == (100, 10), output
    opstower("verify", "latest", "--full-test", env={"DATABASE_URL": slow.url})


def test_a_standby_that_must_replay_what_the_backup_still_reads(opstower, make_server):
    """Its primary goes on, and the standby ends our session at last: the next try shows one later moment, and all of it."""
    primary = make_server()
    standby = pgserver.standby_of(primary, make_server, {"max_standby_streaming_delay": "300ms", "hot_standby_feedback": "off"})
    slow = Held(create_database(primary, "app"), "CREATE SCHEMA x; CREATE TABLE x.t AS SELECT generate_series(1, 1000) AS v", standby)
    process = start(opstower, standby.url("app"), "--jobs", 1)
    slow.wait()
    primary.query("DELETE FROM x.t WHERE v > 500", None, "app")
    primary.query("VACUUM x.t", None, "app")
    time.sleep(1)
    slow.release()
    code, output = finish(process)
    assert code == 0 and "conflict with recovery" in output and "trying again" in output, output
    assert rows(opstower)["x.t"] == 500, output


# ---- locks that are not had ------------------------------------------------------------------------------------------

OBJECTS = "CREATE TABLE t AS SELECT 1 AS v; CREATE VIEW v AS TABLE t; CREATE MATERIALIZED VIEW m AS TABLE t; CREATE SEQUENCE s"
HOLDS = {"v": "CREATE OR REPLACE VIEW v AS TABLE t", "m": "REFRESH MATERIALIZED VIEW m", "s": "DROP SEQUENCE s"}


@pytest.mark.parametrize("name", HOLDS)
def test_what_pg_dump_waits_for_is_not_waited_for_long(opstower, db, name):
    """pg_dump has a limit for tables alone; its waiting is ended from outside, and named."""
    database = db()
    database.query(OBJECTS)
    holder = database.server.connect(database.name)
    holder.autocommit = False
    holder.cursor().execute(HOLDS[name])
    started = time.monotonic()
    options = ("backup", "--lock-timeout", 1, "--lock-attempts", 1)
    result = opstower(*options, env={"DATABASE_URL": database.url}, check=13)
    assert time.monotonic() - started < 30
    assert len(error_lines(result)) == 1 and f"kept us from public.{name}" in error_lines(result)[0], result
    holder.close()
    opstower(*options, env={"DATABASE_URL": database.url})


def test_an_index_that_is_built_anew_is_no_obstacle(opstower, db):
    """A large table is read by queries, which look at its indexes; then it is read as a whole."""
    database = db()
    database.query("CREATE TABLE t AS SELECT g AS id, repeat('x', 1000) AS v FROM generate_series(1, 40000) g;"
                   " CREATE INDEX i ON t (id)")
    assert database.value("SELECT pg_relation_size('t')") > 2 * (16 << 20)
    holder = database.server.connect(database.name)
    holder.autocommit = False
    holder.cursor().execute("REINDEX INDEX i")
    try:
        result = opstower("backup", "--lock-timeout", 2, "--lock-attempts", 1, env={"DATABASE_URL": database.url})
    finally:
        holder.close()
    assert "[WARN]" not in result.stderr and rows(opstower)["public.t"] == 40000


# ---- connections -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("limit", [2, 3, 5])
@pytest.mark.parametrize("objects", ["tables", "large objects too"])
def test_few_connections_are_fewer_workers(opstower, server, db, limit, objects):
    database, role = db(), f"few_{limit}"
    database.query("CREATE TABLE a AS SELECT generate_series(1, 1000) AS v; CREATE TABLE b AS TABLE a")
    if objects != "tables":
        database.query(f"SELECT lo_from_bytea(1, 'x'); CREATE ROLE {role} LOGIN SUPERUSER")
    else:
        database.query(f"CREATE ROLE {role} LOGIN; GRANT pg_read_all_data TO {role}")
    server.query(f"ALTER ROLE {role} NOSUPERUSER CONNECTION LIMIT {limit}; GRANT pg_read_all_data TO {role}")
    if objects != "tables":
        database.query(f"GRANT SELECT ON LARGE OBJECT 1 TO {role}")
    try:
        result = opstower("backup", "--jobs", 4, env={"DATABASE_URL": server.url(database.name, user=role)}, check=False)
    finally:
        eventually(lambda: not backups.our_backends(server))
        database.query(f"DROP OWNED BY {role}; DROP ROLE {role}")
    if limit == 2:
        assert result.returncode != 0 and len(error_lines(result)) == 1 and backups.all_of(opstower) == [], result
        return
    assert result.returncode == 0, result
    assert f"{limit - 2} of 4 workers" in result.stderr and f"--jobs {limit - 2}" in result.stderr
    assert rows(opstower) == {"public.a": 1000, "public.b": 1000}
    assert (b"lo_create" in backups.all_of(opstower)[0].text()) == (objects != "tables")


# ---- waiting for another run -----------------------------------------------------------------------------------------

def test_another_run_is_waited_for_if_asked(opstower, server, db, folder):
    database, flag = db(), os.path.join(folder, "flag")
    database.query("CREATE TABLE t AS SELECT 1 AS v")
    slow = programs_with(folder, server, pg_dump=PAUSED.format("-Fc", flag))
    env = {"DATABASE_URL": database.url}
    first = start(opstower, database.url, env={"PG_BINDIR": slow})
    eventually(lambda: os.path.exists(flag))
    for none in ((), ("--wait=0",), ("--wait", 0)):
        result = opstower("backup", *none, env=env, check=6)
        assert "--wait waits for it" in error_lines(result)[0]
    given_up = opstower.popen("backup", "--wait", 5, env=env)
    waiting = [opstower.popen("backup", "--wait", env=env), opstower.popen("prune", "--apply", env={**env, "BACKUP_WAIT": "3"})]
    try:
        time.sleep(1.5)
        given_up.send_signal(signal.SIGTERM)
        assert given_up.wait(10) == 143
        assert first.poll() is None and [each.poll() for each in waiting] == [None, None]
    finally:
        pathlib.Path(flag + ".go").touch()
        given_up.communicate()
    ended = [finish(process) for process in (first, *waiting)]
    assert [code for code, _ in ended] == [0, 0, 0], ended
    assert re.search(r"Waiting up to 60 min: another run .*backup, process", ended[1][1])
    assert len(backups.all_of(opstower)) == 2


# ---- more tables than there is room for locks ------------------------------------------------------------------------

TABLES = "DO $$ BEGIN FOR i IN 1..1600 LOOP EXECUTE format('CREATE TABLE t_%s AS SELECT %s AS v', i, i); END LOOP; END $$"


@pytest.fixture(scope="module")
def crowded():
    with pgserver.Server({"max_connections": "20", "max_prepared_transactions": "0"}) as started:
        started.query("CREATE DATABASE many TEMPLATE template0")
        for part in range(4):
            started.query(TABLES.replace("1..1600", f"{part * 400 + 1}..{part * 400 + 400}"), dbname="many")
        yield started


@pytest.mark.long
def test_pg_dump_holds_the_locks_where_there_is_no_room_for_two(opstower, crowded):
    opstower("backup", env={"DATABASE_URL": crowded.url("many"), "PG_BINDIR": crowded.bindir})
    found = rows(opstower)
    assert len(found) == 1600 and set(found.values()) == {1}


def test_a_pg_dump_that_held_the_locks_and_was_ended_is_noticed(opstower, crowded):
    held = ("SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE relation::regclass::text ~ '^(public.)?t_'"
            " AND a.application_name LIKE 'opstower %' AND a.pid <> pg_backend_pid() GROUP BY 1 HAVING count(*) > 1500")
    process = start(opstower, crowded.url("many"), "--jobs", 1, env={"PG_BINDIR": crowded.bindir})
    reading = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'opstower %' AND query LIKE 'COPY \"public\"%'"
    eventually(lambda: crowded.query(reading, dbname="many"), step=0.001)
    pids = crowded.query(held, dbname="many")
    assert len(pids) == 1, "pg_dump alone has them all"
    crowded.query(f"SELECT pg_terminate_backend({pids[0][0]})")
    code, output = finish(process)
    assert code == 0 and "trying again (attempt 2" in output and "pg_dump, which holds the table locks" in output, output
    assert len(rows(opstower)) == 1600
