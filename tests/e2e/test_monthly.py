"""The monthly archive on a real S3 server: the first good backup of a month, copied by the server, kept for a year."""
import datetime
import json
import os
import pathlib
import subprocess
import time

import pytest

from lib import backups, faultproxy, history, runner
from lib.backups import take

SMALL = "CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t SELECT g, md5(g::text) FROM generate_series(1, 300) g"


@pytest.fixture
def app(opstower, db):
    made = db(name="app")
    made.query(SMALL)
    opstower.env["DATABASE_URL"] = made.url
    return made


@pytest.fixture
def there(opstower, app, s3, bucket):
    opstower.env.update(s3.environment(bucket), BACKUP_S3_RETRY_TIME="2", BACKUP_S3_TIMEOUT="5", BACKUP_MONTHLY_ARCHIVE=None)
    return opstower


def archives(s3, bucket, ending=".sql.gz"):
    return sorted(key for key in s3.objects(bucket, "database/monthly/") if key.endswith(ending))


def meta_at(s3, bucket, key):
    return json.loads(s3.objects(bucket)[key.removesuffix(".sql.gz") + ".meta.json"])


def tags(s3, bucket, key):
    return {each["Key"]: each["Value"] for each in s3.client().get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}


# ---- which, and how --------------------------------------------------------------------------------------------------

def test_the_first_backup_of_a_month_is_also_kept_as_monthly(there, app, s3, bucket):
    result = there("backup", "--tag", "v1")
    (first,) = backups.all_of(there)
    key = f"database/monthly/{first.timestamp[:6]}/{first.id}.sql.gz"
    assert archives(s3, bucket) == [key] and f"[INFO] Kept in the monthly archive: s3://{bucket}/{key}" in result.stdout
    assert s3.objects(bucket)[key] == first.path.read_bytes()
    meta = meta_at(s3, bucket, key)
    assert (meta["type"], meta["retention_days"], meta["id"], meta["tag"], meta["sha256"]) == (
        "monthly", 365, first.id, "v1", first.meta["sha256"])
    assert (meta["s3"]["key"], meta["s3"]["state"]) == (key, "uploaded") and first.meta["type"] == "hourly"
    assert {**tags(s3, bucket, key), "hold": None} == {"database": "app", "type": "monthly", "tag": "v1", "hold": None}
    assert archives(s3, bucket, ".globals.sql") == [key.removesuffix(".sql.gz") + ".globals.sql"]
    head = s3.client().head_object(Bucket=bucket, Key=key)
    assert head["StorageClass"] == "STANDARD_IA"
    result = there("backup")
    assert archives(s3, bucket) == [key] and "monthly" not in result.stdout


def test_it_is_listed_verified_and_restored_by_key_and_by_id(there, app, s3, bucket, server):
    there("backup")
    (key,) = archives(s3, bucket)
    (first,) = backups.all_of(there)
    before = app.fingerprints()
    listed = json.loads(there("list", "--json").stdout)
    assert {each["place"]: each["state"] for each in listed[0]["copies"]} == {
        "local": "present", "s3": "present", "monthly": "present"}
    assert "local, s3, monthly" in there("list").stdout
    there("verify", key, "--from-s3", "--full-test")
    assert meta_at(s3, bucket, key)["state"] == "proven" and first.meta["state"] == "proven", "the same bytes"
    for name in [name for name in s3.objects(bucket) if "/monthly/" not in name]:
        s3.client().delete_object(Bucket=bucket, Key=name)
    for path in first.path.parent.glob(first.id + "*"):
        path.unlink()
    (entry,) = json.loads(there("list", "--json").stdout)
    assert entry["type"] == "monthly" and entry["copies"] == [{**entry["copies"][0], "place": "s3", "key": key}]
    for word in (key, f"s3://{bucket}/{key}", first.id, first.timestamp, "latest"):
        there("verify", word, "--from-s3")
    app.query("DELETE FROM t")
    there("restore", first.id, "--from-s3", "--force", "--no-pre-backup", "--drop-replaced")
    assert app.fingerprints() == before


