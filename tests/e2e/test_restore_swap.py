"""The database that a restore replaces, and the one that takes its place: who gets in meanwhile, what is lost, what comes back."""
import contextlib
import json
import os
import re
import shlex
import signal
import time

import psycopg2
import pytest

from conftest import Database
from lib import backups, oracle, pgserver
from lib.archive import Archive
from lib.backups import error_lines, programs_with, take

SMALL = """
CREATE TABLE users (id int PRIMARY KEY, name text);
INSERT INTO users SELECT g, md5(g::text) FROM generate_series(1, 100) g;
CREATE TABLE bookings (id int PRIMARY KEY, user_id int REFERENCES users, note text);
INSERT INTO bookings SELECT g, 1 + g % 100, 'note' FROM generate_series(1, 200) g;
"""


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def restore(opstower, database, *arguments, env=None, **options):
    return opstower("restore", *(arguments or ("latest", "--force")), env={"DATABASE_URL": database.url, **(env or {})}, **options)


def family(database):
    return [name for name in database.server.databases() if name.startswith(database.name[:30] + "_")]


def eventually(condition, seconds=60, step=0.02):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(step)


@pytest.fixture
def roles(server):
    """roles(name="LOGIN CREATEDB", ...): made on the shared server; gone, with what they own, after the test."""
    made = []

    def make(**options):
        for name, option in options.items():
            server.query(f"CREATE ROLE {name} {option}")
            made.append(name)
    yield make
    names = ", ".join(made)
    for name, owner in server.query("SELECT datname, pg_get_userbyid(datdba) FROM pg_database"):
        if owner in made:
            server.query(f"UPDATE pg_database SET datistemplate = false WHERE datname = '{name}'")
            server.query(f"DROP DATABASE {quoted(name)} WITH (FORCE)")
    for name in [name for name in server.databases() if name != "template0"] if made else []:
        with contextlib.suppress(psycopg2.Error):
            server.query(f"DROP OWNED BY {names} CASCADE", dbname=name)
    if made:
        server.query(f"DROP ROLE {names}")


@pytest.fixture
def owned(server, db, roles):
    """A database of role app_owner with its tables, and a restorer as README has it: .url is the restorer's, .super ours."""
    roles(app_owner="LOGIN", restorer="LOGIN CREATEDB", app_member="LOGIN", stranger="LOGIN")
    server.query("GRANT app_owner TO restorer; GRANT pg_signal_backend, pg_read_all_data TO restorer; GRANT app_owner TO app_member")
    database = db(owner="app_owner")
    database.query("SET ROLE app_owner;" + SMALL)
    database.super = database.url
    database.url = server.url(database.name, user="restorer")
    return database


def as_super(database):
    made = Database(database.server, database.name)
    made.url = database.super
    return made


# ---- who gets in ------------------------------------------------------------------------------------------------------------

HELD = 'case "$*" in *post-data*--verbose*|*--verbose*post-data*) touch "{mark}"; while [ -e "{mark}" ]; do nap 0.05; done;; esac; exec "{{real}}" "$@"'


class Held:
    """A restore that stops before its indexes are made, until go() is called."""

    def __init__(self, opstower, database, folder, *arguments):
        self.mark = os.path.join(folder, "held")
        bindir = programs_with(folder, database.server, pg_restore=HELD.format(mark=self.mark))
        self.process = opstower.popen("restore", "latest", "--force", "--no-pre-backup", *arguments,
                                      env={"DATABASE_URL": database.url, "PG_BINDIR": bindir})
        eventually(lambda: os.path.exists(self.mark) or self.process.poll() is not None)
        self.side = next(name for name in database.server.databases() if name.startswith(database.name + "_restoring_"))

    def go(self):
        """Lets it go on; (exit code, what it said)."""
        os.unlink(self.mark)
        stdout, stderr = self.process.communicate(timeout=120)
        return self.process.returncode, (stdout + stderr).decode()


def gets_in(server, name, user):
    try:
        psycopg2.connect(host=server.socket, dbname=name, user=user).close()
        return True
    except psycopg2.OperationalError:
        return False


