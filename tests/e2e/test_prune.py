"""Retention on a real server and a real S3 server: what is said of each backup, what goes, what stays and why."""
import fcntl
import json
import os
import pathlib
import re
import time

import pytest

from lib import backups, clock, history
from lib.backups import programs_with, take

SMALL = "CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t SELECT g, md5(g::text) FROM generate_series(1, 300) g"


@pytest.fixture
def app(opstower, db):
    """A database `app` with one good backup."""
    made = db(name="app")
    made.query(SMALL)
    opstower.env["DATABASE_URL"] = made.url
    made.backup = take(opstower, made)
    return made


@pytest.fixture
def there(opstower, app, s3, bucket):
    """The same, with a bucket."""
    opstower.env.update(s3.environment(bucket), BACKUP_S3_RETRY_TIME="2", BACKUP_S3_TIMEOUT="5", BACKUP_KEEP_MIN="1")
    return opstower


def verdicts(opstower, *words, **options):
    return json.loads(opstower("prune", "--json", *words, **options).stdout)


def of(found, place="local"):
    """{id: (verdict, reason)}"""
    return {each["id"]: (each["verdict"], each["reason"]) for each in found if each["place"] == place}


def journal(opstower, act="delete"):
    lines = (pathlib.Path(opstower.backup_dir) / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["act"] == act]


# ---- what is said, and what is done ----------------------------------------------------------------------------------

def test_every_backup_with_its_reason_and_nothing_is_deleted_unasked(opstower, app):
    fillers = history.fill_here(opstower, app.backup, "app", 80)
    old = [history.put_here(opstower, app.backup, "app", days) for days in (31, 32, 33)]
    failed = history.put_here(opstower, app.backup, "app", 40, state="failed")
    proven = history.put_here(opstower, app.backup, "app", 50, state="proven")
    maintenance = history.put_here(opstower, app.backup, "app", 60, type="pre-maintenance")
    odd = history.put_here(opstower, app.backup, "app", 70, date="2020-01-01T00:00:00+00:00")
    future = history.put_here(opstower, app.backup, "app", -10)
    other = history.put_here(opstower, app.backup, "app", 80, type="of-tomorrow")
    before = sorted(os.listdir(opstower.backup_dir))
    result = opstower("prune", "--json")
    assert {each: said for each, said in of(json.loads(result.stdout)).items() if each not in fillers} == {
        app.backup.id: ("keep", "young"), old[0]: ("keep", "minimum"), old[1]: ("keep", "minimum"), old[2]: ("delete", "expired"),
        failed: ("delete", "expired"), proven: ("keep", "newest-proven"), maintenance: ("keep", "young"),
        odd: ("keep", "odd-date"), future: ("keep", "future"), other: ("keep", "unknown-type")}
    assert "[WARN] 1 backup (local) is dated in the future" in result.stderr
    assert sorted(os.listdir(opstower.backup_dir)) == before
    said = opstower("prune").stdout
    assert f"{old[2]} " in said and "older than 30 days" in said and f"To delete: 2; to keep: {8 + len(fillers)}. Nothing was deleted" in said
    assert of(verdicts(opstower, "--apply"))[old[2]] == ("deleted", "expired")
    assert not {old[2], failed} & {backup.id for backup in backups.all_of(opstower)}
    assert [(line["id"], line["place"], line["reason"]) for line in journal(opstower)] == [
        (failed, "local", "older than 30 days"), (old[2], "local", "older than 30 days")]
    assert journal(opstower, "prune")[0]["deleted_local"] == 2


def test_a_backup_deletes_by_itself_and_never_the_last_good_ones(opstower, app):
    old = [history.put_here(opstower, app.backup, "app", days) for days in (100, 200, 300)]
    result = opstower("backup", "--local-only")
    assert f"[INFO] Deleted old backup: {old[2]} (older than 30 days)" in result.stdout
    assert {backup.id for backup in backups.all_of(opstower)} >= {app.backup.id, old[0]} and len(journal(opstower)) == 2


@pytest.mark.parametrize("kind, days", [("hourly", 5), ("manual", 8), ("pre-deployment", 9), ("pre-maintenance", 10),
                                        ("pre-restore", 11)])
