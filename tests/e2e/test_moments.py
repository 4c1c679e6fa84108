"""`latest` is the newest moment, in whatever zone or by whatever clock each backup was named."""
import datetime
import json
import os
import pathlib
import random
import re
import shutil
import time
import zoneinfo

import pytest

from lib import backups
from lib.backups import take
from lib.clock import HOUR, shifted

# Far apart, and not in the order of their offsets.
ZONES = ["Asia/Singapore", "UTC", "Pacific/Kiritimati", "America/New_York", "Pacific/Pago_Pago", "Europe/Berlin"]
SUMMER_ENDS = 1792890000        # 2026-10-25 01:00 UTC: 03:00 becomes 02:00
SUMMER_BEGINS = 1774746000      # 2026-03-29 01:00 UTC: 02:00 becomes 03:00


@pytest.fixture
def database(db, opstower):
    made = db()
    made.query("CREATE TABLE t AS SELECT 0 AS n")
    opstower.env["DATABASE_URL"] = made.url
    return made


def chosen(result):
    return re.search(r"Verifying backup: \S*/(\S+)\.sql\.gz", result.stdout).group(1)


def everybody_says(opstower, database, backup, env, words=()):
    """Each command that knows a latest one means this."""
    assert chosen(opstower("verify", "latest", env=env)) == backup.id
    assert chosen(opstower("verify", "latest-good", env=env)) == backup.id
    listed = json.loads(opstower("list", "--json", env=env).stdout)
    present = [entry["id"] for entry in listed if entry["age_seconds"] > -300]
    assert present[0] == backup.id
    assert os.readlink(pathlib.Path(opstower.backup_dir) / f"{database.name}_latest.sql.gz") == backup.path.name
    checks = {check["name"]: check for check in json.loads(opstower("status", "--json", env=env, check=False).stdout)["checks"]}
    assert backup.id in checks["backup_age"]["value"]


def test_zones(opstower, database):
    """Backups one after the other, each under another TZ; asked under yet another."""
    zones = random.Random(7).sample(ZONES, len(ZONES))
    made = []
    for zone in zones:
        made.append(take(opstower, database, env={"TZ": zone}))
        time.sleep(1.05)
    for zone in ZONES:
        listed = json.loads(opstower("list", "--json", env={"TZ": zone}).stdout)
        assert [entry["id"] for entry in listed] == [backup.id for backup in reversed(made)]
        verdicts = json.loads(opstower("prune", "--json", env={"TZ": zone}).stdout)
        assert [v["id"] for v in verdicts] == [backup.id for backup in reversed(made)]
        assert {v["reason"] for v in verdicts} == {"young"}
        assert chosen(opstower("verify", "latest", env={"TZ": zone})) == made[-1].id
    everybody_says(opstower, database, made[-1], {"TZ": ZONES[0]})
    # --at: the newest that shows that moment or an earlier one.
    for earlier, backup in zip([None, *made], made):
        moment = backup.meta["snapshot_time"]
        assert chosen(opstower("verify", "--at", moment)) == backup.id
        if earlier:
            before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(datetime.datetime.fromisoformat(moment).timestamp() - 1))
            assert chosen(opstower("verify", "latest", "--at", before, env={"TZ": "Asia/Tokyo"})) == earlier.id


def placed(opstower, source, moment, zone):
    """A copy of a backup as if taken then, in that zone."""
    local = datetime.datetime.fromtimestamp(moment, zoneinfo.ZoneInfo(zone))
    stamp, iso = local.strftime("%Y%m%d_%H%M%S"), local.isoformat(timespec="seconds")
    new = backups.Backup(pathlib.Path(opstower.backup_dir) / f"{source.name}_{stamp}.sql.gz")
    assert not new.path.exists()
    shutil.copy(source.path, new.path)
    meta = {**source.meta, "id": new.id, "timestamp": stamp, "date": iso, "snapshot_time": iso, "backup_file": new.path.name}
    new.beside(".meta.json").write_text(json.dumps(meta), encoding="utf-8")
    return new


@pytest.mark.parametrize("turn", [SUMMER_ENDS, SUMMER_BEGINS])
def test_the_clocks_are_changed(opstower, database, turn):
    """Every half hour or so around the change: the names are not in order, the moments are."""
    source = take(opstower, database)
    made = [placed(opstower, source, turn + step * 1700, "Europe/Berlin") for step in (-3, -2, -1, 1, 2)]
    source.path.unlink()
    for zone in ("Europe/Berlin", "UTC", "Asia/Tokyo"):
        listed = json.loads(opstower("list", "--json", env={"TZ": zone}).stdout)
        assert [entry["id"] for entry in listed] == [backup.id for backup in reversed(made)]
        for step, backup in zip((-3, -2, -1, 1, 2), made):
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(turn + step * 1700 + 60))
            assert chosen(opstower("verify", "--at", when, check=False, env={"TZ": zone})) == backup.id