def row_of(database):
    """The database's own row, as its meaning goes: without oids, and an ACL that says what a missing one means."""
    return database.server.query(
        "SELECT to_jsonb(d) - 'oid' - 'datname' - 'datacl' - 'datfrozenxid' - 'datminmxid' - 'dattablespace' || jsonb_build_object("
        " 'acl', (SELECT array_agg(x::text ORDER BY x::text) FROM unnest(coalesce(datacl, acldefault('d', datdba))) x),"
        " 'tablespace', (SELECT spcname FROM pg_tablespace t WHERE t.oid = dattablespace),"
        " 'settings', (SELECT array_agg(setrole || ' ' || c ORDER BY setrole, c) FROM pg_db_role_setting, unnest(setconfig) c WHERE setdatabase = d.oid),"
        " 'comment', shobj_description(d.oid, 'pg_database')) FROM pg_database d WHERE datname = %s", (database.name,))[0][0]


@pytest.mark.parametrize("user", ["postgres", "restorer"])
def test_nobody_else_gets_into_the_side_database(opstower, server, owned, folder, user):
    """Neither its owner nor the owner's members, nor who may connect to the live one; and its rights are the backup's again."""
    server.query(f"GRANT CONNECT ON DATABASE {quoted(owned.name)} TO stranger; ALTER DATABASE {quoted(owned.name)} CONNECTION LIMIT 50")
    owned.url = server.url(owned.name, user=user)
    take(opstower, owned)
    before = row_of(owned)
    held = Held(opstower, owned, folder)
    inside = [who for who in ("app_owner", "app_member", "stranger") if gets_in(server, held.side, who)]
    code, said = held.go()
    assert (code, inside) == (0, []), said
    assert row_of(owned) == before
    assert gets_in(server, owned.name, "stranger") and gets_in(server, owned.name, "app_owner")


KEYS = {"the owner gives himself CONNECT": "GRANT CONNECT ON DATABASE {side} TO app_owner",
        "and takes it again": "GRANT CONNECT ON DATABASE {side} TO app_owner; REVOKE CONNECT ON DATABASE {side} FROM app_owner",
        "a setting": "ALTER DATABASE {side} SET search_path = elsewhere"}


@pytest.mark.parametrize("key", KEYS)
def test_who_opens_the_side_database_is_noticed(opstower, server, owned, folder, key):
    """Where the owner must own it already, since the restorer is no superuser."""
    take(opstower, owned)
    held = Held(opstower, owned, folder)
    connection = server.connect(user="app_owner")
    for statement in KEYS[key].format(side=quoted(held.side)).split("; "):
        connection.cursor().execute(statement)
    connection.close()
    code, said = held.go()
    assert code == 11 and "somebody was at the rights or settings of" in said
    assert family(owned) == [], "it is dropped, and the live one is in use"
    assert as_super(owned).value("SELECT count(*) FROM bookings") == 200


def test_the_owner_of_a_superusers_side_database_cannot_open_it(opstower, server, owned, folder):
    owned.url = owned.super
    take(opstower, owned)
    held = Held(opstower, owned, folder)
    connection = server.connect(user="app_owner")
    for statement in ("GRANT CONNECT ON DATABASE {} TO PUBLIC", "ALTER DATABASE {} CONNECTION LIMIT -1"):
        with contextlib.suppress(psycopg2.Error):   # GRANT without the right to it is a warning
            connection.cursor().execute(statement.format(quoted(held.side)))
    connection.close()
    assert not gets_in(server, held.side, "app_owner")
    assert held.go()[0] == 0


def test_rights_that_only_the_databases_owner_has_are_there_in_time(opstower, owned):
    """Schema public taken from PUBLIC: its tables' owner gets at it as the database's owner only, and so do his index functions
    and materialized views."""
    database = as_super(owned)
    database.query("REVOKE ALL ON SCHEMA public FROM PUBLIC; SET ROLE app_owner;"
                   "CREATE FUNCTION plus(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 + (SELECT count(*) FROM public.users); END';"
                   "CREATE INDEX by_plus ON bookings (plus(id)); CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM public.bookings")
    schema, rows = oracle.schema_dump(database.url), oracle.data_fingerprints(database.url)
    take(opstower, database)
    restore(opstower, database, "latest", "--force", "--no-pre-backup", "--drop-replaced")
    assert oracle.schema_dump(database.url) == schema and oracle.data_fingerprints(database.url) == rows
    assert database.value("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()") == "app_owner"
    opstower("verify", "latest", "--full-test", env={"DATABASE_URL": database.url})


