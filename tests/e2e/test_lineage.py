"""Backups of several servers under one name: each server's are a history of their own, until it adopts another's."""
import calendar
import json
import os
import pathlib
import re
import time

import pytest

from conftest import create_database, drop_databases
from lib import backups, history, pgserver
from lib.backups import take
from lib.clock import shifted

NAME = "shop"


@pytest.fixture(scope="module")
def second():
    """Another system: made by an initdb of its own, which servers of the same options do not have here."""
    with pgserver.Server(locale="C") as started:
        yield started


class Side:
    """A database called shop on one of the servers, and the program with its settings; all share one folder."""

    def __init__(self, opstower, server, content):
        self.opstower, self.server, self.name = opstower, server, NAME
        self.database = create_database(server, NAME)
        self.url = self.database.url
        self.system = server.query("SELECT system_identifier::text FROM pg_control_system()")[0][0]
        self.content = content
        self.set(content)

    def set(self, value):
        self.content = value
        self.database.query(f"DROP TABLE IF EXISTS t; CREATE TABLE t AS SELECT '{value}'::text AS v")

    def value(self, name=NAME):
        return self.server.query("SELECT v FROM t", None, name)[0][0]

    def __call__(self, *words, env=None, **options):
        return self.opstower(*words, env={"DATABASE_URL": self.url, **(env or {})}, **options)

    def take(self, *words, **options):
        return take(self.opstower, self, *words, **options)

    def listed(self, *words):
        return json.loads(self("list", "--json", *words).stdout)

    def latest(self, word="latest"):
        return re.search(r"Verifying backup: \S*/(\S+)\.sql\.gz", self("verify", word).stdout).group(1)


@pytest.fixture
def sides(opstower, server, second):
    made = [Side(opstower, server, "production"), Side(opstower, second, "staging")]
    assert made[0].system != made[1].system
    yield made
    for side in made:
        drop_databases(side.server, NAME)


def test_each_server_has_its_own_latest_list_and_status(sides):
    production, staging = sides
    mine = [production.take().id]
    result = staging("backup", "--local-only")
    (warning,) = [line for line in result.output.splitlines() if "[WARN]" in line and "another server" in line]
    assert mine[0] in warning and production.system in warning and "opstower adopt" in warning
    theirs = [backups.all_of(staging.opstower)[-1].id]
    for side, own in ((production, mine), (staging, theirs)) * 2:
        own.append(side.take().id)
    for side, own, other in ((production, mine, theirs), (staging, theirs, mine)):
        assert side.latest() == side.latest("latest-good") == own[-1]
        found = {entry["id"]: entry for entry in side.listed()}
        assert {entry["lineage"] for name, entry in found.items() if name in own} == {"this"}
        assert {entry["lineage"] for name, entry in found.items() if name in other} == {"other"}
        assert set(found) == {*own, *other} and found[own[0]]["system_identifier"] == side.system
        text = side("list").stdout
        assert f"of another server; the newest, {other[-1]}" in text and "opstower adopt" in text
        side("restore", "latest", "--force", "--no-pre-backup", "--drop-replaced")
        assert side.value() == side.content
        checks = {check["name"]: check for check in json.loads(side("status", "--json", check=False).stdout)["checks"]}
        assert own[-1] in checks["backup_age"]["value"] and checks["other_servers"]["verdict"] == "OK"
        assert checks["other_servers"]["number"] == len(other) and "opstower adopt" in checks["other_servers"]["value"]
        assert "100.0 %" in checks["success_rate"]["value"] and f": {len(own)} good" in checks["success_rate"]["value"]


def test_rows_of_another_server_are_no_loss(sides):
    production, staging = sides
    production.database.query("INSERT INTO t SELECT g::text FROM generate_series(1, 1000) g")
    production.take()
    staging.take()
    staging.take()
    for side in sides:
        report = json.loads(side("status", "--json", check=False).stdout)
        (rows,) = [check for check in report["checks"] if check["name"] == "row_loss"]
        assert rows["verdict"] in ("OK", "UNKNOWN"), rows


