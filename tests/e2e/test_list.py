"""`opstower list`: what there is, how old, how large, and how well proven."""
import datetime
import json
import os
import pathlib
import re
import shutil

import pytest

from lib import backups
from lib.backups import take

SMALL = "CREATE TABLE small (id int PRIMARY KEY, t text); INSERT INTO small SELECT g, md5(g::text) FROM generate_series(1, 50) g"


@pytest.fixture
def database(db, opstower):
    """A database of one table; opstower's environment names it."""
    made = db()
    made.query(SMALL)
    opstower.env["DATABASE_URL"] = made.url
    return made


def rows(result):
    """The lines of the table, in columns: two blanks or more part them."""
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["ID", "TYPE", "TAG", "AGE", "SIZE", "TABLES", "STATE", "COPIES"]
    return [re.split(r"\s{2,}", line.strip()) for line in lines[1:]]


def rename(backup, timestamp):
    """The same backup as if taken at another time (UTC)."""
    meta = backup.meta
    date = datetime.datetime.strptime(timestamp, "%Y%m%d_%H%M%S").replace(tzinfo=datetime.timezone.utc).isoformat()
    meta.update(date=date, snapshot_time=date)
    new = backups.Backup(backup.path.with_name(f"{backup.name}_{timestamp}.sql.gz"))
    backup.path.rename(new.path)
    meta.update(timestamp=timestamp, id=new.id, backup_file=new.path.name)
    new.beside(".meta.json").write_text(json.dumps(meta), encoding="utf-8")
    backup.beside(".meta.json").unlink()
    return new


def test_an_empty_or_missing_folder_is_said(opstower, database):
    for missing in (True, False):
        result = opstower("list")
        assert result.stdout == f"No backups of {database.name} in {opstower.backup_dir}\n"
        assert (f"[WARN] the folder {opstower.backup_dir} does not exist" in result.stderr) == missing
        assert missing or result.stderr == ""
        os.makedirs(opstower.backup_dir, exist_ok=True)
    assert json.loads(opstower("list", "--json").stdout) == []
    assert opstower("list", env={"DATABASE_URL": None}).stdout == f"No backups in {opstower.backup_dir}\n"


def test_every_column_says_what_is_true(opstower, database):
    backup = take(opstower, database, "--type", "pre-deployment", "--tag", "v1.2")
    (row,) = rows(opstower("list"))
    identity, kind, tag, age, size, tables, state, copies = row
    assert (identity, kind, tag, tables, state) == (backup.id, "pre-deployment", "v1.2", "1", "verified")
    assert copies == "local"
    assert re.fullmatch(r"\d+ s", age) and int(age.split()[0]) < 30
    number, unit = re.fullmatch(r"([0-9.]+)([KM]?)B", size).groups()
    assert abs(float(number) * {"": 1, "K": 1024, "M": 1024 ** 2}[unit] / backup.path.stat().st_size - 1) < 0.1


def test_newest_first_and_the_link_is_no_backup(opstower, database):
    old = rename(take(opstower, database), "20200101_000000")
    older = rename(take(opstower, database), "19990101_000000")
    new = take(opstower, database)
    assert [row[0] for row in rows(opstower("list"))] == [new.id, old.id, older.id]
    assert f"{database.name}_latest.sql.gz" in opstower.files()
    ages = [entry["age_seconds"] for entry in json.loads(opstower("list", "--json").stdout)]
    assert ages[0] < 60 and 2 * 365 * 86400 < ages[1] < ages[2]


def test_json_has_every_field(opstower, database):
    backup = take(opstower, database, "--type", "monthly", "--tag", 'a "tag"')
    (entry,) = json.loads(opstower("list", "--json").stdout)
    meta = backup.meta
    assert entry.pop("copies") == [{"place": "local", "location": str(backup.path), "size": backup.path.stat().st_size,
                                    "state": "present", "verified_at": meta["verified_at"]}]
    assert 0 <= entry.pop("age_seconds") < 60
    assert entry == {"id": backup.id, "file": str(backup.path), "timestamp": backup.timestamp, "size": backup.path.stat().st_size,
                     "state": "verified", "database": database.name, "type": "monthly", "tag": 'a "tag"', "tables": 1, "rows": 50,
                     "snapshot_time": meta["snapshot_time"], "verified_at": meta["verified_at"],
                     "host": meta["host"], "port": meta["port"], "system_identifier": meta["system_identifier"], "lineage": "this", "omitted": []}