# ---- what was committed meanwhile ----------------------------------------------------------------------------------------------

def committed_meanwhile(database, folder, statement):
    """PG_BINDIR with which the statement is committed when the pre-restore backup has read its tables."""
    run = f"{shlex.quote(pgserver.program('psql'))} -Xq -d {shlex.quote(database.url)} -c {shlex.quote(statement)} >/dev/null 2>&1"
    return {"PG_BINDIR": programs_with(folder, database.server, pg_dumpall=f'[ "$1" = --version ] || {run}; exec "{{real}}" "$@"')}


MEANWHILE = {"a row": "INSERT INTO bookings VALUES (777, 1, 'new')", "a row that is gone": "DELETE FROM bookings WHERE id = 1",
             "another value": "UPDATE users SET name = 'x' WHERE id = 1", "a table": "CREATE TABLE new_one AS SELECT 1 AS a",
             "a sequence": "SELECT nextval('counter')", "a large object": "SELECT lo_from_bytea(0, 'x')",
             "another kind of column": "ALTER TABLE users ALTER name TYPE varchar(50)"}


@pytest.fixture
def changing(db, opstower):
    def make():
        database = db()
        database.query(SMALL + "CREATE SEQUENCE counter")
        database.backup = take(opstower, database)
        database.query("DELETE FROM bookings WHERE id > 100")
        return database
    return make


@pytest.mark.parametrize("what", [what if what in ("a row", "a table") else pytest.param(what, marks=pytest.mark.long) for what in MEANWHILE])
def test_in_place_is_refused_if_something_was_committed_since_the_pre_restore_backup(opstower, changing, folder, what):
    database = changing()
    result = restore(opstower, database, database.backup.id, "--force", "--in-place",
                     env=committed_meanwhile(database, folder, MEANWHILE[what]), check=12)
    assert "would lose what was committed since the pre-restore backup" in error_lines(result)[0]
    assert f"Database {database.name} is in use again" in result.stdout and family(database) == []
    assert f"State: database {database.name} is there, as it was; no side database is left" in result.stdout
    if what == "a row":
        assert database.value("SELECT count(*) FROM bookings WHERE id = 777") == 1
        restore(opstower, database, database.backup.id, "--force", "--in-place")
        assert database.value("SELECT count(*) FROM bookings") == 200


@pytest.mark.parametrize("what", [what if what == "another value" else pytest.param(what, marks=pytest.mark.long) for what in MEANWHILE])
def test_the_replaced_database_is_kept_if_it_holds_what_is_in_no_backup(opstower, changing, folder, what):
    database = changing()
    result = restore(opstower, database, database.backup.id, "--force", "--drop-replaced",
                     env=committed_meanwhile(database, folder, MEANWHILE[what]))
    assert re.search(r"\[WARN\] \S+ is not dropped: it holds what was committed since the pre-restore backup \S+ and is in no backup",
                     result.stderr)
    assert [re.sub(r"\d", "9", name) for name in family(database)] == [f"{re.sub('[0-9]', '9', database.name)}_replaced_99999999_999999"]
    assert database.value("SELECT count(*) FROM bookings") == 200


# ---- the way back, and the state ------------------------------------------------------------------------------------------------