def test_retention_neither_counts_nor_deletes_what_is_another_servers(sides):
    production, staging = sides
    old = {}
    for side in sides:
        source = side.take()
        old[side.system] = {history.put_here(side.opstower, source, NAME, days + (side is staging) * 0.3) for days in (40, 50, 60)}
        history.fill_here(side.opstower, source, NAME, 60)
    verdicts = {v["id"]: v for v in json.loads(staging("prune", "--json", env={"BACKUP_KEEP_MIN": "1"}).stdout)}
    assert {verdicts[each]["reason"] for each in old[production.system]} == {"other-server"}
    assert {verdicts[each]["verdict"] for each in old[staging.system]} == {"delete"}
    # Only its own count: with as many to keep as there are of both, its own stay.
    verdicts = {v["id"]: v for v in json.loads(staging("prune", "--json", env={"BACKUP_KEEP_MIN": "5"}).stdout)}
    assert {verdicts[each]["verdict"] for each in old[staging.system]} == {"keep"}
    staging("backup", "--local-only", env={"BACKUP_KEEP_MIN": "1"})
    left = {backup.id for backup in backups.all_of(staging.opstower)}
    assert old[production.system] <= left and not old[staging.system] & left


def test_a_server_that_does_not_answer_is_known_by_its_address(sides):
    production, staging = sides
    mine, theirs = production.take().id, staging.take().id
    away = {"DATABASE_URL": production.server.url(NAME, user="nobody_at_all")}
    result = production("list", "--json", env=away)
    assert {e["id"]: e["lineage"] for e in json.loads(result.stdout)} == {mine: "this", theirs: "other"}
    elsewhere = {"DATABASE_URL": f"postgresql:///{NAME}?host=/nowhere&port=1"}
    assert {e["lineage"] for e in json.loads(production("list", "--json", env=elsewhere).stdout)} == {"unsure"}
    assert "cannot connect" in production("status", env=elsewhere, check=False).stdout
    verdicts = json.loads(production("prune", "--json", env=elsewhere).stdout)
    assert {v["reason"] for v in verdicts} == {"other-server"}      # nobody knows whose: nothing may go


# ---- the wrong thing ----

@pytest.fixture
def foreign(sides):
    """A backup of production; restored to staging."""
    production, staging = sides
    return production.take(), staging


TABLE = ("--table", "public.t")
OTHER_SERVER = {
    "over one that holds something": ((), 12),
    "in place": (("--in-place",), 12),
    "rows put back": ((*TABLE, "--put-back"), 12),
    "over it, as it is wanted": (("--allow-other-database",), 0),
    "beside": (("--target-db", NAME + "_copy"), 0),
    "tables beside": (TABLE, 0),
}


@pytest.mark.parametrize("how", OTHER_SERVER)
def test_another_servers_backup_replaces_nothing_unasked(foreign, how):
    backup, staging = foreign
    words, code = OTHER_SERVER[how]
    force = () if "--table" in words else ("--force", "--no-pre-backup") if "--in-place" not in words else ("--force",)
    result = staging("restore", backup.id, *words, *force, check=code)
    if code:
        (line,) = backups.error_lines(result)
        assert "of another server" in line and "opstower adopt" in line and "--allow-other-database" in line
        assert staging.value() == "staging" and "Verifying backup file" not in result.stdout
    else:
        assert "[WARN] The backup is of another server" in result.output and "`opstower adopt`" in result.output
        assert staging.value() == ("production" if "--allow-other-database" in words else "staging")