def test_the_tiers_follow_the_settings(opstower, app, kind, days):
    env = {"BACKUP_RETENTION_DAYS": "5", "BACKUP_RETENTION_DAYS_MANUAL": "8", "BACKUP_RETENTION_DAYS_PRE_DEPLOYMENT": "9",
           "BACKUP_RETENTION_DAYS_PRE_MAINTENANCE": "10", "BACKUP_RETENTION_DAYS_PRE_RESTORE": "11", "BACKUP_KEEP_MIN": "1"}
    history.fill_here(opstower, app.backup, "app", days)
    young, old = (history.put_here(opstower, app.backup, "app", at, type=kind) for at in (days - 0.1, days + 0.1))
    found = of(verdicts(opstower, env=env))
    assert found[young] == ("keep", "young") and found[old] == ("delete", "expired")
    table = {row["type"]: row for row in json.loads(opstower("retention", "--json", env=env).stdout)["tiers"]}
    assert table[kind]["local"]["days"] == days and table["monthly"]["local"]["days"] is None
    opstower("backup", "--local-only", "--type", kind, env=env)
    assert max(backups.all_of(opstower), key=lambda each: each.timestamp).meta["retention_days"] == days


def test_the_table_as_text(opstower, app):
    said = opstower("retention").stdout
    lines = {line.split()[0]: line.split() for line in said.splitlines() if line[:1].islower()}
    assert lines["hourly"] == ["hourly", "30", "days", "1", "90", "days"]
    assert lines["pre-deployment"] == ["pre-deployment", "30", "days", "0", "180", "days"]
    assert lines["monthly"] == ["monthly", "-", "0", "365", "days"]


# ---- accidents of others ---------------------------------------------------------------------------------------------

def test_age_only_deletion_while_backups_fail(opstower, app, server, folder):
    """Backups fail for months, and somebody runs prune all the same."""
    old = [history.put_here(opstower, app.backup, "app", days) for days in (100, 110, 120, 130)]
    source = backups.Backup(os.path.join(opstower.backup_dir, f"{old[0]}.sql.gz"))
    app.backup.path.unlink()
    for days in range(0, 90, 10):
        history.put_here(opstower, source, "app", days, state="failed")
    bindir = programs_with(folder, server, pg_dumpall="exit 1")
    opstower("backup", "--local-only", env={"PG_BINDIR": bindir}, check=False)
    opstower("prune", "--apply")
    assert {old[0], old[1], old[2]} <= {backup.id for backup in backups.all_of(opstower)}


def test_name_prefix_confusion(opstower, app):
    others = {history.put_here(opstower, app.backup, name, 400) for name in
              ("app_test", "app-prod", "app_20260101_000000", "application", "APP", "my_app", "app_", "app.x")}
    ours = {history.put_here(opstower, app.backup, "app", days) for days in (300, 200, 100)}
    opstower("prune", "--apply", env={"BACKUP_KEEP_MIN": "1"})
    left = {backup.id for backup in backups.all_of(opstower)}
    assert others <= left and not ours & left
    opstower("prune", "--apply", "--all", env={"BACKUP_KEEP_MIN": "1"})
    assert others <= {backup.id for backup in backups.all_of(opstower)}, "each is the last good one of its database"


def test_deletion_during_a_restore(opstower, app, db, server, folder):
    old = history.put_here(opstower, app.backup, "app", 100)
    bindir = programs_with(folder, server, pg_restore='nap 20; exec {real} "$@"')
    server.query("DROP DATABASE IF EXISTS app_copy")
    process = opstower.popen("restore", old, "--target-db", "app_copy", "--force", env={"PG_BINDIR": bindir})
    deadline = time.monotonic() + 90
    while not opstower.files(f".{old}.inuse"):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    env = {"BACKUP_KEEP_MIN": "1"}
    assert of(verdicts(opstower, "--apply", env=env))[old] == ("keep", "in-use")
    process.terminate()
    process.communicate(timeout=60)
    assert opstower.files(f".{old}.inuse") == []
    assert of(verdicts(opstower, "--apply", env=env))[old] == ("deleted", "expired")


def test_a_killed_reader_holds_nothing(opstower, app, server, folder):
    old = history.put_here(opstower, app.backup, "app", 100)
    bindir = programs_with(folder, server, initdb="nap 20; exit 1")
    process = opstower.popen("verify", old, "--full-test", env={"PG_BINDIR": bindir})
    while not opstower.files(f".{old}.inuse"):
        time.sleep(0.01)
    os.killpg(process.pid, 9)
    process.communicate(timeout=60)
    assert of(verdicts(opstower, "--apply", env={"BACKUP_KEEP_MIN": "1"}))[old] == ("deleted", "expired")