def test_the_line_to_undo_a_restore_undoes_it(opstower, server, changing):
    database = changing()
    before = oracle.data_fingerprints(database.url)
    result = restore(opstower, database, database.backup.id, "--force", "--no-pre-backup")
    where, statements = re.search(r"To undo this restore, in psql on database (\S+): (BEGIN;.*COMMIT;)$", result.stdout, re.M).groups()
    with psycopg2.connect(database.url):     # somebody is connected
        Database(server, where).psql("-c", statements)
    assert oracle.data_fingerprints(database.url) == before
    result = restore(opstower, database, database.backup.id, "--force", "--drop-replaced")
    made = re.search(r"To undo this restore: opstower restore (\S+)$", result.stdout, re.M).group(1)
    restore(opstower, database, made, "--force", "--no-pre-backup", "--drop-replaced")
    assert oracle.data_fingerprints(database.url) == before
    beside = restore(opstower, database, database.backup.id, "--force", "--target-db", database.name + "_beside")
    where, statement = re.search(r"To undo this restore, in psql on database (\S+): (DROP .*;)$", beside.stdout, re.M).groups()
    Database(server, where).psql("-c", statement)
    assert database.name + "_beside" not in server.databases()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_after_an_interrupt_the_state_is_told(opstower, changing, folder, number):
    database = changing()
    held = Held(opstower, database, folder)
    held.process.send_signal(number)
    stdout, _ = held.process.communicate(timeout=60)
    assert f"State: database {database.name} is there, as it was; no side database is left" in stdout.decode()


# ---- before the backup is read ----------------------------------------------------------------------------------------------------

def test_the_preview_shows_where_and_each_tables_rows(opstower, server, changing):
    database = changing()
    database.query("CREATE TABLE later AS SELECT g FROM generate_series(1, 7) g; DROP TABLE users CASCADE")
    result = restore(opstower, database, database.backup.id, check=12)
    assert f"Server: {server.socket}, port 5432 (PostgreSQL " in result.stdout and "as user postgres" in result.stdout
    for line in ("Rows in all: 107 now, 300 in the backup", "public.bookings: 100 now, 200 in the backup",
                 "public.users: not there now, 100 in the backup", "public.later: 7 now, not in the backup"):
        assert line in result.stdout
    assert "Verifying" not in result.stdout, "without a terminal it is refused before the backup is read"


def session_of(user):
    return lambda database: database.server.connect(database.name, user=user)


def prepared(database):
    as_super(database).query("BEGIN; INSERT INTO users VALUES (0, 'x'); PREPARE TRANSACTION 'it''s open'")


OBSTACLES = {   # what is in the way, done to the database by a superuser, or a function; exit code; what is said
    "the live one belongs to a superuser": ("ALTER DATABASE {db} OWNER TO postgres", 3, "ALTER DATABASE {db} OWNER TO restorer"),
    "the live one belongs to another": ("ALTER DATABASE {db} OWNER TO stranger", 3, "GRANT stranger TO restorer, or ALTER DATABASE {db} OWNER"),
    "not a member of the owner": ("REVOKE app_owner FROM restorer", 3, "GRANT app_owner TO restorer"),
    "a session of a superuser": (session_of("postgres"), 3, "a superuser's must end by themselves"),
    "a session of another, and no right to end it": (
        (lambda database: (as_super(database).query("REVOKE pg_signal_backend FROM restorer"), session_of("stranger")(database))[1]), 3,
        'GRANT pg_signal_backend TO "restorer"'),
    "a prepared transaction": (prepared, 11, "ROLLBACK PREPARED"),
    "no CREATEDB": ("ALTER ROLE restorer NOCREATEDB", 3, "CREATEDB"),
    "no connections": ("ALTER DATABASE {db} ALLOW_CONNECTIONS false", 3, "ALLOW_CONNECTIONS true, or give --no-pre-backup"),
}


@pytest.mark.parametrize("kind", OBSTACLES)
def test_what_would_make_it_fail_late_is_told_before_the_backup_is_read(opstower, owned, kind):
    act, code, said = OBSTACLES[kind]
    take(opstower, as_super(owned))
    kept = None
    if callable(act):
        kept = act(owned)
    else:
        owned.server.query(act.format(db=quoted(owned.name)))
    try:
        result = restore(opstower, owned, check=code)
        assert said.format(db=owned.name) in error_lines(result)[0].replace('"' + owned.name + '"', owned.name)
        assert "Verifying" not in result.stdout and "Creating pre-restore backup" not in result.stdout
        assert family(owned) == []
    finally:
        if kept is not None:
            kept.close()
        owned.server.query(f"ALTER DATABASE {quoted(owned.name)} ALLOW_CONNECTIONS true")
        if kind == "a prepared transaction":
            as_super(owned).query("ROLLBACK PREPARED 'it''s open'")
    if kind == "a session of a superuser":      # who goes away is no obstacle
        restore(opstower, owned, "latest", "--force", "--no-pre-backup", "--drop-replaced")