STATES = {
    "proven": (lambda o, b: o("verify", b.path, "--full-test"), "proven"),
    "failed": (lambda o, b: (b.path.write_bytes(b.path.read_bytes()[:-9]), o("verify", b.path, check=8)), "failed"),
    "no metadata": (lambda o, b: b.beside(".meta.json").unlink(), "no metadata"),
    "metadata unreadable": (lambda o, b: b.beside(".meta.json").write_text("{"), "metadata unreadable"),
    "metadata of nothing": (lambda o, b: b.beside(".meta.json").write_text("{}"), "metadata unreadable"),
}


@pytest.mark.parametrize("kind", STATES)
def test_the_state_is_what_is_known(opstower, database, kind):
    backup = take(opstower, database)
    change, state = STATES[kind]
    change(opstower, backup)
    (row,) = rows(opstower("list"))
    assert (row[0], row[-2:]) == (backup.id, [state, "local"])
    (entry,) = json.loads(opstower("list", "--json").stdout)
    assert (entry["id"], entry["state"]) == (backup.id, state)
    assert ("proven_at" in entry) == (kind == "proven")


def test_only_the_named_database_unless_all_are_asked_for(opstower, database, db):
    others = [db(name=name) for name in (database.name + "_test", database.name + "-prod", "Other Db")]
    mine = take(opstower, database)
    ids = [mine.id] + [take(opstower, other).id for other in others]
    shutil.copy(mine.path, pathlib.Path(opstower.backup_dir) / "notes.sql.gz")
    (pathlib.Path(opstower.backup_dir) / f"{database.name}_20260101_000000").write_text("no backup")
    assert [row[0] for row in rows(opstower("list"))] == [mine.id]
    assert sorted(line for line in ids) == sorted(e["id"] for e in json.loads(opstower("list", "--all", "--json").stdout))
    everything = opstower("list", env={"DATABASE_URL": None}).stdout
    assert all(identity in everything for identity in ids)
    assert [e["id"] for e in json.loads(opstower("list", "--json", env={"DATABASE_URL": None, "DATABASE_NAME": "Other Db"}).stdout)] == ids[3:]


def test_pre_restore_backups_are_listed_as_such(opstower, database):
    take(opstower, database)
    opstower("restore", "latest", "--force", "--drop-replaced")
    assert sorted(row[1] for row in rows(opstower("list"))) == ["hourly", "pre-restore"]


def test_needs_no_server_and_changes_nothing(opstower, database):
    take(opstower, database)
    before = {name: os.stat(os.path.join(opstower.backup_dir, name), follow_symlinks=False).st_mtime_ns
              for name in os.listdir(opstower.backup_dir)}
    assert len(rows(opstower("list", env={"DATABASE_URL": f"postgresql://192.0.2.1:1/{database.name}"}))) == 1
    assert before == {name: os.stat(os.path.join(opstower.backup_dir, name), follow_symlinks=False).st_mtime_ns
                      for name in os.listdir(opstower.backup_dir)}


def test_a_folder_that_is_a_file_is_said(opstower, database):
    pathlib.Path(opstower.backup_dir).write_text("no folder")
    result = opstower("list", check=14)
    assert len(backups.error_lines(result)) == 1 and "Traceback" not in result.output


@pytest.mark.parametrize("arguments", [("extra",), ("--full-test",), ("--no-such-option",)])
def test_wrong_usage_is_code_2(opstower, database, arguments):
    opstower("list", *arguments, check=2)


def test_a_full_stdout_is_an_error(opstower, database):
    take(opstower, database)
    for arguments in (("list",), ("list", "--json")):
        with open("/dev/full", "wb") as full:
            result = opstower(*arguments, stdout=full, check=False)
        assert result.returncode in (4, 14) and "cannot write to stdout" in result.stderr


@pytest.mark.parametrize("words", [("--version",), ("--help",), ("backup", "--help"), ()])
def test_help_that_cannot_be_printed_is_an_error(opstower, words):
    with open("/dev/full", "wb") as full:
        result = opstower(*words, stdout=full, check=14)
    assert result.stderr == "[ERROR] cannot write to stdout\n"
