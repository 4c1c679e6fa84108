"""What a backup to S3 alone leaves when it is ended between its object and the metadata, and what the next run makes of it."""
import json
import os
import signal

import pytest

from lib import backups, faultproxy

TABLE = "CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t SELECT g, md5(g::text) FROM generate_series(1, 500) g"


@pytest.fixture
def proxy(s3):
    with faultproxy.FaultProxy(s3.port) as running:
        yield running


@pytest.fixture
def database(db):
    made = db()
    made.query(TABLE)
    return made


@pytest.fixture
def there(opstower, database, s3, bucket, proxy):
    opstower.env.update(s3.environment(bucket, proxy.endpoint), DATABASE_URL=database.url, BACKUP_S3_RETRY_TIME="1",
                        BACKUP_S3_TIMEOUT="5")
    return opstower


def is_metadata(request):
    return request.method == "PUT" and ".meta.json" in request.target


def is_read_back(request):
    return request.method == "GET" and ".sql.gz" in request.target and "range" in request.headers


def entries(there):
    return json.loads(there("list", "--json").stdout)


def notes(there):
    return [name for name in os.listdir(there.backup_dir) if name.endswith(".uploading")]


def killed_at(there, proxy, when):
    """A backup to S3 alone that is killed when it makes that request; the request never arrives."""
    process = there.popen("backup", "--s3-only", "--tag", "v1")

    def kill(request):
        if when(request):
            process.kill()
            process.wait()
            return "late refuse"
        return None
    proxy.meet = kill
    process.communicate(timeout=60)
    proxy.forget()
    assert process.returncode == -signal.SIGKILL


def refused_at(there, proxy, when):
    """The same, but the request is refused for good."""
    proxy.meet = lambda request: (403, "AccessDenied") if when(request) else None
    result = there("backup", "--s3-only", "--tag", "v1", check=16)
    proxy.forget()
    assert len(backups.error_lines(result)) == 1 and "Backup uploaded to S3" not in result.stdout


@pytest.mark.parametrize("how", [killed_at, refused_at])
@pytest.mark.parametrize("when", [is_read_back, is_metadata])
@pytest.mark.parametrize("run", [["sync"], ["backup", "--s3-only"]])
def test_the_next_run_gives_the_object_its_metadata(there, database, s3, bucket, proxy, how, when, run):
    how(there, proxy, when)
    (key,) = [key for key in s3.objects(bucket) if key.endswith(".sql.gz")]
    assert [copy["state"] for copy in entries(there)[0]["copies"]] == ["no metadata"] and len(notes(there)) == 1
    result = there(*run)
    assert f"s3://{bucket}/{key} had its metadata" in result.stderr and "verify" in result.stderr
    assert notes(there) == [] and key.replace(".sql.gz", ".globals.sql") in s3.objects(bucket)
    found = entries(there)[-1]
    assert (found["state"], found["tag"], found["copies"][0]["state"]) == ("unverified", "v1", "present")
    there("verify", key, "--from-s3")
    assert entries(there)[-1]["state"] == "verified"
    assert there("sync").stderr == "", "it is told once"
    before = database.fingerprints()
    database.query("DELETE FROM t")
    there("restore", key, "--from-s3", "--force", "--no-pre-backup")
    assert database.fingerprints() == before


def test_an_object_that_is_not_the_noted_one_gets_no_metadata(there, s3, bucket, proxy):
    killed_at(there, proxy, is_metadata)
    (key,) = [key for key in s3.objects(bucket) if key.endswith(".sql.gz")]
    s3.client().put_object(Bucket=bucket, Key=key, Body=b"something else")
    there("sync")
    assert [name for name in s3.objects(bucket) if ".meta.json" in name] == [] and notes(there) == []


def test_metadata_that_is_there_is_not_overwritten(there, s3, bucket, proxy):
    killed_at(there, proxy, is_metadata)
    (key,) = [key for key in s3.objects(bucket) if key.endswith(".sql.gz")]
    beside = key.replace(".sql.gz", ".meta.json")
    s3.client().put_object(Bucket=bucket, Key=beside, Body=b"of somebody else")
    there("sync")
    assert s3.objects(bucket)[beside] == b"of somebody else" and notes(there) == []


def test_a_note_for_another_bucket_stays_and_is_told(there, s3, bucket, proxy):
    killed_at(there, proxy, is_metadata)
    other = bucket + "-other"
    s3.make_bucket(other)
    try:
        result = there("backup", "--s3-only", env={"BACKUP_S3_BUCKET": other})
        assert f"bucket {bucket}" in result.stderr and len(notes(there)) == 1
    finally:
        s3.empty(other)
    there("sync")
    assert notes(there) == [] and entries(there)[-1]["state"] == "unverified"


def test_a_note_that_is_none_is_told(there, s3, bucket, proxy):
    killed_at(there, proxy, is_metadata)
    (name,) = notes(there)
    for text in ("", "not json", '{"bucket": "b", "key": "database/other.sql.gz"}', "[]"):
        with open(os.path.join(there.backup_dir, name), "w", encoding="utf-8") as file:
            file.write(text)
        result = there("sync")
        assert "is not a note of an upload" in result.stderr and len(notes(there)) == 1
