"""Every request to S3 fails in turn, in every way: a run either succeeds with proof, or says that it did not.

Three acts (backup to both places, backup to S3 only, restore from S3) and verify; the requests of each are counted in a
run without a fault, then each request meets each fault once. `make check` takes a part of these for all but backup to S3
only, so that each request and each fault occurs; `make check-long` takes all.
"""
import json
import pathlib
import re

import pytest

from lib import backups, faultproxy
from lib.faultproxy import KINDS

TABLES = """
CREATE TABLE a (id int PRIMARY KEY, t text);
INSERT INTO a SELECT g, (SELECT string_agg(md5(g::text || i::text), '') FROM generate_series(1, 8) i)
  FROM generate_series(1, 50000) g;
CREATE TABLE b AS SELECT g AS x FROM generate_series(1, 1000) g;
"""
# These happen once and then never again: with another try all is well. The others may make a run fail.
HARMLESS = set(KINDS) - {"corrupt", "short length"}


@pytest.fixture(scope="module")
def proxy(s3):
    with faultproxy.FaultProxy(s3.port) as running:
        yield running


@pytest.fixture(scope="module")
def filled(server):
    server.query("CREATE DATABASE s3_faults TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'")
    server.query(TABLES, dbname="s3_faults")
    yield "s3_faults"
    server.query("DROP DATABASE s3_faults WITH (FORCE)")


@pytest.fixture
def there(opstower, server, s3, bucket, proxy, filled):
    proxy.forget()
    opstower.env.update(s3.environment(bucket, proxy.endpoint), DATABASE_URL=server.url(filled), BACKUP_S3_TIMEOUT="1",
                        BACKUP_S3_RETRY_TIME="4", BACKUP_S3_PART_SIZE="5", BACKUP_S3_PARALLEL="2", BACKUP_JOBS="2")
    return opstower


def dumps(s3, bucket):
    return {key: data for key, data in s3.objects(bucket).items() if key.endswith(".sql.gz")}


def metadata(s3, bucket):
    return {key: json.loads(data) for key, data in s3.objects(bucket).items() if key.endswith(".meta.json")}


def assert_backup(result, there, s3, bucket):
    """What must hold after a backup to both places, whatever happened."""
    (backup,) = backups.all_of(there)
    backup.assert_whole()
    assert result.returncode in (0, 15), result
    assert backup.meta["s3"]["state"] == ("uploaded" if result.returncode == 0 else "pending")
    if result.returncode == 0:
        assert list(dumps(s3, bucket).values()) == [backup.path.read_bytes()]
        assert [meta["sha256"] for meta in metadata(s3, bucket).values()] == [backup.meta["sha256"]]
        assert s3.unfinished_uploads(bucket) == []
    else:
        assert len(backups.error_lines(result)) == 1 and "Failed to upload backup to S3" in result.stderr


def assert_s3_only(result, there, s3, bucket):
    assert backups.all_of(there) == []
    if result.returncode == 0:
        assert len(dumps(s3, bucket)) == len(metadata(s3, bucket)) == 1
        there("verify", "latest", "--from-s3", env={"AWS_ENDPOINT_URL_S3": s3.endpoint})
    else:
        assert len(backups.error_lines(result)) == 1 and metadata(s3, bucket) == {}, result


def assert_verified(result, *_):
    assert result.returncode == 0 or len(backups.error_lines(result)) == 1
    assert ("Completed Successfully" in result.stdout) == (result.returncode == 0)


@pytest.fixture
def restored(server, filled):
    """Whether a restore made the database, and it is equal; drops it."""
    def check(result, *_):
        there_is = "s3_restored" in server.databases()
        assert there_is == (result.returncode == 0), result
        for table in ("a", "b") if there_is else ():
            sums = [server.query(f"SELECT count(*), sum(hashtext(t::text)) FROM {table} t", dbname=name)
                    for name in ("s3_restored", filled)]
            assert sums[0] == sums[1]
        for name in server.databases():
            if name.startswith("s3_restored"):
                assert there_is, f"{name} was left behind"
                server.query(f"DROP DATABASE {name} WITH (FORCE)")
    return check