def test_a_hold_wins(opstower, app):
    held = history.put_here(opstower, app.backup, "app", 100, hold={"reason": "audit", "until": None, "by": "a@b", "since": "x"})
    ended = history.put_here(opstower, app.backup, "app", 200, hold={"reason": "audit", "until": "2020-01-01T00:00:00+00:00"})
    found = of(verdicts(opstower, "--apply", env={"BACKUP_KEEP_MIN": "1"}))
    assert found[held] == ("keep", "held") and found[ended] == ("deleted", "expired")


def test_a_hold_that_somebody_puts_on_keeps_both_copies_until_it_is_taken_away(there, app, s3, bucket):
    env = {"BACKUP_RETENTION_DAYS": "300", "BACKUP_S3_PRUNE": "false"}
    old = history.put_here(there, app.backup, "app", 200, s3={"state": "pending"})
    there("backup", env=env)
    history.fill_here(there, app.backup, "app", 200)
    history.fill_there(s3, bucket, app.backup, "app", 200)
    key = f"database/{old[-15:-7]}/{old}.sql.gz"
    there("hold", "add", old, "--reason", "audit of the year")
    found = verdicts(there, "--apply")
    assert of(found)[old] == of(found, "s3")[old] == ("keep", "held") and key in s3.objects(bucket)
    there("hold", "remove", old)
    found = verdicts(there, "--apply")
    assert of(found)[old] == of(found, "s3")[old] == ("deleted", "expired") and key not in s3.objects(bucket)


def test_an_upgrade_of_the_servers_major_version_changes_nothing(opstower, app):
    """The backups of the old server are its only ones that were tested; they stay by the same rules as any."""
    history.fill_here(opstower, app.backup, "app", 40)
    old = [history.put_here(opstower, app.backup, "app", days, postgresql_version="PostgreSQL 12.22",
                            state="proven" if days == 41 else "verified") for days in (40, 41, 42, 43)]
    found = of(verdicts(opstower))
    assert [found[each][0] for each in old] == ["keep", "keep", "delete", "delete"]


# ---- without what it needs -------------------------------------------------------------------------------------------

def test_what_cannot_be_written_down_is_not_deleted(opstower, app):
    old = history.put_here(opstower, app.backup, "app", 100)
    journal_file = pathlib.Path(opstower.backup_dir) / "journal.jsonl"
    journal_file.unlink()
    journal_file.mkdir()
    result = opstower("prune", "--apply", env={"BACKUP_KEEP_MIN": "1"}, check=14)
    assert f"{old} is not deleted, for that could not be recorded" in result.stderr
    assert old in {backup.id for backup in backups.all_of(opstower)}


def test_another_run_is_at_work(opstower, app):
    old = history.put_here(opstower, app.backup, "app", 100)
    lock = os.path.join(opstower.backup_dir, ".app.backup.lock")
    with open(lock, "w", encoding="ascii") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert "another run is at work" in opstower("prune", "--apply", check=6).stderr
        assert old in of(verdicts(opstower)), "to look is always allowed"


def test_a_clock_that_is_set_back_deletes_nothing(opstower, app):
    """The program under faketime, two years ago: everything is from the future then."""
    for days in (31, 100, 400):
        history.put_here(opstower, app.backup, "app", days)
    result = opstower("prune", "--apply", "--json", env={"BACKUP_KEEP_MIN": "1", **clock.shifted(-730 * 24 * clock.HOUR)})
    assert {reason for _, reason in of(json.loads(result.stdout)).values()} == {"future"}
    assert "4 backups (local) are dated in the future" in result.stderr and len(backups.all_of(opstower)) == 4


def in_a_year(opstower, *words):
    """What the program says when its clock is a year ahead."""
    return opstower(*words, env={"BACKUP_KEEP_MIN": "1", **clock.shifted(365 * 24 * clock.HOUR)}).stdout


def test_a_clock_that_jumps_ahead_a_year_deletes_next_to_nothing(opstower, app):
    """Daily backups for six weeks; then the clock leaps, and neither a look nor a whole backup takes them for old."""
    daily = [history.put_here(opstower, app.backup, "app", days) for days in range(1, 42)]
    found = of(json.loads(in_a_year(opstower, "prune", "--json")))
    kept = [found[each] == ("keep", "uncounted") for each in daily]
    assert kept == [True] * 23 + [False] * 18, "of the year seven days count"
    line = next(line for line in in_a_year(opstower, "prune").splitlines() if daily[3] in line)
    assert re.search(r"within 30 days: 35[89] days without backups are not counted", line), line
    assert in_a_year(opstower, "prune", "--local-only", "--apply").count(" deleted ") == 18