def without(key):
    return lambda facts: facts.pop(key)


LACKS = {   # what the backup says of its database; exit code; what is said
    "a locale": (lambda facts: facts["properties"].update(datcollate="xx_XX.UTF-8", datctype="xx_XX.UTF-8"), 3, "no locale xx_XX.UTF-8"),
    "a ctype": (lambda facts: facts["properties"].update(datctype="yy_YY"), 3, "no locale yy_YY"),
    "a locale provider": (lambda facts: facts["properties"].update(datlocprovider="b"), 3, "builtin, which servers have since version 17"),
    "an encoding": (lambda facts: facts.update(encoding="NOSUCH"), 3, "does not know the database's encoding NOSUCH"),
    "an extension": (lambda facts: facts.update(extensions=[{"name": "nosuch", "version": "1"}]), 3, "lacks extension nosuch"),
    "a tablespace": (lambda facts: facts.update(tablespace="nosuch"), 3, "lacks tablespace nosuch"),
    "a role that has a setting": (lambda facts: facts.update(settings=[{"role": "nosuch", "config": ["work_mem=1MB"]}]), 3, "lacks role nosuch"),
    "a role that is granted something": (
        lambda facts: facts.update(acl=[{"grantee": "nosuch", "privilege": "CONNECT", "grantable": False}]), 3, "lacks role nosuch"),
    "space": (lambda facts: facts.update(size=10 ** 18), 4, "Insufficient disk space. Required: "),
    "two things": (lambda facts: facts.update(tablespace="nosuch", encoding="NOSUCH"), 3, "2 things stand in the way: (1) the server lacks"),
}
OLDER = {   # what older programs did not know
    "no tablespace": without("tablespace"), "no subscriptions": without("subscriptions"), "no labels": without("labels"),
    "another version of an extension": lambda facts: facts.update(extensions=[{"name": "plpgsql", "version": "0.9"}]),
    "no acl's grantors": lambda facts: facts.update(acl=[{"grantee": None, "privilege": "CONNECT", "grantable": False}]),
}


def with_facts(backup, original, change):
    """The backup as if its database had been another one."""
    backup.path.write_bytes(original)
    archive = Archive(backup.path)
    at = next(i for i, line in enumerate(archive.lines) if line.startswith("-- facts "))
    facts = json.loads(archive.lines[at][len("-- facts "):])
    change(facts)
    archive.lines[at] = "-- facts " + json.dumps(facts)
    archive.save(backup.path, meta_from=backup)


def test_what_the_server_cannot_make_is_told_before_the_backup_is_read(opstower, server, changing):
    database = changing()
    original, names = database.backup.path.read_bytes(), server.databases()
    for kind, (change, code, said) in LACKS.items():
        with_facts(database.backup, original, change)
        result = restore(opstower, database, database.backup.path, "--force", check=False)
        assert result.returncode == code and said in error_lines(result)[0], (kind, result)
        assert "Verifying" not in result.stdout and server.databases() == names, kind


def test_backups_of_older_programs_know_less_and_are_restored(opstower, changing):
    database = changing()
    original = database.backup.path.read_bytes()
    with_facts(database.backup, original, lambda facts: [change(facts) for change in OLDER.values()])
    restore(opstower, database, database.backup.path, "--force", "--no-pre-backup", "--drop-replaced")
    assert database.value("SELECT count(*) FROM bookings") == 200


MADE_BY_SUPERUSERS = {
    "event trigger": "CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; ALTER FUNCTION f() OWNER TO app_owner; CREATE EVENT TRIGGER noisy ON ddl_command_end EXECUTE FUNCTION f()",
    "publication for all tables": "CREATE PUBLICATION noisy FOR ALL TABLES",
    "subscription": "CREATE SUBSCRIPTION noisy CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false, slot_name = NONE)",
    "foreign data wrapper": "CREATE FOREIGN DATA WRAPPER noisy",
    "function in C": "CREATE FUNCTION noisy() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler'",
    "cast": "CREATE CAST (date AS int) WITHOUT FUNCTION",
    "operator family": "CREATE OPERATOR FAMILY noisy USING btree",
    "text search template": "CREATE TEXT SEARCH TEMPLATE noisy (LEXIZE = dsimple_lexize)",
    "extension": "CREATE EXTENSION odd_config",
}


