"""`opstower restore`: the result is the source, the replaced database is what was live, and a failure changes nothing."""
import contextlib
import gzip
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import threading
import time

import psycopg2
import pytest

from conftest import Database, create_database, drop_databases
from lib import backups, oracle, pgserver, runner, sample
from lib.archive import Archive, copy_to
from lib.backups import error_lines, programs_with, take

SMALL = """
CREATE TABLE users (id int PRIMARY KEY, name text);
INSERT INTO users SELECT g, md5(g::text) FROM generate_series(1, 100) g;
CREATE TABLE bookings (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, note text);
INSERT INTO bookings SELECT g, 1 + g % 100, repeat('note ', g % 5) FROM generate_series(1, 200) g;
CREATE INDEX bookings_user ON bookings (user_id);
CREATE SEQUENCE counter; SELECT setval('counter', 42);
"""
# What happens between the backup and the restore.
ACCIDENT = "UPDATE users SET name = 'wrong'; DELETE FROM bookings WHERE id > 5; CREATE TABLE later (id int); INSERT INTO later VALUES (1)"


def some_long(table, *normal):
    """The keys of a table for parametrize; all but these only in the long run."""
    unknown = set(normal) - set(table)
    assert not unknown, unknown
    return [key if key in normal else pytest.param(key, marks=pytest.mark.long) for key in table]


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def picture(database):
    """All that belongs to a database: rows, schema, and its own properties."""
    properties = list(oracle.database_properties(database.url))
    properties[-1] = sorted(properties[-1] or [])
    return oracle.data_fingerprints(database.url), oracle.schema_dump(database.url), properties


def assert_picture(database, expected, what=""):
    found = picture(database)
    assert oracle.differences(found[0], expected[0]) == [], what
    assert found[1].split("\n") == expected[1].split("\n"), what
    assert found[2] == expected[2], what


def family(database):
    """The databases that restores of this one made."""
    return [name for name in database.server.databases() if name.startswith(database.name[:30] + "_")]


def assert_no_side_database(server):
    assert [name for name in server.databases() if "_restoring_" in name] == []


def restore(opstower, database, *arguments, env=None, **options):
    return opstower("restore", *arguments, env={"DATABASE_URL": database.url, **(env or {})}, **options)


@contextlib.contextmanager
def unchanged(database):
    """Fails unless the database, and the list of databases, are the same afterwards."""
    before, names = picture(database), database.server.databases()
    yield
    assert_picture(database, before, "the live database changed")
    assert database.server.databases() == names


@pytest.fixture
def live(db, opstower):
    """A database with a backup, changed since: .backup, .source (its picture then), .before (its picture now)."""
    def make(sql=SMALL, accident=ACCIDENT, backup_options=(), **options):
        database = db(**options)
        if sql in ("odd.sql", "odd_latin1.sql") or os.path.isabs(sql):
            database.load(sql)
        else:
            database.query(sql)
        database.source = picture(database)
        database.backup = take(opstower, database, *backup_options)
        if accident:
            database.query(accident)
        database.before = picture(database)
        return database
    return make