def test_a_machine_that_was_off_for_two_months_keeps_what_it_had(opstower, app):
    """The first backup afterwards."""
    before = [history.put_here(opstower, app.backup, "app", 60 + days) for days in range(25)]
    app.backup.path.unlink()
    opstower("backup", "--local-only", env={"BACKUP_KEEP_MIN": "1"})
    left = {backup.id for backup in backups.all_of(opstower)}
    assert [each in left for each in before] == [True] * 24 + [False]
    assert [line["reason"] for line in journal(opstower)] == ["older than 30 days"]


# ---- in S3 -----------------------------------------------------------------------------------------------------------

def test_in_s3_the_same_rules_hold_with_its_own_days(there, app, s3, bucket):
    there("sync", "--all")
    fillers = history.fill_there(s3, bucket, app.backup, "app", 180)
    hourly, deployment, gone = (history.put_there(s3, bucket, app.backup, "app", days, type=kind) for days, kind in
                                ((89, "hourly"), (179, "pre-deployment"), (91, "hourly")))
    failed = history.put_there(s3, bucket, app.backup, "app", 95, state="failed")
    foreign = history.put_there(s3, bucket, app.backup, "app", 500, key="database/copies/app_20200101_000000.sql.gz")
    s3.client().put_object(Bucket=bucket, Key="database/20200102/app_20200102_000000.sql.gz", Body=b"of others")
    s3.client().put_object(Bucket=bucket, Key="database/readme.txt", Body=b"of others")
    s3.client().put_object(Bucket=bucket, Key="elsewhere/app_20200102_000000.sql.gz", Body=b"of others")
    test_db = history.put_there(s3, bucket, app.backup, "app_test", 500)
    result = there("backup")
    keys = set(s3.objects(bucket))
    for key in (gone, failed):
        assert not [each for each in keys if each.startswith(key.removesuffix(".sql.gz"))]
    assert {hourly, deployment, foreign, test_db, "database/readme.txt", "database/20200102/app_20200102_000000.sql.gz",
            "elsewhere/app_20200102_000000.sql.gz"} <= keys
    assert "[INFO] Deleted old backup in S3: " in result.stdout
    lines = journal(there)
    assert {line["place"] for line in lines} == {"s3"} and {line["file"] for line in lines} == {
        f"s3://{bucket}/{key}" for key in (gone, failed)}
    found = of(verdicts(there), "s3")
    assert found["app_20200101_000000"] == found["app_20200102_000000"] == ("keep", "no-metadata")
    sums = json.loads(there("retention", "--json").stdout)
    assert sums["foreign_s3"] == 2 + len(fillers) and {row["type"]: row["s3"]["backups"] for row in sums["tiers"]}["pre-deployment"] == 1


def test_a_long_silence_keeps_what_is_in_s3(there, app, s3, bucket):
    """Also where metadata of the young ones is not read: they count as made by their names."""
    there("sync", "--all")
    daily = [history.put_there(s3, bucket, app.backup, "app", days) for days in range(200, 206)]
    there("backup")
    assert set(daily) <= set(s3.objects(bucket)) and journal(there) == []
    assert {reason for _, reason in of(verdicts(there), "s3").values()} == {"young", "uncounted"}
    history.fill_there(s3, bucket, app.backup, "app", 200)
    there("backup")
    assert not set(daily) & set(s3.objects(bucket)), "now there was no silence"


def test_the_last_good_ones_stay_in_s3_too(there, app, s3, bucket):
    history.fill_there(s3, bucket, app.backup, "app", 100)
    keys = [history.put_there(s3, bucket, app.backup, "app", days) for days in (100, 110, 120)]
    there("prune", "--apply", env={"BACKUP_KEEP_MIN": "2"})
    assert [key for key in keys if key in s3.objects(bucket)] == keys[:2]