@pytest.mark.parametrize("kind", [kind if kind in ("event trigger", "extension") else pytest.param(kind, marks=pytest.mark.long)
                                  for kind in MADE_BY_SUPERUSERS])
def test_what_only_a_superuser_can_make_is_told_before_the_load(opstower, owned, kind):
    database = as_super(owned)
    database.query(MADE_BY_SUPERUSERS[kind])
    take(opstower, database)
    result = restore(opstower, owned, "latest", "--force", "--no-pre-backup", check=3)
    name = {"extension": "odd_config", "cast": "CAST (date AS integer)"}.get(kind, "noisy")
    assert f"only a superuser can make {kind} {name}" in error_lines(result)[0]
    assert "Verifying" not in result.stdout and "--accept-incomplete" in error_lines(result)[0]
    restore(opstower, database, "latest", "--force", "--no-pre-backup", "--drop-replaced")
    database.query("DROP SUBSCRIPTION IF EXISTS noisy")     # or the database cannot be dropped


USED_BY_TABLES = {
    "extension": "CREATE EXTENSION dblink; CREATE TABLE uses (l dblink_pkey_results); ALTER TABLE uses OWNER TO app_owner",
    "access method": "CREATE ACCESS METHOD noisy TYPE TABLE HANDLER heap_tableam_handler; CREATE TABLE uses (i int) USING noisy; ALTER TABLE uses OWNER TO app_owner",
}
UNUSED = {
    "extension": "CREATE EXTENSION dblink; CREATE FUNCTION uses(dblink_pkey_results) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "access method": "CREATE ACCESS METHOD noisy TYPE TABLE HANDLER heap_tableam_handler",
}


@pytest.mark.parametrize("kind", [kind if kind in ("event trigger", "extension") else pytest.param(kind, marks=pytest.mark.long)
                                  for kind in MADE_BY_SUPERUSERS | UNUSED])
def test_an_owner_may_do_without_what_only_a_superuser_can_make(opstower, owned, kind):
    database = as_super(owned)
    database.query((MADE_BY_SUPERUSERS | UNUSED)[kind])
    take(opstower, database)
    database.query("DROP SUBSCRIPTION IF EXISTS noisy")
    result = restore(opstower, owned, "latest", "--force", "--no-pre-backup", "--accept-incomplete", "--drop-replaced")
    assert f"Will be left out: {kind} " in result.stderr and "[WARN] Left out: " in result.stderr
    assert owned.value("SELECT count(*) FROM bookings") == 200


@pytest.mark.parametrize("kind", USED_BY_TABLES)
def test_what_tables_need_cannot_be_done_without(opstower, owned, kind):
    database = as_super(owned)
    database.query(USED_BY_TABLES[kind])
    take(opstower, database)
    result = restore(opstower, owned, "latest", "--force", "--no-pre-backup", "--accept-incomplete", check=3)
    assert f"only a superuser can make {kind}" in error_lines(result)[0] and "table public.uses needs it" in error_lines(result)[0]
    assert "Verifying" not in result.stdout


SETTINGS = {"one of a superuser's": "ALTER DATABASE {db} SET log_min_duration_statement = 250",
            "an extension's": "ALTER DATABASE {db} SET nosuch.thing = 'x'",
            "another role's": "ALTER ROLE stranger IN DATABASE {db} SET work_mem = '7MB'"}


def test_settings_that_the_role_may_not_set_are_told_with_the_statement(opstower, server, owned):
    for statement in SETTINGS.values():
        server.query(statement.format(db=quoted(owned.name)))
    server.query(f"ALTER DATABASE {quoted(owned.name)} SET work_mem = '5MB'")
    take(opstower, as_super(owned))
    before = row_of(owned)
    result = restore(opstower, owned, "latest", "--force", "--no-pre-backup", "--drop-replaced")
    told = re.findall(r"\[WARN\] This setting of \S+ is not restored; a superuser may: (.*); \(ERROR", result.stderr)
    assert len(told) == 3 and "work_mem = '5MB'" not in str(told)
    early = result.output.index("A setting will not be restored")
    assert early >= 0
    for statement in told:
        server.query(statement)
    assert row_of(owned) == before


