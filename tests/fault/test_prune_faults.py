"""Retention and the monthly archive in S3 while every request fails in turn: nothing good is lost, nothing is called done
that is not, and the next run finishes what was left."""
import json
import subprocess

import pytest

from lib import backups, faultproxy, history
from lib.backups import take
from lib.faultproxy import KINDS

SMALL = "CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t SELECT g, md5(g::text) FROM generate_series(1, 300) g"
# A list that lost a key on the way, without TLS, cannot be told from one that never had it: the next run sees it.
UNSEEN = {"corrupt", "short length"}


@pytest.fixture(scope="module")
def proxy(s3):
    with faultproxy.FaultProxy(s3.port) as running:
        yield running


@pytest.fixture
def there(opstower, db, s3, bucket, proxy):
    made = db(name="app")
    made.query(SMALL)
    proxy.forget()
    opstower.env.update(s3.environment(bucket, proxy.endpoint), DATABASE_URL=made.url, BACKUP_S3_TIMEOUT="1",
                        BACKUP_S3_RETRY_TIME="3", BACKUP_KEEP_MIN="1")
    opstower.first = take(opstower, made)
    return opstower


def some_kinds(at, count):
    """Each request meets as many faults; together they meet all."""
    return [KINDS[(at * count + k) % len(KINDS)] for k in range(count)]


FAULTS_OF_EACH = pytest.mark.parametrize("faults", [1, pytest.param(len(KINDS), marks=pytest.mark.long)])


def monthly(s3, bucket):
    return {key: data for key, data in s3.objects(bucket, "database/monthly/").items()}


@FAULTS_OF_EACH
def test_the_monthly_archive(there, s3, bucket, proxy, faults):
    there("sync", "--all")
    on = {"BACKUP_MONTHLY_ARCHIVE": "true"}
    proxy.forget()
    there("sync", env=on)
    count, whole = len(proxy.requests), sorted(monthly(s3, bucket))
    assert count > 6 and len(whole) == 3
    for at in range(1, count + 1):
        for kind in some_kinds(at, faults):
            for key in monthly(s3, bucket):
                s3.client().delete_object(Bucket=bucket, Key=key)
            proxy.plan(at, kind)
            result = there("sync", env=on, check=False)
            assert result.returncode in (0, 15, 16) and len(backups.error_lines(result)) == (result.returncode != 0), (at, kind, result)
            proxy.forget()
            if result.returncode == 0 and kind not in UNSEEN:
                assert sorted(monthly(s3, bucket)) == whole, (at, kind)
            there("sync", env=on)
            found = monthly(s3, bucket)
            assert sorted(found) == whole
            (key,) = [key for key in found if key.endswith(".sql.gz")]
            assert found[key] == there.first.path.read_bytes(), (at, kind)
            assert json.loads(found[key.replace(".sql.gz", ".meta.json")])["type"] == "monthly", (at, kind)


def test_an_error_in_an_answer_of_200_is_a_failed_copy(there, s3, bucket, proxy):
    there("sync", "--all")
    proxy.forget()
    there("sync", env={"BACKUP_MONTHLY_ARCHIVE": "true"})
    (copy,) = [at for at, (method, target) in enumerate(proxy.requests, 1)
               if method == "PUT" and "/monthly/" in target and target.endswith(".sql.gz")]
    for key in monthly(s3, bucket):
        s3.client().delete_object(Bucket=bucket, Key=key)
    proxy.plan(copy, "error in 200", times=1000)
    result = there("sync", env={"BACKUP_MONTHLY_ARCHIVE": "true"}, check=15)
    assert "the monthly archive of" in result.stderr and "InternalError" in result.stderr and monthly(s3, bucket) == {}


@FAULTS_OF_EACH
def test_deleting(there, s3, bucket, proxy, faults):
    there("sync", "--all")
    key = history.put_there(s3, bucket, there.first, "app", 100)
    proxy.forget()
    there("prune", "--apply")
    count = len(proxy.requests)
    good = {name for name in s3.objects(bucket)}
    assert count > 6 and key not in good
    for at in range(1, count + 1):
        for kind in some_kinds(at, faults):
            history.put_there(s3, bucket, there.first, "app", 100, key=key)
            proxy.plan(at, kind)
            result = there("prune", "--apply", check=False)
            assert result.returncode in (0, 16) and len(backups.error_lines(result)) == (result.returncode != 0), (at, kind, result)
            proxy.forget()
            left = set(s3.objects(bucket))
            assert good <= left, (at, kind)
            if key in left:
                assert key.replace(".sql.gz", ".meta.json") in left, "the metadata goes last"
            there("prune", "--apply")
            assert set(s3.objects(bucket)) == good, (at, kind)


def test_what_a_killed_deletion_left_goes_with_the_next_run_and_nothing_else(there, s3, bucket):
    there("sync", "--all")
    key = history.put_there(s3, bucket, there.first, "app", 100)
    there("prune", "--apply")
    stray = history.put_there(s3, bucket, there.first, "app", 200)      # not ours to judge: nothing says that we deleted it
    for each in (key, stray):
        history.put_there(s3, bucket, there.first, "app", 100, key=each)
        s3.client().delete_object(Bucket=bucket, Key=each)
    result = there("prune", "--apply")
    left = set(s3.objects(bucket))
    assert not [name for name in left if name.startswith(key.removesuffix(".sql.gz"))] and "interrupted deletion" in result.stdout
    assert stray.replace(".sql.gz", ".meta.json") in left


def test_a_run_that_is_killed_anywhere(there, s3, bucket, proxy):
    there("sync", "--all")
    key = history.put_there(s3, bucket, there.first, "app", 100)
    good = {name for name in s3.objects(bucket) if not name.startswith(key.removesuffix(".sql.gz"))}
    proxy.forget()
    there("prune", "--apply")
    for at in range(1, len(proxy.requests) + 1):
        history.put_there(s3, bucket, there.first, "app", 100, key=key)
        proxy.plan(at, "stall")
        process = there.popen("prune", "--apply", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while len(proxy.requests) < at and process.poll() is None:
            pass
        process.kill()
        process.wait()
        proxy.forget()
        assert good <= set(s3.objects(bucket))
        there("prune", "--apply")
        assert set(s3.objects(bucket)) == good, at