def test_on_a_new_server_the_only_history_is_restored_and_goes_on(foreign, opstower):
    """The day after: nothing is there, or an empty database; hourly backups go on; adopt joins the two."""
    backup, staging = foreign
    staging.database.query("DROP TABLE t")
    result = staging("restore", "latest", "--force", "--no-pre-backup")
    assert f"latest of another server is taken: {backup.id}" in result.output and staging.value() == "production"
    drop_databases(staging.server, NAME)
    staging("restore", "latest", "--force")
    assert staging.value() == "production"
    after = staging.take().id
    assert staging.latest() == after
    result = staging("adopt", "--json")
    assert json.loads(result.stdout)["backups"] == 1
    assert {e["id"]: e["lineage"] for e in staging.listed()} == {backup.id: "adopted", after: "this"}
    assert "another server" not in staging("backup", "--local-only").output
    line = [json.loads(each) for each in (pathlib.Path(opstower.backup_dir) / "journal.jsonl").read_text("utf-8").splitlines()
            if '"act":"adopt"' in each.replace(" ", "")][-1]
    assert (line["database"], line["adopted"], line["result"]) == (NAME, backup.meta["system_identifier"], "ok")
    staging("restore", backup.id, "--force", "--no-pre-backup", "--drop-replaced")
    assert "Nothing to adopt" in staging("adopt").stdout
    staging("adopt", "--undo")
    assert {e["lineage"] for e in staging.listed() if e["id"] == backup.id} == {"other"} and "adopted_by" in backup.meta
    staging("restore", backup.id, "--force", "--no-pre-backup", check=12)


def test_latest_of_others_only_is_named_and_not_taken(foreign):
    backup, staging = foreign
    for words in (("verify", "latest"), ("hold", "add", "latest", "--reason", "r")):
        (line,) = backups.error_lines(staging(*words, check=10))
        assert "of this server" in line and backup.id in line and "opstower adopt" in line
    (line,) = backups.error_lines(staging("restore", "latest", "--force", check=12))
    assert "of another server" in line and staging.value() == "staging"


OTHER_DATABASE = {
    "over another": ((), 12), "beside": (("--target-db", NAME + "_copy"), 0), "as it is wanted": (("--allow-other-database",), 0),
    "tables beside": (TABLE, 0), "rows put back": ((*TABLE, "--put-back"), 12),
}


@pytest.mark.parametrize("how", OTHER_DATABASE)
@pytest.mark.parametrize("metadata", [True, False])
def test_another_databases_backup_replaces_nothing_unasked(opstower, server, db, how, metadata):
    words, code = OTHER_DATABASE[how]
    one, other = (db(name=name) for name in (NAME, NAME + "_other"))
    for database in (one, other):
        database.query(f"CREATE TABLE t AS SELECT '{database.name}'::text AS v")
    backup = take(opstower, other)
    if not metadata:
        backup.beside(".meta.json").unlink()
    force = () if "--table" in words else ("--force", "--no-pre-backup")
    result = opstower("restore", backup.path, *words, *force, env={"DATABASE_URL": one.url}, check=code)
    if code:
        (line,) = backups.error_lines(result)
        assert f"of database {other.name}" in line and "--allow-other-database" in line
        assert "Verifying backup file" not in result.stdout
    assert one.value("SELECT v FROM t") == (other.name if "--allow-other-database" in words else one.name)


# ---- what cannot be read, or was made before ----

def strip(backup, *fields):
    meta = {key: value for key, value in backup.meta.items() if key not in fields}
    backup.beside(".meta.json").write_text(json.dumps(meta), encoding="utf-8")


def test_backups_from_before_stay_what_they_were(sides):
    production, _ = sides
    olds = [production.take() for _ in range(3)]
    for old in olds:
        strip(old, "system_identifier", "database_oid", "adopted_by")
    assert production.latest() == olds[-1].id
    assert {e["lineage"] for e in production.listed()} == {"unknown"} or {e["lineage"] for e in production.listed()} == {"this"}
    new = production.take()
    result = production("list")
    assert "another server" not in result.stdout and production.latest() == new.id
    report = production("status", check=False).stdout
    assert "Other servers" not in report
    assert {v["reason"] for v in json.loads(production("prune", "--json").stdout)} == {"young"}