# ---- the swap ---------------------------------------------------------------------------------------------------------------------

def test_one_session_that_may_not_be_ended_does_not_keep_the_others(opstower, server, owned, folder):
    """It came when the load was nearly done, and goes by itself; those of the application come back all the time."""
    take(opstower, as_super(owned))
    psql = shlex.quote(pgserver.program("psql"))
    begin = " ".join(f"{psql} -Xq -d {shlex.quote(server.url(owned.name, user=user))} -c 'SELECT pg_sleep({seconds})' </dev/null >/dev/null 2>&1 &"
                     for user, seconds in (("postgres", 3), ("app_owner", 60), ("stranger", 60)))
    bindir = programs_with(folder, server, pg_restore=f'"{{real}}" "$@" || exit 1; case "$*" in *post-data*--verbose*|*--verbose*post-data*) {begin} nap 0.5;; esac')
    restore(opstower, owned, "latest", "--force", "--no-pre-backup", "--drop-replaced", env={"PG_BINDIR": bindir})
    assert family(owned) == []


@pytest.mark.parametrize("where", ["postgres", "template1", "any"])
def test_one_restore_at_a_time_whatever_database_its_lock_is_in(opstower, server, owned, db, where):
    """Advisory locks are per database; roles are let into different ones."""
    take(opstower, as_super(owned))
    name = db().name if where == "any" else where
    holder = server.connect(name, user="app_owner")
    holder.cursor().execute("SELECT pg_advisory_lock(hashtext('opstower restore'), hashtext(%s))", (owned.name,))
    result = restore(opstower, owned, check=6)
    assert "another restore of database" in result.stderr and "user app_owner" in result.stderr
    holder.close()
    backups.wait_until_gone(server)
    restore(opstower, owned, "latest", "--force", "--no-pre-backup", "--drop-replaced")


def test_a_role_that_is_let_into_neither_postgres_nor_template1(opstower, server, owned, db):
    take(opstower, as_super(owned))
    other = db()
    server.query("REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC")
    try:
        restore(opstower, owned, "latest", "--force", "--no-pre-backup", "--drop-replaced")
        everybody = [name for name in server.databases() if name not in (owned.name, "template0", "postgres", "template1")]
        assert other.name in everybody
        server.query("REVOKE CONNECT ON DATABASE " + ", ".join(map(quoted, everybody)) + " FROM PUBLIC")
        result = restore(opstower, owned, "latest", "--force", check=3)
        assert "GRANT CONNECT ON DATABASE postgres TO restorer" in error_lines(result)[0]
    finally:
        server.query("GRANT CONNECT ON DATABASE " + ", ".join(map(quoted, ["postgres", "template1", other.name])) + " TO PUBLIC")


BARS = {"a subscription": "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false, slot_name = NONE)",
        "a subscription that is at work": "CREATE SUBSCRIPTION s CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false); ALTER SUBSCRIPTION s ENABLE",
        "a template's mark": "ALTER DATABASE {db} IS_TEMPLATE true",
        "a logical slot": "SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"}


@pytest.mark.parametrize("bar", BARS)
def test_what_bars_a_drop_does_not_bar_the_next_restore(opstower, server, changing, folder, bar):
    """Done to a side database that a killed restore left behind."""
    database = changing()
    held = Held(opstower, database, folder)
    for statement in BARS[bar].format(db=quoted(held.side), slot=f"slot_{os.getpid()}").split("; "):
        Database(server, held.side).query(statement)
    held.process.kill()
    os.unlink(held.mark)
    held.process.communicate(timeout=60)
    backups.wait_until_gone(server)
    assert family(database) == [held.side]
    restore(opstower, database, database.backup.id, "--force", "--no-pre-backup", "--drop-replaced")
    assert family(database) == []


