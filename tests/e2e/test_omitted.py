"""What a backup lacks of its database is said: what the role does not see, what a standby has not, what pg_dump leaves out."""
import json
import os
import pathlib
import subprocess

import pytest

from lib import pgserver
from lib.backups import programs_with, take

MAPPINGS = """
CREATE EXTENSION postgres_fdw;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'h');
GRANT USAGE ON FOREIGN SERVER far TO {reader};
CREATE USER MAPPING FOR postgres SERVER far OPTIONS (user 'u', password 'secret');
CREATE USER MAPPING FOR {reader} SERVER far OPTIONS (user 'seen', password 'too');
CREATE USER MAPPING FOR {other} SERVER far;
CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'all');
"""
SUBSCRIPTION = """CREATE SUBSCRIPTION "Sub {number}" CONNECTION 'host=/nowhere dbname=x' PUBLICATION p
WITH (connect = false, slot_name = NONE, enabled = false)"""

HIDDEN = ["options of the user mapping of PUBLIC for server far (the role does not see them)",
          "options of the user mapping of postgres for server far (the role does not see them)"]


def journal(opstower):
    text = pathlib.Path(opstower.backup_dir, "journal.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def warnings_of(result):
    return [line for line in result.output.splitlines() if line.startswith("[WARN]")]


@pytest.fixture
def roles(server, db):
    """A database with a reader's role as README has it, and another role."""
    database = db()
    names = {"reader": f"{database.name}_reader", "other": f"{database.name}_other"}
    for name in names.values():
        server.query(f"CREATE ROLE {name} LOGIN")
    server.query(f"GRANT pg_read_all_data TO {names['reader']}")
    database.query("CREATE TABLE t AS SELECT 1 AS a")
    yield database, names
    database.query("DROP EXTENSION IF EXISTS postgres_fdw CASCADE")
    for name in names.values():
        database.query(f"DROP OWNED BY {name}")
        server.query(f"DROP ROLE {name}")


def drop_subscriptions(database):
    for (name,) in database.query("SELECT quote_ident(subname) FROM pg_subscription"):
        database.query(f"DROP SUBSCRIPTION {name}")


def test_what_a_reader_does_not_see_is_told(opstower, server, roles):
    database, names = roles
    database.query(MAPPINGS.format(**names))
    database.query(SUBSCRIPTION.format(number=1))
    try:
        as_reader = {"DATABASE_URL": server.url(database.name, user=names["reader"])}
        for _ in range(2):      # each run says it
            result = opstower("backup", "--local-only", env=as_reader)
            expected = ['subscription "Sub 1" (only a superuser can read it)', *HIDDEN]
            assert [line.split(": ", 1)[1] for line in warnings_of(result)] == expected
        assert journal(opstower)[-1]["omitted"] == expected
        (entry,) = json.loads(opstower("list", "--json").stdout)[:1]
        assert entry["omitted"] == expected
        result = opstower("verify", "latest", "--full-test", env=as_reader)
        assert f"every object that the backup holds; left out: {', '.join(expected)})" in result.stdout
        backup = take(opstower, database)
        assert backup.meta["omitted"] == [], "a superuser sees everything"
    finally:
        drop_subscriptions(database)


def test_a_role_that_cannot_tell_says_so(opstower, server, roles):
    """Without pg_read_all_data nobody sees whether a mapping has options."""
    database, names = roles
    server.query(f"REVOKE pg_read_all_data FROM {names['reader']}")
    database.query(MAPPINGS.format(**names))
    database.query(f"GRANT SELECT ON t TO {names['reader']}")
    backup = take(opstower, database, env={"DATABASE_URL": server.url(database.name, user=names["reader"])})
    assert backup.meta["omitted"] == [
        f"options, if there are any, of the user mapping of {whom} for server far (the role does not see them)"
        for whom in ("PUBLIC", "postgres", names["other"])]


def test_many_of_a_kind_are_counted(opstower, server, roles):
    database, names = roles
    for number in range(23):
        database.query(SUBSCRIPTION.format(number=number))
    try:
        backup = take(opstower, database, env={"DATABASE_URL": server.url(database.name, user=names["reader"])})
        omitted = backup.meta["omitted"]
        assert len(omitted) == 21 and omitted[-1] == "3 more of this kind" and omitted[0].startswith('subscription "Sub 0"')
    finally:
        drop_subscriptions(database)


def test_what_lies_in_the_systems_schemas_is_told(opstower, db):
    """pg_dump takes it for the system's own. What extensions put there comes back with them."""
    database = db()
    database.query("CREATE EXTENSION hstore; CREATE TABLE t (a int);"
                   "CREATE FUNCTION pg_catalog.ours(int) RETURNS int LANGUAGE sql AS 'SELECT 1';"
                   "CREATE DOMAIN information_schema.small AS int")
    assert take(opstower, database).meta["omitted"] == [
        "function ours(integer) (pg_dump leaves out what lies in schema pg_catalog)",
        "type information_schema.small (pg_dump leaves out what lies in schema information_schema)"]


SAYS = {
    "warning: aggregate function f could not be dumped correctly for this database version; ignored": True,
    "warning: what no version of it has said yet": True,
    "warning: there are circular foreign-key constraints on this table:": False,
    "warning: could not resolve dependency loop among these items:": False,
    "hint: Consider using a full dump": False,
    'WARNING:  database "app" has a collation version mismatch': False,
}


@pytest.mark.parametrize("line", SAYS)
def test_what_pg_dump_warns_of(opstower, server, db, folder, line):
    """A warning that means a loss is one of ours; one that does not mean one is a line of the log."""
    database = db()
    database.query("CREATE TABLE t AS SELECT 1 AS a")
    bindir = programs_with(folder, server, pg_dump=f"echo 'pg_dump: {line}' >&2; exec {{real}} \"$@\"")
    result = opstower("backup", "--local-only", env={"DATABASE_URL": database.url, "PG_BINDIR": bindir})
    text = "pg_dump: " + line.split(": ", 1)[-1]
    expected = [f"[WARN] Left out of the backup: {text}"] if SAYS[line] else []
    assert warnings_of(result) == expected
    if line.startswith("warning: "):
        assert line.split(": ", 1)[1] in result.output, "it reaches the log in any case"


@pytest.mark.parametrize("language", ["de_DE.UTF-8", "C"])
def test_it_is_said_in_english(opstower, server, db, folder, language):
    """pg_dump's words are looked at, so it must not use the caller's language."""
    database = db()
    database.query("CREATE TABLE t AS SELECT 1 AS a")
    script = """case "$*:$LC_ALL:$LC_MESSAGES" in --version:* | *::C | *:C:*) ;; *) echo "pg_dump: Warnung" >&2; exit 1;; esac
        exec {real} "$@\""""
    bindir = programs_with(folder, server, pg_dump=script)
    opstower("backup", "--local-only", env={"DATABASE_URL": database.url, "PG_BINDIR": bindir, "LC_ALL": language})


def test_a_standby_has_no_rows_of_unlogged_tables(opstower, make_server, folder):
    primary = make_server()
    primary.query("CREATE DATABASE app")
    primary.query("CREATE UNLOGGED TABLE cache AS SELECT g AS a FROM generate_series(1, 100) g;"
                  "CREATE TABLE t AS SELECT 1 AS a; CREATE UNLOGGED TABLE \"Other\" (a int)", None, "app")
    standby = pgserver.standby_of(primary, make_server)
    result = opstower("backup", "--local-only", env={"DATABASE_URL": standby.url("app")})
    assert [line.split(": ", 1)[1] for line in warnings_of(result)] == [
        f"rows of unlogged table public.{name} (a standby does not have them)" for name in ('"Other"', "cache")]
    result = opstower("backup", "--local-only", env={"DATABASE_URL": primary.url("app")})
    assert warnings_of(result) == []