@pytest.fixture
def role(server):
    """role("name", "LOGIN CREATEDB"): made on the shared server and gone after the test."""
    made = []

    def make(name, options="NOLOGIN"):
        server.query(f"CREATE ROLE {quoted(name)} {options}")
        made.append(name)
        return name
    yield make
    for name in made:
        for database in server.databases():
            if database != "template0" and server.query("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)):
                with contextlib.suppress(psycopg2.Error):
                    server.query(f"DROP OWNED BY {quoted(name)} CASCADE", dbname=database)
        for database, owner in server.query("SELECT datname, pg_get_userbyid(datdba) FROM pg_database"):
            if owner == name:
                server.query(f"DROP DATABASE {quoted(database)} WITH (FORCE)")
        server.query(f"DROP ROLE IF EXISTS {quoted(name)}")


# ---- a whole database over the live one ------------------------------------------------------------------------------

SOURCES = {
    "small": {}, "sample": {"accident": "DROP TABLE bookings CASCADE; UPDATE users SET email = 'oops' || id"},
    "odd": {"accident": "SET search_path = odd; DROP TABLE plain CASCADE; DROP SCHEMA odd_empty; SELECT lo_unlink(424201)"},
    "latin1": {"accident": "DROP TABLE zeichen", "encoding": "LATIN1", "locale": "C"},
    "empty": {"sql": "SELECT 1", "accident": "CREATE TABLE later (id int)"},
}
SCRIPTS = {"sample": str(pathlib.Path(__file__).resolve().parents[2] / "demo" / "sample.sql"), "odd": "odd.sql",
           "latin1": "odd_latin1.sql"}


@pytest.mark.parametrize("kind", SOURCES)
def test_the_result_is_the_source_and_the_replaced_one_what_was_live(opstower, server, live, kind):
    options = {"sql": SCRIPTS.get(kind, SMALL), **SOURCES[kind]}
    database = live(**options)
    result = restore(opstower, database, "latest", "--force")
    assert_picture(database, database.source)
    replaced = family(database)
    assert len(replaced) == 1 and re.fullmatch(re.escape(database.name) + r"_replaced_\d{8}_\d{6}", replaced[0])
    assert_picture(Database(server, replaced[0]), database.before)
    assert f"The old database stays as {replaced[0]}" in result.stdout
    assert len(opstower.files("restore_*.log")) == 1


def test_properties_of_the_database_are_the_backups(opstower, server, live, role, db):
    owner, reader = role("Restore \"Owner\" é"), role("restore_reader")
    database = db()
    name = quoted(database.name)
    database.query(SMALL)
    database.query(f"""ALTER DATABASE {name} OWNER TO {quoted(owner)}; REVOKE ALL ON DATABASE {name} FROM PUBLIC;
        GRANT CONNECT ON DATABASE {name} TO {reader} WITH GRANT OPTION; COMMENT ON DATABASE {name} IS 'it''s ours';
        ALTER DATABASE {name} SET work_mem = '7MB'; ALTER DATABASE {name} SET search_path = '', "A b", public;
        ALTER ROLE {reader} IN DATABASE {name} SET statement_timeout = '9s'; ALTER DATABASE {name} CONNECTION LIMIT 17""")
    source = picture(database)
    take(opstower, database)
    database.query(f"""ALTER DATABASE {name} OWNER TO postgres; GRANT ALL ON DATABASE {name} TO PUBLIC;
        COMMENT ON DATABASE {name} IS 'changed'; ALTER DATABASE {name} RESET ALL; ALTER DATABASE {name} SET jit = off;
        ALTER DATABASE {name} CONNECTION LIMIT 18""")
    before = picture(database)
    restore(opstower, database, "latest", "--force")
    assert_picture(database, source)
    assert_picture(Database(server, family(database)[0]), before)


def test_those_who_are_connected_are_ended_and_come_back_to_the_new_one(opstower, live):
    database = live()
    stop, seen, ended = threading.Event(), [], []

    def client():
        connection = None
        while not stop.is_set():
            try:
                if connection is None:
                    connection = psycopg2.connect(database.url)
                    connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute("SELECT name FROM users WHERE id = 1")
                    seen.append((time.monotonic(), cursor.fetchone()[0]))
            except psycopg2.Error as error:
                ended.append(str(error))
                connection = None
        if connection:
            connection.close()
    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    idle = psycopg2.connect(database.url)
    idle.cursor().execute("UPDATE users SET name = 'never committed'")
    try:
        eventually(lambda: database.value("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                                          "AND pid <> pg_backend_pid()") > len(threads))
        result = restore(opstower, database, "latest", "--force")
        done = time.monotonic()
        while not any(when > done + 0.3 for when, _ in seen):
            time.sleep(0.01)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        idle.close()
    assert re.search(r"\(.*, (8|9|1\d) connections now, which will be ended\)", result.stdout)
    names = [name for _, name in sorted(seen)]
    assert names[0] == "wrong" and names[-1] != "wrong"
    assert all(name != "wrong" for when, name in seen if when > done), "nobody may be left on the old one"
    assert len(ended) >= 8
    assert_picture(database, database.source)


def test_the_replaced_database_is_dropped_if_that_is_asked(opstower, server, live):
    database = live()
    result = restore(opstower, database, "latest", "--force", "--drop-replaced", "--json")
    assert family(database) == []
    assert json.loads(result.stdout) == {"database": database.name, "tables": 2, "rows": 300,
                                         "duration_seconds": json.loads(result.stdout)["duration_seconds"]}
    assert_picture(database, database.source)


def test_a_missing_database_is_created(opstower, server, live):
    database = live()
    server.query(f"DROP DATABASE {quoted(database.name)}")
    result = restore(opstower, database, "latest", "--force")
    assert "does not exist and will be created" in result.stdout and "pre-restore" not in result.stdout
    assert_picture(database, database.source)
    assert family(database) == []


def test_beside_under_another_name(opstower, server, live):
    database = live()
    target = database.name + "_copy"
    restore(opstower, database, "latest", "--force", "--target-db", target)
    assert_picture(Database(server, target), database.source)
    assert_picture(database, database.before)
    assert opstower.files("*.meta.json") == [f"{database.backup.id}.meta.json"], "nothing is replaced: no pre-restore backup"
    with unchanged(database):
        result = restore(opstower, database, "latest", "--force", "--target-db", target, check=12)
        assert "exists already" in result.stderr
        restore(opstower, database, "latest", "--force", "--target-db", database.name, check=12)


WAYS = {"id": lambda b: b.id, "timestamp": lambda b: b.timestamp, "path": lambda b: b.path, "file name": lambda b: b.path.name,
        "link": lambda b: b.path.parent / f"{b.name}_latest.sql.gz"}


@pytest.mark.parametrize("way", some_long(WAYS, "timestamp", "link"))
def test_a_backup_is_found_by(opstower, live, way):
    database = live()
    restore(opstower, database, WAYS[way](database.backup), "--force", "--no-pre-backup", "--drop-replaced")
    assert_picture(database, database.source)


def test_two_restores_in_a_row_keep_both_old_ones(opstower, live):
    database = live()
    for _ in range(2):
        restore(opstower, database, database.backup.id, "--force", "--no-pre-backup")
    assert len(family(database)) == 2
    assert_picture(database, database.source)


@pytest.mark.parametrize("arguments", [(), ("a", "b"), ("latest", "--put-back"), ("latest", "--in-place", "--target-db", "x"),
                                       ("latest", "--in-place", "--table", "x"), ("latest", "--jobs", "0")])
def test_wrong_usage_is_code_2(opstower, live, arguments):
    database = live()
    with unchanged(database):
        restore(opstower, database, *arguments, check=2)


def test_what_is_not_there_is_code_10(opstower, live):
    database = live()
    with unchanged(database):
        restore(opstower, database, "29990101_000000", "--force", check=10)


# ---- asking --------------------------------------------------------------------------------------------------------------

def on_terminal(opstower, database, answer, *arguments, send=None):
    """Runs a restore on a terminal; writes the answer (or sends a signal) when asked. (exit code, what was shown)"""
    ours, theirs = os.openpty()
    process = opstower.popen("restore", "latest", *arguments, env={"DATABASE_URL": database.url}, stdin=theirs, stdout=theirs,
                             stderr=theirs)
    os.close(theirs)
    shown, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline and select.select([ours], [], [], 0.2)[0] or process.poll() is None:
        if time.monotonic() > deadline:
            break
        try:
            chunk = os.read(ours, 65536) if select.select([ours], [], [], 0)[0] else b""
        except OSError:
            break  # how a terminal ends
        shown += chunk
        if answer is not None and b"to go on: " in shown:
            deadline = time.monotonic() + 60
            process.send_signal(send) if send else os.write(ours, answer)
            answer = None
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(60)
    process.kill()
    os.close(ours)
    return process.wait(), shown.decode(errors="replace")


WRONG = {"y": b"y\n", "yes": b"yes\n", "nothing": b"\n", "end of input": b"\x04", "the name in other letters": None,
         "the name and more": None, "the beginning of the name": None}


@pytest.mark.parametrize("kind", some_long(WRONG, "y", "end of input", "the name and more"))
def test_a_wrong_answer_changes_nothing(opstower, live, kind):
    database = live()
    answer = WRONG[kind] or {"the name in other letters": database.name.upper(), "the name and more": database.name + "x",
                             "the beginning of the name": database.name[:-1]}[kind].encode() + b"\n"
    with unchanged(database):
        code, shown = on_terminal(opstower, database, answer)
        assert code == 12 and "not confirmed" in shown
    assert opstower.files("*.meta.json") == [f"{database.backup.id}.meta.json"]


@pytest.mark.parametrize("name", some_long([None, "my \"odd\" 'name'", " spaces ", "bücher"], None, " spaces "))
def test_the_databases_name_is_the_right_answer(opstower, live, name):
    database = live(name=name)
    code, shown = on_terminal(opstower, database, database.name.encode() + b"\n")
    assert code == 0, shown
    assert "will be replaced" in shown and f"({database.name})" in shown
    assert_picture(database, database.source)


def test_the_question_can_be_interrupted(opstower, live):
    database = live()
    with unchanged(database):
        code, _ = on_terminal(opstower, database, b"", send=signal.SIGINT)
        assert code == 130


@pytest.mark.parametrize("stdin", ["nothing", "the right answer in a pipe"])
def test_without_a_terminal_and_without_force_nothing_is_done(opstower, live, stdin):
    database = live()
    with unchanged(database):
        answer = database.name + "\n" if stdin != "nothing" else None
        result = restore(opstower, database, "latest", input=answer, check=12)
        assert "--force" in error_lines(result)[0]


def test_the_preview_says_what_will_happen(opstower, server, live, role):
    role("restore_missing")
    database = live(SMALL + "GRANT SELECT ON users TO restore_missing;")
    database.query("REVOKE ALL ON users FROM restore_missing")
    server.query("DROP ROLE restore_missing")
    result = restore(opstower, database, "latest", check=3)
    text = result.output
    assert re.search(rf"Database {database.name} \(\d+ [kM]B, 0 connections now, which will be ended\) will be replaced", text)
    assert re.search(r"Size when it was backed up: \d+ [kM]B", text)
    assert re.search(r"The backup shows the database as of \d{4}-\d\d-\d\dT\S+ \(\d+ s ago\)", text)
    assert re.search(r"What was written in the last \d+ s will not be in the result", text)
    assert "Missing on the server: role restore_missing" in text
    assert re.search(r"Free space on the server: \d+ [kMGT]B", text) and re.search(r"Estimated time: about \d+ s", text)


def test_a_backup_of_another_database_is_refused_or_warned_of(opstower, live, db):
    database, other = live(), db()
    other.query("CREATE TABLE other (id int)")
    result = restore(opstower, other, database.backup.path, check=12)
    assert f"the backup is of database {database.name}, and does not replace another" in result.stderr
    result = restore(opstower, other, database.backup.path, "--allow-other-database", check=12)
    assert f"The backup is of database {database.name}, not of {other.name}" in result.stderr


# ---- the pre-restore backup ------------------------------------------------------------------------------------------------

def test_the_live_database_is_backed_up_first_and_that_backup_brings_it_back(opstower, live):
    database = live()
    restore(opstower, database, "latest", "--force", "--drop-replaced")
    made = [backup for backup in backups.all_of(opstower) if backup.id != database.backup.id]
    assert len(made) == 1 and made[0].meta["type"] == "pre-restore"
    made[0].assert_whole()
    link = os.path.join(opstower.backup_dir, f"{database.name}_latest.sql.gz")
    assert os.readlink(link) == database.backup.path.name, "the link still leads to the regular backup"
    assert f"Verifying backup: {database.backup.path}" in opstower("verify", "latest", env={"DATABASE_URL": database.url}).stdout
    restore(opstower, database, made[0].id, "--force", "--drop-replaced", "--no-pre-backup")
    assert_picture(database, database.before)


def test_no_pre_backup(opstower, live):
    database = live()
    restore(opstower, database, "latest", "--force", "--no-pre-backup")
    assert len(backups.all_of(opstower)) == 1
    assert_picture(database, database.source)


def test_no_restore_if_the_pre_restore_backup_fails(opstower, server, live, folder):
    database = live()
    bindir = programs_with(folder, server, pg_dump="[ $1 = --version ] && exec {real} $1; echo 'pg_dump: error: no luck' >&2; exit 1")
    with unchanged(database):
        result = restore(opstower, database, "latest", "--force", env={"PG_BINDIR": bindir}, check=7)
        assert "no pre-restore backup, so no restore" in result.stderr


# ---- in place --------------------------------------------------------------------------------------------------------------

def test_in_place_works_and_says_what_it_risks(opstower, live):
    database = live()
    result = restore(opstower, database, "latest", "--force", "--in-place")
    assert "IN PLACE" in result.stderr and "Full restoration test: PASS" in result.stdout
    assert family(database) == []
    assert_picture(database, database.source)
    proven = [backup for backup in backups.all_of(opstower) if backup.meta["type"] == "pre-restore"]
    assert len(proven) == 1 and proven[0].meta["state"] == "proven"
    restore(opstower, database, proven[0].id, "--force", "--no-pre-backup", "--drop-replaced")
    assert_picture(database, database.before)


def test_in_place_without_pre_restore_backup_is_refused(opstower, live):
    database = live()
    with unchanged(database):
        result = restore(opstower, database, "latest", "--force", "--in-place", "--no-pre-backup", check=12)
        assert "only way back" in result.stderr


def test_in_place_is_refused_if_the_pre_restore_backup_cannot_be_proven(opstower, server, live, folder):
    database = live()
    clients = programs_with(folder, server, initdb=None, postgres=None)
    with unchanged(database):
        result = restore(opstower, database, "latest", "--force", "--in-place", env={"PG_BINDIR": clients}, check=False)
        assert result.returncode in (3, 12) and "--in-place is refused" in result.stderr


def test_in_place_does_not_say_that_a_database_is_gone_that_is_there(opstower, live):
    """A prepared transaction forbids to drop its database."""
    database = live()
    database.query("BEGIN; INSERT INTO later VALUES (2); PREPARE TRANSACTION 'in the way'")
    try:
        with unchanged(database):
            result = restore(opstower, database, "latest", "--force", "--in-place", check=11)
            assert "IS GONE" not in result.output and "prepared transaction" in result.stderr
    finally:
        database.query("ROLLBACK PREPARED 'in the way'")


@pytest.mark.long
def test_a_prepared_transaction_is_said_and_nothing_changes(opstower, live):
    database = live()
    database.query("BEGIN; INSERT INTO later VALUES (2); PREPARE TRANSACTION 'in the way too'")
    try:
        with unchanged(database):
            result = restore(opstower, database, "latest", "--force", "--no-pre-backup", check=11)
            assert "prepared transaction" in result.stderr
    finally:
        database.query("ROLLBACK PREPARED 'in the way too'")


# ---- what the server lacks --------------------------------------------------------------------------------------------------

def test_missing_roles_are_named_and_can_be_created(opstower, server, live, role):
    role("Restore \"lost\" é")
    role("restore_lost")
    database = live(SMALL + 'ALTER TABLE users OWNER TO "Restore ""lost"" é"; GRANT SELECT ON bookings TO restore_lost;')
    server.query(f"DROP DATABASE {quoted(database.name)}")
    server.query('DROP ROLE "Restore ""lost"" é", restore_lost')
    result = restore(opstower, database, "latest", "--force", check=3)
    assert 'Restore "lost" é' in error_lines(result)[0] and "restore_lost" in error_lines(result)[0]
    assert database.name not in server.databases()
    restore(opstower, database, "latest", "--force", "--create-roles")
    assert_picture(database, database.source)
    assert server.query("SELECT rolcanlogin OR rolsuper FROM pg_roles WHERE rolname = 'restore_lost'") == [(False,)]


def test_missing_tablespaces_are_named_and_can_be_done_without(opstower, server, live):
    database = live(str(pathlib.Path(__file__).resolve().parent / "odd_tablespace.sql"), accident=None)
    rows = oracle.data_fingerprints(database.url)
    server.query(f"DROP DATABASE {quoted(database.name)}")
    server.query("DROP TABLESPACE odd_space")
    result = restore(opstower, database, "latest", "--force", check=3)
    assert "tablespace odd_space" in error_lines(result)[0] and "--no-tablespaces" in error_lines(result)[0]
    assert database.name not in server.databases()
    restore(opstower, database, "latest", "--force", "--no-tablespaces")
    assert oracle.data_fingerprints(database.url) == rows


def test_a_missing_extension_is_named(opstower, server, live):
    database = live(SMALL + "CREATE EXTENSION odd_config;")
    control = next(pathlib.Path(server.folder).rglob("odd_config.control"))
    control.rename(control.with_suffix(".away"))
    try:
        with unchanged(database):
            result = restore(opstower, database, "latest", "--force", check=3)
            assert "extension odd_config" in error_lines(result)[0]
    finally:
        control.with_suffix(".away").rename(control)


# ---- rights ------------------------------------------------------------------------------------------------------------------

def test_an_owner_who_may_create_databases_restores_his_own(opstower, server, db, role):
    owner = role("restore_owner", "LOGIN CREATEDB")
    database = db(owner=owner)
    mine = Database(server, database.name)
    mine.url = server.url(database.name, user=owner)
    connection = psycopg2.connect(mine.url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(SMALL)
        cursor.execute(f"ALTER DATABASE {quoted(database.name)} SET work_mem = '7MB'")
    source = picture(database)
    take(opstower, mine)
    with connection.cursor() as cursor:
        cursor.execute(ACCIDENT)
    restore(opstower, mine, "latest", "--force", "--drop-replaced")
    connection.close()
    assert_picture(database, source)


def test_who_may_not_create_databases_is_told(opstower, server, live, role):
    role("restore_nobody", "LOGIN")
    database = live()
    with unchanged(database):
        result = restore(opstower, database, "latest", "--force", check=3,
                         env={"DATABASE_URL": server.url(database.name, user="restore_nobody")})
        assert "CREATEDB" in error_lines(result)[0]


def test_a_wrong_password_is_said_as_in_the_guide(opstower, server, live, role):
    role("odd_login", "LOGIN PASSWORD 'right'")
    database = live()
    with unchanged(database):
        result = restore(opstower, database, "latest", "--force", check=5,
                         env={"DATABASE_URL": server.url(database.name, user="odd_login", password="wr0ng-secret")})
        assert error_lines(result)[0].startswith("[ERROR] psql: FATAL: password authentication failed")
        assert "odd_login" in error_lines(result)[0] and "wr0ng-secret" not in result.output


# ---- one at a time, and what killed ones left -------------------------------------------------------------------------------

SLOW = {"pg_restore": 'case "$*" in *-d*post-data*|*post-data*-d*) for i in {1..300}; do sleep 0.1; done;; esac; exec "{real}" "$@"'}


def eventually(condition, seconds=60, step=0.01):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(step)


def slow_restore(opstower, database, folder, *arguments):
    """A restore that has made its side database and does not come to an end."""
    bindir = programs_with(folder, database.server, **SLOW)
    before = set(database.server.databases())
    process = opstower.popen("restore", "latest", "--force", "--no-pre-backup", *arguments,
                             env={"DATABASE_URL": database.url, "PG_BINDIR": bindir})
    eventually(lambda: set(database.server.databases()) - before)
    return process


def test_a_second_restore_at_the_same_time_is_told_who_is_at_work(opstower, live, folder):
    database = live()
    first = slow_restore(opstower, database, folder)
    result = restore(opstower, database, "latest", "--force", "--no-pre-backup", check=6)
    assert f"another restore of database {database.name} is at work (process " in result.stderr
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    assert first.returncode == 143
    assert_no_side_database(database.server)
    assert_picture(database, database.before)


def test_the_next_restore_removes_what_a_killed_one_left_and_nothing_else(opstower, server, live, db, folder):
    database = live()
    foreign = db(name=database.name + "_restoring_20260101_000000")
    foreign.query(SMALL)
    marked_alike = db(name=database.name + "_restoring_20260101_000001")
    server.query(f"COMMENT ON DATABASE {quoted(marked_alike.name)} IS 'a side database of a restore'")
    process = slow_restore(opstower, database, folder)
    process.kill()
    process.communicate(timeout=60)
    left = [name for name in family(database) if name not in (foreign.name, marked_alike.name)]
    assert len(left) == 1
    restore(opstower, database, "latest", "--force", "--no-pre-backup", "--drop-replaced")
    assert family(database) == [foreign.name, marked_alike.name]
    assert_picture(database, database.source)


def test_a_restore_of_another_database_does_not_touch_a_side_database_at_work(opstower, live, folder):
    first, second = live(), live()
    process = slow_restore(opstower, first, folder)
    restore(opstower, second, second.backup.path, "--force", "--no-pre-backup", "--drop-replaced")
    assert any(name.startswith(first.name + "_restoring_") for name in first.server.databases())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert_picture(second, second.source)
    assert_no_side_database(first.server)


# Only ANALYZE computes extended statistics, so this function sleeps there and nowhere else.
SLOW_ANALYZE = """
CREATE FUNCTION slowly(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM pg_sleep(0.02); RETURN $1; END';
CREATE TABLE sleepy (id int PRIMARY KEY, v int); INSERT INTO sleepy SELECT g, g FROM generate_series(1, 100) g;
CREATE STATISTICS sleepy_stats ON (slowly(v)) FROM sleepy;
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_restore_that_ends_shortly_before_the_swap_leaves_nothing_for_good(opstower, live, number):
    database = live(SMALL + SLOW_ANALYZE, accident="UPDATE users SET name = 'wrong'; DROP STATISTICS sleepy_stats")
    process = opstower.popen("restore", "latest", "--force", "--no-pre-backup", env={"DATABASE_URL": database.url})
    analysing = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'ANALYZE%sleepy%' AND state = 'active'"
    eventually(lambda: database.server.query(analysing))
    process.send_signal(number)
    process.communicate(timeout=60)
    assert_picture(database, database.before)
    eventually(lambda: not database.server.query(analysing))
    if number == signal.SIGTERM:
        assert process.returncode == 143
        assert_no_side_database(database.server)
    database.backup.path.unlink()
    take(opstower, database)
    restore(opstower, database, "latest", "--force", "--no-pre-backup", "--drop-replaced")
    assert_no_side_database(database.server)


# ---- names ------------------------------------------------------------------------------------------------------------------

NAMES = {"quotes": "it's \"quoted\"", "spaces": " two  words ", "63 bytes": "n" * 63, "62 bytes, not ASCII": "ü" * 31,
         "non-ASCII": "bücher_日本", "upper case": "UPPER Case", "percent": "50%s%n", "a conninfo": "dbname=postgres user=x",
         "an option": "--force", "dollar": "$(x)`y`", "backslash": "back\\slash", "a URL": "postgresql://nowhere/x"}


@pytest.mark.parametrize("kind", some_long(NAMES, "quotes", "spaces", "63 bytes", "62 bytes, not ASCII"))
def test_any_database_name(opstower, server, live, kind):
    database = live(name=NAMES[kind])
    names = server.databases()
    restore(opstower, database, "latest", "--force")
    try:
        assert_picture(database, database.source)
        new = [name for name in server.databases() if name not in names]
        assert len(new) == 1 and re.search(r"_replaced_\d{8}_\d{6}$", new[0]) and len(new[0].encode()) <= 63
        assert_picture(Database(server, new[0]), database.before)
    finally:
        for name in [name for name in server.databases() if name not in names]:
            server.query(f"DROP DATABASE {quoted(name)}")


SQL_ASCII = rb"""
CREATE TABLE bytes (id int PRIMARY KEY, t text);
INSERT INTO bytes VALUES (1, E'\351\350'), (2, E'tab\011 \377\376'), (3, '\.'), (4, NULL), (5, '');
CREATE TABLE "t""" + b"\xe9" + rb"""" ("c""" + b"\xff" + rb"""" text);
INSERT INTO "t""" + b"\xe9" + rb"""" VALUES ('""" + b"\xe4" + rb"""');
"""


def plain_text(database):
    text = subprocess.run([pgserver.program("pg_dump"), "-d", database.url], check=True, capture_output=True,
                          env=oracle.clean_environment()).stdout
    return re.sub(rb"\\(un)?restrict \S+\n", b"", text)


def test_a_database_without_an_encoding(opstower, server, db):
    database = db(encoding="SQL_ASCII", locale="C")
    database.psql("-f", "-", input=SQL_ASCII)
    source = plain_text(database)
    take(opstower, database)
    database.query("DROP TABLE bytes")
    restore(opstower, database, "latest", "--force")
    assert plain_text(database) == source
    assert database.value("SHOW server_encoding") == "SQL_ASCII"


# ---- settings that break sessions ----------------------------------------------------------------------------------------------

SETTINGS = {
    "read-only": "ALTER DATABASE {db} SET default_transaction_read_only = on",
    "a timeout of 20 ms": "ALTER DATABASE {db} SET statement_timeout = '20ms'",
    "a lock timeout of 1 ms": "ALTER DATABASE {db} SET lock_timeout = '1ms'",
    "an idle timeout of 1 ms": "ALTER DATABASE {db} SET idle_in_transaction_session_timeout = '1ms'",
    "an idle session timeout": "ALTER DATABASE {db} SET idle_session_timeout = '300ms'",
    "an odd search_path": "ALTER DATABASE {db} SET search_path = nowhere, \"no, where\"",
    "an empty search_path": "ALTER DATABASE {db} SET search_path = ''",
    "DateStyle": "ALTER DATABASE {db} SET DateStyle = 'German, DMY'",
    "TimeZone": "ALTER DATABASE {db} SET TimeZone = 'Asia/Kathmandu'",
    "client_encoding": "ALTER DATABASE {db} SET client_encoding = 'LATIN1'",
    "row_security off": "ALTER DATABASE {db} SET row_security = off",
    "session_replication_role": "ALTER DATABASE {db} SET session_replication_role = replica",
    "nonstandard strings": "ALTER DATABASE {db} SET standard_conforming_strings = off",
    "xml, bytea, floats": "ALTER DATABASE {db} SET bytea_output = escape; ALTER DATABASE {db} SET extra_float_digits = -15",
    "serializable": "ALTER DATABASE {db} SET default_transaction_isolation = serializable",
    "connection limit 1": "ALTER DATABASE {db} CONNECTION LIMIT 1",
    "connection limit 0": "ALTER DATABASE {db} CONNECTION LIMIT 0",
    "a role's read-only": "ALTER ROLE postgres IN DATABASE {db} SET default_transaction_read_only = on",
    "a role's timeout": "ALTER ROLE postgres IN DATABASE {db} SET statement_timeout = '20ms'",
    "a role's role": "ALTER ROLE postgres IN DATABASE {db} SET role = 'pg_read_all_data'",
}
TYPED = SMALL + """CREATE TABLE typed (d date, t timestamptz, f float8, b bytea, s text);
INSERT INTO typed VALUES ('2024-02-03', '2024-02-03 04:05:06+07', 0.1 + 0.2, '\\xff00', 'back\\slash é');"""


@pytest.mark.parametrize("kind", some_long(
    SETTINGS, "read-only", "a timeout of 20 ms", "an idle session timeout", "an odd search_path", "an empty search_path", "DateStyle",
    "connection limit 1", "a role's read-only"))
def test_settings_of_the_database_break_nothing_and_come_back(opstower, server, db, kind):
    database = db()
    database.query(TYPED)
    server.query(SETTINGS[kind].format(db=quoted(database.name)))
    url, database.url = database.url, database.url + "&options=-c%20default_transaction_read_only%3Doff%20-c%20statement_timeout%3D0%20" \
        "-c%20lock_timeout%3D0%20-c%20idle_in_transaction_session_timeout%3D0%20-c%20idle_session_timeout%3D0%20-c%20role%3Dnone"
    source = picture(database)
    plain = Database(server, database.name)
    plain.url = url
    take(opstower, plain)
    connection = psycopg2.connect(database.url)
    connection.cursor().execute("DROP TABLE public.bookings")
    connection.commit()
    connection.close()
    before = picture(database)
    restore(opstower, plain, "latest", "--force")
    assert_picture(database, source)
    replaced = Database(server, family(database)[0])
    replaced.url = database.url.replace(database.name, replaced.name, 1)
    assert_picture(replaced, before)


ROLE_SETTINGS = ["default_transaction_read_only = on", "statement_timeout = '20ms'", "search_path = nowhere",
                 "DateStyle = 'German, DMY'", "client_encoding = 'LATIN1'", "client_min_messages = error"]


@pytest.mark.parametrize("setting", some_long(ROLE_SETTINGS, *ROLE_SETTINGS[:1]))
def test_settings_of_the_role_break_nothing(opstower, server, live, role, setting):
    name = role("restore_set", "LOGIN SUPERUSER")
    server.query(f"ALTER ROLE {name} SET {setting}")
    database = live(TYPED)
    restore(opstower, database, "latest", "--force", env={"DATABASE_URL": server.url(database.name, user=name)})
    assert_picture(database, database.source)


def test_a_connection_limit_does_not_stop_an_ordinary_owner(opstower, server, db, role):
    owner = role("restore_limited", "LOGIN CREATEDB")
    database = db(owner=owner)
    database.query(SMALL + f"ALTER TABLE users OWNER TO {owner}; ALTER TABLE bookings OWNER TO {owner};"
                           f"ALTER SEQUENCE counter OWNER TO {owner}; ALTER DATABASE {quoted(database.name)} CONNECTION LIMIT 1")
    source = picture(database)
    take(opstower, database)
    database.query(f"DELETE FROM bookings; ALTER DATABASE {quoted(database.name)} CONNECTION LIMIT 2")
    restore(opstower, database, "latest", "--force", "--no-pre-backup", "--drop-replaced", "--jobs", 4,
            env={"DATABASE_URL": server.url(database.name, user=owner)})
    assert_picture(database, source)


# ---- the report afterwards ------------------------------------------------------------------------------------------------------

def test_the_guides_report_afterwards(opstower, live):
    database = live()
    result = restore(opstower, database, "latest", "--force", env={"CRITICAL_TABLES": "bookings, public.users,nosuch"})
    after = result.stdout[result.stdout.index("[INFO] Verifying restoration"):]
    assert "[INFO] Tables: 2\n" in after
    assert re.search(r"\[INFO\] Database size: \d+ [kM]B\n", after)
    assert re.search(r"Biggest tables:\n\[INFO\]   public\.(bookings|users) +\d+ kB\n\[INFO\]   public\.", after)
    assert "[INFO] Rows in bookings: 200\n" in after and "[INFO] Rows in public.users: 100\n" in after
    assert "Critical table nosuch does not exist" in result.stderr
    assert re.search(r"Completed Successfully\n\[INFO\] Duration: \d+ seconds\n$", result.stdout)
    log = (pathlib.Path(opstower.backup_dir) / opstower.files("restore_*.log")[0]).read_text()
    lines = [line.split(" ", 1)[1] for line in log.splitlines()]
    shown = iter(result.stdout.splitlines())
    assert all(line in shown for line in lines if line.startswith("[INFO]")), "the log has the lines in their order"
    assert lines[-1] == result.stdout.splitlines()[-1] and any("Rows in bookings: 200" in line for line in lines)


def test_without_critical_tables_the_biggest_are_counted(opstower, live):
    database = live()
    result = restore(opstower, database, "latest", "--force")
    assert "[INFO] Rows in public.bookings: 200\n" in result.stdout and "[INFO] Rows in public.users: 100\n" in result.stdout


@pytest.mark.parametrize("names", some_long(["a.b.c.d", "users; DROP TABLE users", "bookings_user", "counter"], "a.b.c.d", "bookings_user"))
def test_a_critical_table_that_is_none_does_not_make_a_good_restore_fail(opstower, live, names):
    database = live()
    restore(opstower, database, "latest", "--force", env={"CRITICAL_TABLES": names})
    assert_picture(database, database.source)


# ---- failures in every phase -----------------------------------------------------------------------------------------------------

FAKE = 'case "$*" in *{section}*) {what};; esac; exec "{{real}}" "$@"'
FAIL, DIE = "echo 'pg_restore: error: no luck' >&2; exit 1", "kill -9 $$"
PHASES = {
    "the schema": {"pg_restore": FAKE.format(section="pre-data", what=FAIL)},
    "the schema, killed": {"pg_restore": FAKE.format(section="pre-data", what=DIE)},
    "the schema, only half of it": {"pg_restore": 'case "$*" in *pre-data*) exit 0;; esac; exec "{real}" "$@"'},
    "indexes": {"pg_restore": FAKE.format(section="post-data", what=FAIL)},
    "indexes, killed": {"pg_restore": FAKE.format(section="post-data", what=DIE)},
    "indexes, made and then failed": {"pg_restore": '"{real}" "$@" && case "$*" in *post-data*) exit 1;; esac'},
    "pg_restore is missing": {"pg_restore": None},
}


@pytest.mark.parametrize("phase", some_long(
    PHASES, "the schema, only half of it", "indexes", "indexes, killed"))
def test_a_failure_leaves_the_live_database_as_it_was(opstower, server, live, folder, phase):
    database = live()
    bindir = programs_with(folder, server, **PHASES[phase])
    with unchanged(database):
        result = restore(opstower, database, "latest", "--force", "--no-pre-backup", env={"PG_BINDIR": bindir}, check=False)
        assert result.returncode == (3 if "missing" in phase else 11), result
        assert len(error_lines(result)) == 1
        assert phase not in ("the schema", "indexes") or "no luck" in result.stderr
    backups.wait_until_gone(server)


def break_foreign_key(archive):
    member = archive.members_of("bookings")[0]
    statement, rows, end = member.copy
    rows[0] = rows[0].replace(b"\t2\t", b"\t777\t", 1)
    member.text = statement + b"".join(rows) + end
    archive.prove("bookings")


def double_key(archive):
    member = archive.members_of("users")[0]
    statement, rows, end = member.copy
    member.text = statement + b"".join(rows + rows[:1]) + end
    archive.prove("users")


def no_number(archive):
    member = archive.members_of("users")[0]
    statement, rows, end = member.copy
    member.text = statement + b"".join([b"x" + rows[0]] + rows[1:]) + end
    archive.prove("users")


def test_a_backup_that_passes_its_checks_but_does_not_load_changes_nothing(opstower, live):
    database = live()
    archive = Archive(database.backup.path)
    no_number(archive)
    archive.save(database.backup.path, meta_from=database.backup)
    opstower("verify", "latest", env={"DATABASE_URL": database.url})
    with unchanged(database):
        result = restore(opstower, database, "latest", "--force", "--no-pre-backup", check=11)
        assert "ERROR:" in error_lines(result)[0]


@pytest.mark.parametrize("change", [break_foreign_key, double_key])
def test_rows_that_break_a_rule_come_back_beside_the_live_database(opstower, live, change):
    database = live()
    archive = Archive(database.backup.path)
    change(archive)
    archive.save(database.backup.path, meta_from=database.backup)
    before, names = picture(database), set(database.server.databases())
    result = restore(opstower, database, "latest", "--force", "--no-pre-backup", check=18)
    assert_picture(database, before)
    beside, = set(database.server.databases()) - names
    assert beside.startswith(f"{database.name}_incomplete_") and beside in error_lines(result)[0], result
    assert "[WARN] Left out: " in result.stderr and "--accept-incomplete" in error_lines(result)[0]


def test_rows_that_change_while_they_are_loaded_are_noticed(opstower, live):
    """A trigger's work between load and swap cannot be had; but a backup whose own SQL deletes rows can."""
    import base64  # pylint: disable=import-outside-toplevel
    database = live()
    archive = Archive(database.backup.path)
    lines = [line for line in archive.lines if line.startswith("-- toc ")]
    at = archive.lines.index(lines[0])
    toc = b"".join(base64.b64decode(line[7:]) for line in lines)
    old = b"CREATE INDEX bookings_user ON public.bookings USING btree (user_id);"
    assert toc.count(old) == 1
    toc = toc.replace(old, b"DELETE FROM public.bookings WHERE id = 7;".ljust(len(old)))
    archive.lines = [line for line in archive.lines if not line.startswith("-- toc ")]
    archive.lines[at:at] = ["-- toc " + base64.b64encode(toc[i:i + 3072]).decode() for i in range(0, len(toc), 3072)]
    archive.save(database.backup.path, meta_from=database.backup)
    with unchanged(database):
        result = restore(opstower, database, "latest", "--force", "--no-pre-backup", check=9)
        assert "public.bookings has 199 rows, the backup 200" in result.output


def test_a_server_that_stops_in_the_middle(opstower, make_server, db, folder):
    other = make_server()
    database = db(on=other)
    database.query(SMALL)
    source = picture(database)
    take(opstower, database)
    database.query(ACCIDENT)
    before = picture(database)
    process = slow_restore(opstower, database, folder)
    other.stop(signal.SIGQUIT)
    for pid in subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False).stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode not in (0, -signal.SIGKILL) and b"[ERROR]" in stderr
    other.start()
    assert_picture(database, before)
    restore(opstower, database, "latest", "--force", "--no-pre-backup", "--drop-replaced")
    assert_no_side_database(other)
    assert_picture(database, source)


@pytest.mark.long
def test_a_server_that_refuses_new_databases(opstower, server, live):
    """template0 in use: CREATE DATABASE fails."""
    database = live()
    server.query("UPDATE pg_database SET datallowconn = true WHERE datname = 'template0'")
    with server.connect("template0"):
        server.query("UPDATE pg_database SET datallowconn = false WHERE datname = 'template0'")
        with unchanged(database):
            result = restore(opstower, database, "latest", "--force", "--no-pre-backup", check=False)
            assert result.returncode not in (0, 8) and "template0" in result.stderr


def test_a_name_that_is_taken_is_no_obstacle_or_changes_nothing(opstower, server, live):
    """Somebody's databases under the names that the old one would get in the next seconds."""
    database = live()
    now = time.time()
    taken = [f"{database.name}_replaced_{time.strftime('%Y%m%d_%H%M%S', time.gmtime(now + i))}" for i in range(15)]
    for name in taken:
        server.query(f"CREATE DATABASE {quoted(name)} TEMPLATE template0 STRATEGY file_copy")
    result = restore(opstower, database, "latest", "--force", "--no-pre-backup", check=False)
    assert_picture(database, database.source if result.returncode == 0 else database.before)
    assert set(taken) <= set(server.databases())
    assert_no_side_database(server)


# ---- single tables -----------------------------------------------------------------------------------------------------------------

TABLES = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE users (id int PRIMARY KEY, name text);
INSERT INTO users SELECT g, md5(g::text) FROM generate_series(1, 100) g;
CREATE TABLE bookings (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, user_id int NOT NULL REFERENCES users, note text, feeling mood);
INSERT INTO bookings (user_id, note, feeling) SELECT 1 + g % 100, E'tab\t' || g, 'good' FROM generate_series(1, 200) g;
CREATE TABLE payments (booking_id bigint PRIMARY KEY REFERENCES bookings, amount int, twice int GENERATED ALWAYS AS (amount * 2) STORED);
INSERT INTO payments (booking_id, amount) SELECT g, g FROM generate_series(1, 150) g;
CREATE TABLE always (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
INSERT INTO always (v) SELECT 'v' || g FROM generate_series(1, 30) g;
CREATE TABLE no_key (a int, b text);
INSERT INTO no_key VALUES (1, 'x'), (1, 'x'), (1, 'x'), (2, NULL), (2, NULL), (NULL, NULL), (3, '');
CREATE TABLE no_columns (); INSERT INTO no_columns SELECT FROM generate_series(1, 5);
CREATE TABLE "Quoted ""Name"", é" ("Key" text PRIMARY KEY, "Value, two" text);
INSERT INTO "Quoted ""Name"", é" VALUES ('a', '\\.'), ('b', NULL);
CREATE SCHEMA "Other Schema"; CREATE TABLE "Other Schema".users (id int, PRIMARY KEY (id)); INSERT INTO "Other Schema".users VALUES (7), (8);
CREATE TABLE parts (id int, at date, v text, PRIMARY KEY (id, at, v)) PARTITION BY RANGE (at);
CREATE TABLE parts_2024 PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE parts_2025 PARTITION OF parts FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (v);
CREATE TABLE parts_2025_a PARTITION OF parts_2025 FOR VALUES IN ('a');
CREATE TABLE parts_2025_rest PARTITION OF parts_2025 DEFAULT;
INSERT INTO parts SELECT g, date '2024-01-01' + g, CASE g % 2 WHEN 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 600) g;
CREATE TABLE empty_table (id int);
CREATE TABLE two_keys (a int, b int, c text, PRIMARY KEY (b, a)); INSERT INTO two_keys SELECT g % 3, g, 'c' FROM generate_series(1, 20) g;
CREATE TABLE filler AS SELECT g AS id, md5(g::text) || md5((g + 1)::text) AS t FROM generate_series(1, 20000) g;
"""


@pytest.fixture(scope="module")
def tables_backup(server):
    """One database of those tables and one backup of it, for every test: (database, backup)."""
    folder = pgserver.temporary_folder("opstower-tables-")
    database = create_database(server, "restore_tables")
    database.query(TABLES)
    yield database, take(runner.Opstower(folder, {"PG_BINDIR": server.bindir}), database)
    drop_databases(server, database.name)
    shutil.rmtree(folder)


@pytest.fixture
def tables(server, opstower, tables_backup):
    """A copy of that database, and of its backup in this test's own folder."""
    original, backup = tables_backup
    database = Database(server, f"t{os.path.basename(opstower.folder).replace('-', '_')}")
    server.query(f"CREATE DATABASE {quoted(database.name)} TEMPLATE {original.name} STRATEGY file_copy")
    database.backup = copy_to(backup, opstower.backup_dir)
    yield database
    drop_databases(server, database.name)


def table_pictures(database):
    return {key: value for key, value in oracle.data_fingerprints(database.url).items() if not key.startswith("table recovered_")}


# table(s) asked for, and what happened to them
SINGLE = {
    "all rows deleted": (["public.users"], "ALTER TABLE bookings DISABLE TRIGGER ALL; SET session_replication_role = replica; DELETE FROM users"),
    "no schema given": (["always"], "DELETE FROM always"),
    "some rows deleted": (["public.payments"], "DELETE FROM payments WHERE amount % 2 = 0"),
    "several, in the wrong order": (["public.payments", "public.bookings", "public.users"],
                                    "DELETE FROM payments; DELETE FROM bookings; DELETE FROM users"),
    "a partitioned parent": (["public.parts"], "DELETE FROM parts WHERE id % 3 = 0"),
    "a partitioned partition": (["public.parts_2025"], "DELETE FROM parts_2025"),
    "one partition": (["public.parts_2024"], "TRUNCATE parts_2024"),
    "generated columns": (["public.payments"], "TRUNCATE payments"),
    "identity always": (["public.always"], "DELETE FROM always WHERE id > 3"),
    "no primary key, duplicates": (["public.no_key"], "DELETE FROM no_key"),
    "no primary key, one duplicate left": (["public.no_key"], "DELETE FROM no_key WHERE ctid <> (SELECT min(ctid) FROM no_key WHERE a = 1)"),
    "no columns": (["public.no_columns"], "DELETE FROM no_columns WHERE ctid IN (SELECT ctid FROM no_columns LIMIT 3)"),
    "a quoted name": (['public."Quoted ""Name"", é"'], 'DELETE FROM "Quoted ""Name"", é" WHERE "Key" = \'a\''),
    "the same name in two schemas": (['"Other Schema".users', "public.users"],
                                     'DELETE FROM "Other Schema".users; SET session_replication_role = replica; DELETE FROM users'),
    "an empty table": (["public.empty_table"], "SELECT 1"),
    "a key of two columns": (["public.two_keys"], "DELETE FROM two_keys WHERE b > 10"),
    "nothing missing": (["public.users"], "SELECT 1"),
    "the same twice": (["public.always", "always"], "DELETE FROM always"),
}


@pytest.mark.parametrize("kind", SINGLE)
def test_single_tables_are_put_back(opstower, tables, kind):
    asked, accident = SINGLE[kind]
    before = table_pictures(tables)
    tables.query(accident)
    options = [word for name in asked for word in ("--table", name)]
    result = restore(opstower, tables, tables.backup.path, *options, "--put-back", "--allow-other-database")
    assert oracle.differences(table_pictures(tables), before) == []
    assert result.returncode == 0 and "equal to the backup's proof" in result.stdout


def test_rows_written_since_are_kept_when_rows_are_put_back(opstower, tables):
    tables.query("DELETE FROM always WHERE id < 10; INSERT INTO always (v) VALUES ('new'); UPDATE always SET v = 'changed' WHERE id = 20;"
                 "DELETE FROM no_key WHERE a = 2; INSERT INTO no_key VALUES (99, 'new'), (1, 'x')")
    restore(opstower, tables, tables.backup.path, "--table", "public.always", "--table", "no_key", "--put-back", "--allow-other-database")
    assert tables.query("SELECT count(*), count(*) FILTER (WHERE v = 'new'), count(*) FILTER (WHERE v = 'changed') FROM always") == [(31, 1, 1)]
    assert tables.query("SELECT a, b, count(*)::int FROM no_key GROUP BY 1, 2 ORDER BY 1, 2") == [
        (1, "x", 4), (2, None, 2), (3, "", 1), (99, "new", 1), (None, None, 1)]


def test_without_put_back_nothing_of_the_live_tables_changes_and_the_statement_is_printed(opstower, tables):
    tables.query("DELETE FROM payments WHERE booking_id > 100")
    before = table_pictures(tables)
    result = restore(opstower, tables, tables.backup.path, "--table", "public.payments")
    assert table_pictures(tables) == before
    schemas = [row[0] for row in tables.query("SELECT nspname FROM pg_namespace WHERE nspname ~ '^recovered_'")]
    assert len(schemas) == 1 and re.fullmatch(r"recovered_\d{8}_\d{6}", schemas[0])
    assert tables.value(f"SELECT count(*) FROM {schemas[0]}.payments") == 150
    statement = re.search(r"To put back the rows that are missing in \S+: (INSERT .*;)$", result.stdout, re.M).group(1)
    tables.query(statement)
    assert tables.value("SELECT count(*) FROM payments") == 150
    assert family(tables) == [], "no database is made for it"


def test_only_the_share_of_the_table_is_read(opstower, tables):
    result = restore(opstower, tables, tables.backup.path, "--table", "public.always")
    number, unit = re.search(r"Read ([0-9.]+)([KMG]?B) of the backup's", result.stdout).groups()
    read = float(number) * {"B": 1, "KB": 1024, "MB": 1024 ** 2}[unit]
    assert 0 < read < 2000 < 300000 < tables.backup.path.stat().st_size


def test_a_dropped_table_and_its_rows_are_not_lost(opstower, tables):
    rows = table_pictures(tables)["table public.always"]
    tables.query("DROP TABLE always")
    result = restore(opstower, tables, tables.backup.path, "--table", "public.always", check=False)
    schema = tables.value("SELECT max(nspname) FROM pg_namespace WHERE nspname ~ '^recovered_'")
    assert result.returncode == 0, result
    assert table_pictures_of(tables, schema, "always") == rows


def table_pictures_of(database, schema, name):
    return oracle.data_fingerprints(database.url)[f"table {schema}.{name}"]


@pytest.mark.parametrize("name", ["public.nosuch", "nosuch.users", "public.bookings_pkey", "public.QUOTED", "USERS2"])
def test_a_table_that_is_not_in_the_backup_is_code_10(opstower, tables, name):
    with unchanged(tables):
        restore(opstower, tables, tables.backup.path, "--table", name, check=10)


@pytest.mark.parametrize("name", ["a.b.c", '"unclosed', "x; DROP TABLE users", ""])
def test_a_table_name_that_is_none_is_an_error(opstower, tables, name):
    with unchanged(tables):
        result = restore(opstower, tables, tables.backup.path, "--table", name, check=False)
        assert result.returncode in (2, 10), result


def test_upper_and_lower_case_are_as_in_sql(opstower, tables):
    tables.query("DELETE FROM always")
    restore(opstower, tables, tables.backup.path, "--table", "PUBLIC.Always", "--put-back", "--allow-other-database")
    assert tables.value("SELECT count(*) FROM always") == 30


def test_rows_that_cannot_be_put_back_change_nothing(opstower, tables):
    """bookings needs users that are gone, and only bookings is asked for."""
    tables.query("DELETE FROM payments; DELETE FROM bookings; DELETE FROM users")
    before = table_pictures(tables)
    result = restore(opstower, tables, tables.backup.path, "--table", "public.bookings", "--put-back", "--allow-other-database", check=11)
    assert "violates foreign key" in result.stderr
    assert table_pictures(tables) == before


def test_single_tables_of_a_damaged_backup_are_refused(opstower, tables):
    archive = Archive(tables.backup.path)
    at = archive.offsets[archive.members.index(archive.members_of("always")[0])] + 60
    data = archive.data
    tables.backup.path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
    with unchanged(tables):
        restore(opstower, tables, tables.backup.path, "--table", "public.always", check=8)


def test_single_tables_of_a_latin1_database(opstower, live):
    database = live("odd_latin1.sql", accident='DELETE FROM "Bücher"."Verkäufe" WHERE id % 2 = 0; DELETE FROM zeichen', encoding="LATIN1", locale="C")
    restore(opstower, database, "latest", "--table", '"Bücher"."Verkäufe"', "--table", "zeichen", "--put-back")
    found = {key: value for key, value in oracle.data_fingerprints(database.url).items() if "recovered_" not in key}
    assert oracle.differences(found, database.source[0]) == []


@pytest.mark.parametrize("setting", ["default_transaction_read_only = on", "search_path = nowhere", "statement_timeout = '20ms'"])
def test_single_tables_whatever_the_databases_settings(opstower, tables, setting):
    tables.query("DELETE FROM always")
    tables.server.query(f"ALTER DATABASE {quoted(tables.name)} SET {setting}")
    restore(opstower, tables, tables.backup.path, "--table", "public.always", "--put-back", "--allow-other-database")
    assert tables.server.query("SET statement_timeout = 0; SELECT count(*) FROM public.always", dbname=tables.name) == [(30,)]


# ---- plain dumps -----------------------------------------------------------------------------------------------------------------

def pg_dump(database, *options):
    return subprocess.run([pgserver.program("pg_dump"), *options, "-d", database.url], check=True, capture_output=True).stdout


def plain_file(opstower, name, data):
    os.makedirs(opstower.backup_dir, exist_ok=True)
    path = pathlib.Path(opstower.backup_dir) / name
    path.write_bytes(data)
    return path


def test_a_plain_dump_of_every_odd_thing_is_restored(opstower, live):
    """Not with --inserts: pg_dump's own are wrong for a table whose columns are in another order than its parent's."""
    database = live("odd.sql", accident=None)
    path = plain_file(opstower, "dump.sql.gz", gzip.compress(pg_dump(database)))
    database.query("CREATE TABLE public.later (id int)")
    restore(opstower, database, path, "--force", "--no-pre-backup", "--drop-replaced")
    assert_picture(database, database.source)


@pytest.mark.parametrize("kind, name, options", [
    ("small", "dump.sql.gz", ()), ("small", "dump.sql", ()), ("small", "dump.sql.gz", ("--inserts",)), ("sample", "dump.sql.gz", ()),
    pytest.param("sample", "dump.sql.gz", ("--inserts",), marks=pytest.mark.long)])
def test_a_plain_dump_is_restored(opstower, server, live, kind, name, options):
    database = live(SCRIPTS.get(kind, SMALL), accident=None)
    text = pg_dump(database, *options)
    path = plain_file(opstower, name, gzip.compress(text) if name.endswith(".gz") else text)
    database.query("CREATE TABLE public.later (id int)")
    before = picture(database)
    result = restore(opstower, database, path, "--force", "--no-pre-backup")
    assert "carries no proof" in result.stdout
    assert_picture(database, database.source)
    assert_picture(Database(server, family(database)[0]), before)


def test_a_plain_dump_keeps_the_live_databases_properties(opstower, server, live, role):
    owner = role("plain_owner")
    database = live(accident=None)
    name = quoted(database.name)
    database.query(f"ALTER DATABASE {name} OWNER TO {owner}; REVOKE ALL ON DATABASE {name} FROM PUBLIC;"
                   f"ALTER DATABASE {name} SET work_mem = '7MB'; COMMENT ON DATABASE {name} IS 'ours'")
    source = picture(database)
    path = plain_file(opstower, "dump.sql", pg_dump(database))
    database.query("DROP TABLE bookings")
    restore(opstower, database, path, "--force", "--no-pre-backup")
    assert_picture(database, source)


PLAIN_ERRORS = {
    "an SQL error at the end": lambda text: end_with(text, b"INSERT INTO public.users (id) VALUES (1 / 0);\n"),
    "an SQL error at the beginning": lambda text: text.replace(b"SET statement_timeout", b"ALTER TABLE public.nowhere ADD a int;\nSET statement_timeout", 1),
    "a table that is there twice": lambda text: end_with(text, b"CREATE TABLE public.users (id int);\n"),
    "rows that do not fit": lambda text: text.replace(b"\n50\t", b"\nfifty\t", 1),
    "a psql command that fails": lambda text: end_with(text, b"\\i /nonexistent\n"),
    "an unfinished statement": lambda text: end_with(text, b"SELECT 'open\n"),
}


def end_with(text, sql):
    at = text.rindex(b"--\n-- PostgreSQL database dump complete")
    return text[:at] + sql + b"\n" + text[at:]


@pytest.mark.parametrize("kind", some_long(PLAIN_ERRORS, "an SQL error at the end", "rows that do not fit", "an unfinished statement"))
def test_any_error_in_a_plain_dump_is_an_error(opstower, live, kind):
    database = live()
    changed = PLAIN_ERRORS[kind](pg_dump(database))
    path = plain_file(opstower, "dump.sql.gz", gzip.compress(changed))
    with unchanged(database):
        result = restore(opstower, database, path, "--force", "--no-pre-backup", check=False)
        assert result.returncode in (8, 11, 12), result
        assert len(error_lines(result)) == 1


@pytest.mark.parametrize("options", [("-C",), ("-C", "-c", "--if-exists")])
def test_a_plain_dump_that_connects_elsewhere_does_not_reach_another_database(opstower, server, live, db, options):
    """`pg_dump -C -c` drops and makes the database by its own name, and connects to it."""
    source = live(accident=None)
    path = plain_file(opstower, "dump.sql", pg_dump(source, *options))
    source.query("CREATE TABLE precious (id int); INSERT INTO precious VALUES (1)")
    database = db()
    database.query("CREATE TABLE live (id int)")
    with unchanged(source):
        restore(opstower, database, path, "--force", "--no-pre-backup", "--drop-replaced", check=False)
    with unchanged(source):
        restore(opstower, source, path, "--force", "--no-pre-backup", "--target-db", source.name + "_beside", check=False)
        if source.name + "_beside" in server.databases():
            server.query(f"DROP DATABASE {quoted(source.name + '_beside')}")
    before = picture(source)
    restore(opstower, source, path, "--force", "--no-pre-backup", check=False)
    kept = [Database(server, name) for name in server.databases() if name == source.name or "_replaced_" in name]
    assert any(picture(each) == before for each in kept), "what was live is nowhere any more"


# What a dump of others says openly: psql would run it, with the rights of whoever restores.
HOSTILE = {
    "a shell command": "\\! touch {marker}\n",
    "a command in backticks": "\\restrict `touch {marker}; echo abc`\n",
    "a command behind a statement": "SELECT 1 \\g | touch {marker}\n",
    "output into a file": "\\o {marker}\nSELECT 1;\n",
    "another database dropped": "drop /* quietly */ database {victim};\n",
    "another database dropped behind a comment": "/* a /* b */ c */ -- d\nDROP DATABASE {victim};\n",
    "a role with all rights": "create role {victim} superuser;\n",
    "membership": "GRANT pg_write_server_files TO PUBLIC_ROLE;\n",
    "the server's settings": "ALTER SYSTEM SET archive_command = 'x';\n",
    "a program of the server's": "COPY public.users FROM PROGRAM 'touch {marker}';\n",
    "a file of the server's": "COPY public.users TO '{marker}';\n",
    "a block of code": "DO $$ BEGIN EXECUTE 'CREATE ROLE {victim} SUPERUSER'; END $$;\n",
    "two statements in one": "COMMENT ON SCHEMA public IS E'\\\\'; CREATE ROLE {victim} SUPERUSER; --';\n",
    "another connection": "\\connect {victim}\nDROP TABLE precious;\n",
}


@pytest.mark.parametrize("kind", sample.every(2, HOSTILE))
def test_a_plain_dump_does_not_reach_beyond_its_database(opstower, server, live, db, tmp_path, kind):
    database, victim = live(accident=None), db()
    victim.query("CREATE TABLE precious (id int)")
    tmp_path.chmod(0o777)
    marker = tmp_path / "marker"
    text = pg_dump(database).decode()
    text = text.replace("SET statement_timeout = 0;", HOSTILE[kind].format(marker=marker, victim=victim.name), 1)
    path = plain_file(opstower, "dump.sql", text.encode())
    name = database.name + "_beside"
    roles = server.query("SELECT rolname, rolsuper FROM pg_roles ORDER BY 1")
    with unchanged(database):
        result = restore(opstower, database, path, "--force", "--target-db", name, check=12)
    assert len(error_lines(result)) == 1 and "the dump is not loaded" in result.stdout + result.stderr
    assert not marker.exists() and name not in server.databases()
    assert victim.value("SELECT count(*) FROM precious") == 0
    assert server.query("SELECT rolname, rolsuper FROM pg_roles ORDER BY 1") == roles


def test_a_plain_dump_with_settings_of_a_newer_server_is_restored(opstower, server, live):
    database = live(accident=None)
    text = pg_dump(database).replace(b"SET statement_timeout = 0;", b"SET statement_timeout = 0;\nSET a_setting_of_later = 0;", 1)
    name = database.name + "_new"
    result = restore(opstower, database, plain_file(opstower, "dump.sql", text), "--force", "--target-db", name)
    assert "a_setting_of_later" in result.stdout + result.stderr
    oracle.assert_same(database.url, server.url(name))


def test_a_plain_dump_into_a_new_database(opstower, server, live):
    database = live(accident=None)
    path = plain_file(opstower, "dump.sql.gz", gzip.compress(pg_dump(database)))
    restore(opstower, database, path, "--force", "--target-db", database.name + "_new")
    oracle.assert_same(database.url, server.url(database.name + "_new"))


def test_single_tables_of_a_plain_dump_are_refused(opstower, live):
    database = live()
    path = plain_file(opstower, "dump.sql.gz", gzip.compress(pg_dump(database)))
    with unchanged(database):
        restore(opstower, database, path, "--table", "public.users", check=12)


# ---- many tables -----------------------------------------------------------------------------------------------------

MANY = """
DO $$ BEGIN FOR i IN 1..60 LOOP
    EXECUTE format('CREATE TABLE small_%s (a int PRIMARY KEY, b text); INSERT INTO small_%s SELECT g, g FROM generate_series(1, %s) g',
                   i, i, i % 3);
END LOOP; END $$;
CREATE TABLE parted (a int) PARTITION BY LIST (a);
CREATE TABLE small_part PARTITION OF parted FOR VALUES IN (1);
INSERT INTO parted VALUES (1), (1);
CREATE TABLE large (a int, b text);
INSERT INTO large SELECT g, repeat('x', 500) FROM generate_series(1, 4000) g;
"""


def test_only_tables_that_gain_by_it_have_their_files_made_twice(opstower, db):
    """TRUNCATE makes a table's files anew, those of its TOAST table too: for a few rows that is most of the time."""
    source = db()
    source.psql(input=MANY)
    take(opstower, source)
    target = f"{source.name}_many"
    restore(opstower, source, "latest", "--force", "--jobs", 1, "--target-db", target)
    restored = Database(source.server, target)
    made_anew = restored.query("SELECT relname FROM pg_class WHERE relkind = 'r' AND oid >= 16384 AND relfilenode <> oid")
    assert made_anew == [("large",)]
    assert oracle.differences(restored.fingerprints(), source.fingerprints()) == []