def test_a_side_database_that_was_shut_and_not_marked_yet_is_removed(opstower, server, changing):
    """A kill between CREATE DATABASE and the mark, by a role that is no superuser."""
    database = changing()
    left = database.name + "_restoring_20260102_030405"
    server.query(f"CREATE DATABASE {quoted(left)} TEMPLATE template0 ALLOW_CONNECTIONS false CONNECTION LIMIT 0 STRATEGY file_copy")
    restore(opstower, database, database.backup.id, "--force", "--no-pre-backup", "--drop-replaced")
    assert family(database) == []


# ---- subscriptions and slots ---------------------------------------------------------------------------------------------------------

def test_a_subscription_is_told_and_the_replaced_database_receives_nothing_more(opstower, server, db):
    database = db()
    database.query(SMALL)
    database.query("CREATE SUBSCRIPTION \"My sub\" CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false, slot_name = 'nowhere')")
    database.query("CREATE SUBSCRIPTION idle CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)")
    database.query('ALTER SUBSCRIPTION "My sub" ENABLE')
    take(opstower, database)
    result = restore(opstower, database, "latest", "--force", "--no-pre-backup")
    replaced = Database(server, family(database)[0])
    enabled = "SELECT s.subname, s.subenabled FROM pg_subscription s JOIN pg_database d ON d.oid = subdbid WHERE datname = current_database() ORDER BY 1"
    assert replaced.query(enabled) == [("My sub", False), ("idle", False)]
    assert "Subscription idle" not in result.stderr, "it was not enabled before either"
    statement = re.search(r'To have it go on, in \S+: (ALTER SUBSCRIPTION "My sub" ENABLE);', result.stderr).group(1)
    database.query(statement)
    assert database.query(enabled) == [("My sub", True), ("idle", False)]
    assert "ended in the replaced database" in result.stderr
    restore(opstower, database, "latest", "--force", "--no-pre-backup", "--drop-replaced")
    for name in (database.name, replaced.name):
        for subscription in ('"My sub"', "idle"):
            Database(server, name).query(f"ALTER SUBSCRIPTION {subscription} DISABLE" if subscription != "idle" else "SELECT 1")
            Database(server, name).query(f"ALTER SUBSCRIPTION {subscription} SET (slot_name = NONE)")
            Database(server, name).query(f"DROP SUBSCRIPTION {subscription}")


@pytest.mark.parametrize("option", ["--no-tablespaces", "--drop-replaced"])
def test_a_logical_slot_is_told_before_and_after(opstower, server, changing, option):
    database, slot = changing(), f"slot_{os.getpid()}"
    database.query(f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")
    result = restore(opstower, database, database.backup.id, "--force", "--no-pre-backup", option)
    word = "are dropped with it" if option == "--drop-replaced" else "stay with the replaced database"
    assert f"Logical replication slots of {database.name} {word}: {slot}" in result.stderr
    statements = re.search(r"To make it anew, in \S+: (.*;)$", result.stderr, re.M).group(1)
    database.psql("-c", statements)
    assert server.query("SELECT database FROM pg_replication_slots WHERE slot_name = %s", (slot,)) == [(database.name,)]
    server.query("SELECT pg_drop_replication_slot(%s)", (slot,))


def test_partitioned_tables_have_their_statistics_again(opstower, db):
    """Those of parents and sub-parents too, which autovacuum never makes; and a partition that cannot be sampled costs no other its own."""
    database = db()
    database.query("""CREATE TABLE m (id int, at date) PARTITION BY RANGE (at);
        CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
        CREATE TABLE m_2 PARTITION OF m FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (id);
        CREATE TABLE m_2_rest PARTITION OF m_2 DEFAULT; CREATE TABLE "Alone" AS SELECT 1 AS a;
        INSERT INTO m SELECT g, date '2024-01-01' + g FROM generate_series(1, 700) g; ANALYZE""")
    counts = "SELECT tablename, count(*) FROM pg_stats WHERE schemaname = 'public' GROUP BY 1 ORDER BY 1"
    before = database.query(counts)
    take(opstower, database)
    restore(opstower, database, "latest", "--force", "--no-pre-backup", "--drop-replaced")
    assert database.query(counts) == before and len(before) == 5