def test_a_backup_of_the_future_is_never_latest(opstower, database):
    early = take(opstower, database)
    future = take(opstower, database, env=shifted(365 * 24 * HOUR))
    result = opstower("verify", "latest")
    assert chosen(result) == early.id
    assert re.search(rf"\[WARN\] {future.id} is dated in the future \(\d{{4}}-.*not taken for the latest", result.output)
    database.query("UPDATE t SET n = 1")
    new = take(opstower, database)
    everybody_says(opstower, database, new, {})
    result = opstower("restore", "latest", "--force", "--no-pre-backup", "--drop-replaced")
    assert "is dated in the future" in result.output and database.value("SELECT n FROM t") == 1
    new.path.unlink()
    early.path.unlink()
    (line,) = backups.error_lines(opstower("verify", "latest", check=10))
    assert "there is no backup" in line
    opstower("verify", future.id)       # by its name it can be had


def test_without_metadata_a_backup_comes_last(opstower, database):
    first = take(opstower, database)
    time.sleep(1.05)
    bare = take(opstower, database)
    bare.beside(".meta.json").unlink()
    assert chosen(opstower("verify", "latest")) == first.id
    first.path.unlink()
    assert backups.error_lines(opstower("verify", "latest", check=10))     # nobody vouches for it
    assert chosen(opstower("verify", bare.id)) == bare.id
    opstower("restore", "latest", "--force", "--no-pre-backup", "--drop-replaced")
    assert backups.error_lines(opstower("verify", "latest-good", check=10))


def test_a_restore_takes_none_that_is_known_to_be_bad(opstower, database):
    good = take(opstower, database)
    database.query("UPDATE t SET n = 2")
    bad = [take(opstower, database) for _ in range(2)]
    for each in bad:
        each.path.write_bytes(each.path.read_bytes()[:-30])
    opstower("verify", bad[0].id, check=8)          # the other one's size tells
    result = opstower("restore", "latest", "--force", "--no-pre-backup", "--drop-replaced")
    assert f"[WARN] {bad[1].id} is known to be damaged; the newest that is not is {good.id}" in result.output
    assert database.value("SELECT n FROM t") == 0
    assert chosen(opstower("verify", "latest", check=8)) == bad[1].id       # a check passes over nothing
    assert chosen(opstower("verify", "latest-good")) == good.id
    good.path.unlink()
    (line,) = backups.error_lines(opstower("restore", "latest", "--force", check=10))
    assert "known to be damaged" in line and bad[1].id in line


WRONG = [(("--at", "soon"), "is no time"), (("app_20260101_000000", "--at", "2026-01-01"), "--at chooses the backup"),
         ((), "which backup?"), (("latest", "--at", "1990-01-01"), "up to 1990")]


@pytest.mark.parametrize("words,text", WRONG)
@pytest.mark.parametrize("command", ["verify", "restore"])
def test_wrong_words(opstower, database, command, words, text):
    if words[-1:] == ("1990-01-01",):
        take(opstower, database)
    (line,) = backups.error_lines(opstower(command, *words, check=10 if "1990" in text else 2))
    assert text in line


def test_zones_in_a_bucket(opstower, database, s3, bucket):
    """Names that differ by more than a day, two hosts, one of them a year ahead: few of many metadata files are read."""
    env = s3.environment(bucket)
    opstower("backup", "--s3-only", env={**env, **shifted(365 * 24 * HOUR)})
    for number, zone in enumerate(ZONES):
        database.query(f"UPDATE t SET n = {number}")
        opstower("backup", "--s3-only", env={**env, "TZ": zone})
        time.sleep(1.05)
    listed = json.loads(opstower("list", "--json", env=env).stdout)
    newest = listed[0]["id"]
    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"):
        result = opstower("verify", "latest", "--from-s3", env={**env, "TZ": zone})
        assert chosen(result) == newest and "is dated in the future" in result.output
    when = listed[3]["snapshot_time"]
    assert chosen(opstower("verify", "--at", when, "--from-s3", env=env)) == listed[3]["id"]
    opstower("restore", "latest-good", "--from-s3", "--force", "--no-pre-backup", "--drop-replaced", env=env)
    assert database.value("SELECT n FROM t") == len(ZONES) - 1