def test_what_expired_in_s3_is_not_uploaded_again(there, app, s3, bucket):
    env = {"BACKUP_RETENTION_DAYS": "400"}
    old = history.put_here(there, app.backup, "app", 100, s3={"state": "pending"})
    there("sync")
    assert f"database/{old[-15:-7]}/{old}.sql.gz" in s3.objects(bucket)
    there("backup", env={**env, "BACKUP_S3_PRUNE": "false"})
    there("prune", "--apply", env=env)
    assert old not in str(sorted(s3.objects(bucket))) and old in {backup.id for backup in backups.all_of(there)}
    assert backups.Backup(os.path.join(there.backup_dir, f"{old}.sql.gz")).meta["s3"]["state"] == "expired"
    assert there("sync", env=env).stdout.endswith("0 backups uploaded to S3\n")


def deny_delete(s3, bucket):
    statement = [{"Effect": "Deny", "Principal": "*", "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion"],
                  "Resource": [f"arn:aws:s3:::{bucket}/*"]}]
    s3.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statement}))


def test_a_writer_that_may_not_delete_retains(there, app, s3, bucket):
    history.fill_there(s3, bucket, app.backup, "app", 100)
    keys = [history.put_there(s3, bucket, app.backup, "app", days) for days in (100, 110, 120)]
    there("backup")     # one good one that is newer
    deny_delete(s3, bucket)
    try:
        keys += [history.put_there(s3, bucket, app.backup, "app", days) for days in (130, 140)]
        result = there("backup")
        assert result.stderr.count("[WARN] Old backups in S3 are retained") == 1 and "pruner" in result.stderr
        assert set(keys[3:]) <= set(s3.objects(bucket))
        outcome = [each["verdict"] for each in verdicts(there, "--apply") if each["place"] == "s3"]
        assert outcome.count("retained") == 2
        assert [line["result"] for line in journal(there)][-2:] == ["ok", "failed"]
        assert there("backup", env={"BACKUP_S3_PRUNE": "false"}).stderr == ""
    finally:
        s3.client().delete_bucket_policy(Bucket=bucket)


def test_a_locked_object_is_not_even_tried(there, app, s3):
    if "locked-for-prune" not in [each["Name"] for each in s3.client().list_buckets()["Buckets"]]:
        s3.make_bucket("locked-for-prune", object_lock=True)
    there.env.update(BACKUP_S3_BUCKET="locked-for-prune", BACKUP_S3_OBJECT_LOCK="governance")
    try:
        there("backup")
        history.fill_there(s3, "locked-for-prune", app.backup, "app", 100)
        key = history.put_there(s3, "locked-for-prune", app.backup, "app", 100)
        locked = history.put_there(s3, "locked-for-prune", app.backup, "app", 101)
        held = history.put_there(s3, "locked-for-prune", app.backup, "app", 102)
        client = s3.client()
        client.put_object_retention(Bucket="locked-for-prune", Key=locked, Retention={
            "Mode": "GOVERNANCE", "RetainUntilDate": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400))})
        client.put_object_legal_hold(Bucket="locked-for-prune", Key=held, LegalHold={"Status": "ON"})
        found = {each["location"].split("/", 3)[3]: (each["verdict"], each["reason"])
                 for each in verdicts(there, "--apply") if each["place"] == "s3"}
        assert (found[key], found[locked], found[held]) == (("deleted", "expired"), ("keep", "locked"), ("keep", "held"))
        assert [line["result"] for line in journal(there)] == ["ok"]
        versions = client.list_object_versions(Bucket="locked-for-prune", Prefix=key)
        assert len(versions["DeleteMarkers"]) == 1 and len(versions["Versions"]) == 1, "a marker; the version is still there"
        client.put_object_legal_hold(Bucket="locked-for-prune", Key=held, LegalHold={"Status": "OFF"})
    finally:
        s3.empty("locked-for-prune")


def test_a_bucket_that_is_down_keeps_nothing_here_from_going(there, app):
    history.fill_here(there, app.backup, "app", 100)
    old = history.put_here(there, app.backup, "app", 100)
    there("backup", env={"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, check=15)
    assert old not in {backup.id for backup in backups.all_of(there)}
    history.put_here(there, app.backup, "app", 100)
    result = there("prune", "--apply", env={"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, check=16)
    assert len(backups.error_lines(result)) == 1 and "deleted" in result.stdout


def test_what_waits_for_its_upload_stays(there, app):
    old = history.put_here(there, app.backup, "app", 100, s3={"state": "pending"})
    found = of(verdicts(there, "--local-only", "--apply"))
    assert found[old] == ("keep", "pending")