def test_verifying_the_archive_says_nothing_of_the_other_copy(there, app, s3, bucket):
    there("backup")
    (first,), (key,) = backups.all_of(there), archives(s3, bucket)
    data = bytearray(first.path.read_bytes())
    data[len(data) // 2] ^= 1
    s3.client().put_object(Bucket=bucket, Key=key, Body=bytes(data))
    there("verify", key, "--from-s3", check=8)
    assert first.meta["s3"]["state"] == "uploaded"
    there("verify", first.id, "--from-s3")


def test_the_first_good_one_even_if_it_came_late(there, app, s3, bucket):
    """The upload of the month's first backup fails, and it comes with the next run."""
    there("backup", env={"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, check=15)
    (first,) = backups.all_of(there)
    assert archives(s3, bucket) == []
    time.sleep(1.1)
    there("backup")
    assert archives(s3, bucket) == [f"database/monthly/{first.timestamp[:6]}/{first.id}.sql.gz"]


def test_sync_makes_it_too(there, app, s3, bucket):
    there("backup", env={"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, check=15)
    there("sync")
    assert len(archives(s3, bucket)) == 1


def test_which_of_them(there, app, s3, bucket):
    """Failed, unverified, pre-restore and foreign ones are none; months before are made up for, but no more than a year."""
    source = take(there, app)
    env = {"BACKUP_S3_RETENTION_DAYS": "3000"}
    history.fill_there(s3, bucket, source, "app", 460)
    good = {}
    for months in (1, 2, 14):
        first = datetime.datetime.now(datetime.timezone.utc).replace(day=1, hour=0, minute=0, second=0)
        for _ in range(months):
            first = (first - datetime.timedelta(days=1)).replace(day=1)
        days = (datetime.datetime.now(datetime.timezone.utc) - first).total_seconds() / 86400
        history.put_there(s3, bucket, source, "app", days - 1, state="failed")
        history.put_there(s3, bucket, source, "app", days - 2, state="unverified")
        history.put_there(s3, bucket, source, "app", days - 3, state="proven", type="pre-restore")
        good[months] = history.put_there(s3, bucket, source, "app", days - 4)
        history.put_there(s3, bucket, source, "app", days - 5, state="proven")
        s3.client().put_object(Bucket=bucket, Key=f"database/x/app_{history.stamp_of(days - 0.5)}.sql.gz", Body=b"foreign")
    there("sync", env=env)
    assert archives(s3, bucket) == sorted(f"database/monthly/{pathlib.Path(good[months]).name[4:10]}/{pathlib.Path(good[months]).name}"
                                          for months in (1, 2))


def test_without_it(there, app, s3, bucket):
    there("backup", env={"BACKUP_MONTHLY_ARCHIVE": "false"})
    assert archives(s3, bucket) == []
    there("backup", "--local-only")
    assert archives(s3, bucket) == []


def test_s3_only(there, app, s3, bucket):
    there("backup", "--s3-only")
    assert len(archives(s3, bucket)) == 1


@pytest.mark.parametrize("name", ["with space", "plus+sign", "percent%41", "ünïcode", 'quote"d', "a/b"])
def test_odd_names(there, s3, bucket, db, name):
    made = db(name=name)
    made.query(SMALL)
    there("backup", env={"DATABASE_URL": made.url})
    (key,) = archives(s3, bucket)
    there("verify", key, "--from-s3", env={"DATABASE_URL": made.url})


# ---- how long --------------------------------------------------------------------------------------------------------

def monthly_key(s3, bucket, source, days):
    stamp = history.stamp_of(days)
    return history.put_there(s3, bucket, source, "app", days, key=f"database/monthly/{stamp[:6]}/app_{stamp}.sql.gz",
                             type="monthly")


def test_archives_go_after_a_year_but_never_the_newest(there, app, s3, bucket):
    source = take(there, app)
    keys = [monthly_key(s3, bucket, source, days) for days in (364, 366, 400)]
    for hours in (1, 2, 3):
        history.put_there(s3, bucket, source, "app", hours / 24)
    env = {"BACKUP_MONTHLY_ARCHIVE": "false"}
    there("backup", env=env)
    assert archives(s3, bucket) == keys[:1]
    s3.client().delete_object(Bucket=bucket, Key=keys[0])
    last = [monthly_key(s3, bucket, source, days) for days in (390, 420)]
    there("backup", env=env)
    assert archives(s3, bucket) == last[:1]
    found = {each["location"].split("/", 3)[3]: each["reason"] for each in json.loads(there("prune", "--json", env=env).stdout)
             if each["place"] == "s3"}
    assert found[last[0]] == "newest-monthly"


def test_its_days_follow_the_settings_and_so_does_its_lock(there, app, s3):
    if "locked-for-monthly" not in [each["Name"] for each in s3.client().list_buckets()["Buckets"]]:
        s3.make_bucket("locked-for-monthly", object_lock=True)
    try:
        there("backup", env={"BACKUP_S3_BUCKET": "locked-for-monthly", "BACKUP_S3_OBJECT_LOCK": "governance",
                             "BACKUP_S3_RETENTION_DAYS_MONTHLY": "500", "BACKUP_S3_RETENTION_DAYS": "7"})
        for key, days in [(key, 500) for key in archives(s3, "locked-for-monthly", "")]:
            held = s3.client().get_object_retention(Bucket="locked-for-monthly", Key=key)["Retention"]
            left = (held["RetainUntilDate"] - datetime.datetime.now(datetime.timezone.utc)).total_seconds() / 86400
            assert held["Mode"] == "GOVERNANCE" and days - 0.1 < left < days + 0.01
        (key,) = archives(s3, "locked-for-monthly")
        assert meta_at(s3, "locked-for-monthly", key)["retention_days"] == 500
    finally:
        s3.empty("locked-for-monthly")


# ---- when it fails ---------------------------------------------------------------------------------------------------

def test_an_interrupted_copy_is_made_again(there, app, s3, bucket):
    """The object is there, its metadata is not: the run was cut off in between."""
    there("backup")
    (key,) = archives(s3, bucket)
    s3.client().delete_object(Bucket=bucket, Key=key.removesuffix(".sql.gz") + ".meta.json")
    there("backup")
    assert archives(s3, bucket) == [key] and meta_at(s3, bucket, key)["type"] == "monthly"


# ---- objects that are too large for one request ----------------------------------------------------------------------

def copy_in_parts(s3, bucket, key, to, part_bytes, endpoint=None):
    program = pathlib.Path(runner.binary()).with_name("copy_parts")
    return subprocess.run([program, endpoint or s3.endpoint, bucket, key, to, str(part_bytes)], check=False, text=True,
                          capture_output=True, env={"PATH": "/usr/bin:/bin", **s3.credentials()})


@pytest.mark.parametrize("size", [5 << 20, (12 << 20) + 345, 15 << 20])
def test_a_copy_in_parts(s3, bucket, size):
    data = os.urandom(size)
    s3.client().put_object(Bucket=bucket, Key="a b/ü", Body=data)
    result = copy_in_parts(s3, bucket, "a b/ü", "monthly/c+d", 5 << 20)
    assert result.returncode == 0, result.stderr
    assert s3.objects(bucket)["monthly/c+d"] == data and s3.unfinished_uploads(bucket) == []
    assert s3.client().head_object(Bucket=bucket, Key="monthly/c+d")["ETag"].endswith(f'-{-(-size // (5 << 20))}"')


def test_a_copy_in_parts_that_fails_leaves_nothing(s3, bucket):
    s3.client().put_object(Bucket=bucket, Key="a", Body=os.urandom(12 << 20))
    with faultproxy.FaultProxy(s3.port) as proxy:
        assert copy_in_parts(s3, bucket, "a", "b", 5 << 20, proxy.endpoint).returncode == 0
        count = len(proxy.requests)
        assert [method for method, _ in proxy.requests] == ["HEAD", "POST", "PUT", "PUT", "PUT", "POST"]
        s3.client().delete_object(Bucket=bucket, Key="b")
        for at in range(2, count + 1):
            proxy.plan(at, "error in 200", times=1000 if at == count else 20)
            result = copy_in_parts(s3, bucket, "a", "b", 5 << 20, proxy.endpoint)
            assert result.returncode == 1 and "InternalError" in result.stderr, at
            assert "b" not in s3.objects(bucket) and s3.unfinished_uploads(bucket) == [], at