def test_a_role_that_may_not_read_the_identifier(sides):
    """Then servers are told apart by their addresses, also after a restore has given the database another oid."""
    production, staging = sides
    for side in sides:
        side.database.query("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC; CREATE ROLE plain LOGIN; "
                            "GRANT pg_read_all_data TO plain")
    try:
        made = {}
        for side in sides:
            env = {"DATABASE_URL": side.server.url(NAME, user="plain")}
            made[side.system] = side.take("--no-globals", env=env)
            assert made[side.system].meta["system_identifier"] is None and made[side.system].meta["database_oid"] > 0
            found = {e["id"]: e["lineage"] for e in json.loads(side("list", "--json", env=env).stdout)}
            assert found[made[side.system].id] == "this"
        env = {"DATABASE_URL": production.server.url(NAME, user="plain")}
        assert sorted(e["lineage"] for e in json.loads(production("list", "--json", env=env).stdout)) == ["other", "this"]
    finally:
        for side in sides:
            side.server.query("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
            side.server.query(f'DROP DATABASE "{NAME}" WITH (FORCE)')
            side.server.query("DROP ROLE plain")


# ---- in S3 ----

class Host:
    """One of several machines that share a bucket, each with a folder of its own."""

    def __init__(self, side, folder, environment):
        self.side, self.env = side, {**environment, "BACKUP_DIR": str(folder)}

    def __call__(self, *words, env=None, **options):
        return self.side(*words, env={**self.env, **(env or {})}, **options)


@pytest.fixture
def hosts(sides, s3, bucket, folder):
    return [Host(side, os.path.join(folder, f"host{i}"), s3.environment(bucket)) for i, side in enumerate(sides)]


@pytest.mark.parametrize("where", [(), ("--s3-only",)])
def test_two_hosts_that_begin_in_the_same_second(hosts, s3, bucket, where):
    """No name is used twice, no object is replaced, and nothing else stays behind."""
    running = [host.side.opstower.popen("backup", *where, env={"DATABASE_URL": host.side.url, **host.env}) for host in hosts]
    outcomes = [process.communicate() + (process.returncode,) for process in running]
    assert [code for _, _, code in outcomes] == [0, 0], outcomes
    keys = list(s3.objects(bucket))
    assert len([key for key in keys if key.endswith(".sql.gz")]) == 2 and not [key for key in keys if ".reserved" in key], keys
    for host in hosts:
        found = json.loads(host("list", "--json").stdout)
        assert len(found) == 2 and {e["lineage"] for e in found} == {"this", "other"}
        (chosen,) = [e["id"] for e in found if e["lineage"] == "this"][:1]
        result = host("verify", "latest", "--from-s3")
        assert chosen in result.stdout


def test_a_name_that_is_taken_in_the_bucket_is_not_used(hosts, s3, bucket):
    first, other = hosts
    first("backup", "--s3-only")
    (taken,) = [key for key in s3.objects(bucket) if key.endswith(".sql.gz")]
    content = s3.client().get_object(Bucket=bucket, Key=taken)["Body"].read()
    then = calendar.timegm(time.strptime(re.search(r"_(\d{8}_\d{6})\.sql", taken).group(1), "%Y%m%d_%H%M%S"))
    result = other("backup", env=shifted(then - time.time() - 0.5))
    keys = [key for key in s3.objects(bucket) if key.endswith(".sql.gz")]
    assert len(keys) == 2 and s3.client().get_object(Bucket=bucket, Key=taken)["Body"].read() == content, result


def test_adopted_in_the_bucket_too(hosts, s3, bucket):
    first, other = hosts
    first("backup", "--s3-only")
    result = other("backup")
    assert {e["lineage"] for e in json.loads(other("list", "--json").stdout)} == {"this", "other"}
    other("adopt")
    assert {e["lineage"] for e in json.loads(other("list", "--json").stdout)} == {"this", "adopted"}
    assert {e["lineage"] for e in json.loads(first("list", "--json").stdout)} == {"this", "other"}, result


def test_a_full_test_of_the_copy_in_s3_proves_that_copy(hosts):
    host = hosts[0]
    host("backup")
    (before,) = json.loads(host("list", "--json").stdout)
    host("verify", "latest", "--from-s3", "--full-test")
    (entry,) = json.loads(host("list", "--json").stdout)
    assert (before["state"], entry["state"]) == ("verified", "proven")
    copies = {copy["place"]: copy for copy in entry["copies"]}
    assert copies["s3"]["proven_at"] == entry["proven_at"] and "s3 (proven)" in host("list").stdout