def clear(there, s3, bucket):
    s3.empty(bucket)
    for backup in backups.all_of(there):
        for ending in (".sql.gz", ".meta.json", ".globals.sql"):
            backup.beside(ending).unlink(missing_ok=True)
    for note in pathlib.Path(there.backup_dir).glob(".*.uploading"):    # else the next run has more requests
        note.unlink()


def run_matrix(act, check, there, s3, bucket, proxy, part, fresh):
    """fresh: each run begins with an empty bucket."""
    proxy.forget()
    result = there(*act)
    check(result, there, s3, bucket)
    requests = list(proxy.requests)
    assert len(requests) >= 4, requests
    for at in range(1, len(requests) + 1):
        for number, kind in enumerate(KINDS):
            if part is not None and (at + number) % len(KINDS) not in part:
                continue
            if fresh:
                clear(there, s3, bucket)
            proxy.plan(at, kind)
            result = there(*act, check=False)
            assert len(proxy.requests) >= at or result.returncode == 0, f"{kind} at {at} was not reached"
            proxy.forget()
            check(result, there, s3, bucket)
            assert result.returncode == 0 or kind not in HARMLESS, (at, requests[at - 1], kind, result)


PARTS = [pytest.param((0,), id="part"), pytest.param(None, id="all", marks=pytest.mark.long)]


@pytest.mark.parametrize("part", PARTS)
def test_backup(there, s3, bucket, proxy, part):
    run_matrix(["backup"], assert_backup, there, s3, bucket, proxy, part, True)


@pytest.mark.parametrize("part", PARTS[1:])
def test_backup_to_s3_only(there, s3, bucket, proxy, part):
    run_matrix(["backup", "--s3-only"], assert_s3_only, there, s3, bucket, proxy, part, True)


@pytest.mark.parametrize("part", PARTS)
def test_verify(there, s3, bucket, proxy, part):
    there("backup")
    run_matrix(["verify", "latest", "--from-s3"], assert_verified, there, s3, bucket, proxy, part, False)


@pytest.mark.parametrize("part", PARTS)
def test_restore(there, s3, bucket, proxy, part, restored):
    there("backup")
    run_matrix(["restore", "latest", "--from-s3", "--target-db", "s3_restored", "--force"], restored, there, s3, bucket,
               proxy, part, False)


@pytest.mark.parametrize("at, kind", [(1, "refuse"), (1, "stall"), (1, "403"), (1, "expired"), (1, "error in 200"),
                                      (4, "403"), pytest.param(4, "503", marks=pytest.mark.long),
                                      pytest.param(4, "lost answer", marks=pytest.mark.long)])
def test_a_fault_that_stays(there, s3, bucket, proxy, at, kind):
    """From one request on S3 is broken for good: the local copy is good, and a later run brings it to S3."""
    there.env["BACKUP_S3_RETRY_TIME"] = "2"
    proxy.plan(at, kind, times=100000)
    result = there("backup", check=False)
    assert_backup(result, there, s3, bucket)
    assert result.returncode == 15
    if kind in ("403", "expired"):
        assert len(proxy.requests) < at + 12, "what was refused is not asked again and again"
    proxy.forget()
    there("sync")
    (backup,) = backups.all_of(there)
    assert list(dumps(s3, bucket).values()) == [backup.path.read_bytes()] and s3.unfinished_uploads(bucket) == []


def test_a_clock_that_is_wrong_is_told_with_both_clocks(there, proxy):
    proxy.plan(1, "skewed")
    result = there("list", check=16)
    assert re.search(r"This machine's clock says 20\d\d-.*, that of the S3 server 2035-01-01T00:00:00", result.output)
    assert "RequestTimeTooSkewed" in result.stderr, "the real server does not take the proxy's time"
