"""The copy in S3, on a real S3 server: made while dumping, listed, verified, restored from, and read by others' tools."""
import datetime
import gzip
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

from lib import backups, oracle, runner

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL = """
CREATE TABLE small (id int PRIMARY KEY, t text);
INSERT INTO small SELECT g, md5(g::text) FROM generate_series(1, 2000) g;
CREATE TABLE big (id int PRIMARY KEY, t text);
INSERT INTO big SELECT g, (SELECT string_agg(md5(g::text || i::text), '') FROM generate_series(1, 8) i)
  FROM generate_series(1, 60000) g;
"""


@pytest.fixture(scope="module")
def filled(server):
    """A database of some 20 MB that packs badly; read only."""
    name = "s3_filled"
    server.query(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'")
    server.query(SMALL, dbname=name)
    yield name
    server.query(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def there(opstower, server, s3, bucket, filled):
    """opstower set up for the database and the bucket."""
    opstower.env.update(s3.environment(bucket), DATABASE_URL=server.url(filled), BACKUP_S3_RETRY_TIME="2",
                        BACKUP_S3_TIMEOUT="5", BACKUP_S3_PART_SIZE="5")
    return opstower


@pytest.fixture
def small(there, db):
    """The same for a small database of the test's own."""
    made = db()
    made.query("CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t SELECT g, md5(g::text) FROM generate_series(1, 500) g")
    there.env["DATABASE_URL"] = made.url
    return made


def entries(opstower, *words, check=True):
    return json.loads(opstower("list", "--json", *words, check=check).stdout)


def copies(opstower, *words, check=True):
    """{place: state} of the newest backup."""
    return {each["place"]: each["state"] for each in entries(opstower, *words, check=check)[0]["copies"]}


def dump_key(s3, bucket):
    (key,) = [key for key in s3.objects(bucket) if key.endswith(".sql.gz")]
    return key


def check_of(result, name):
    return re.search(rf"^\[INFO\] {name}: (PASS|FAIL|WARN|NOT DONE)", result.stdout, re.M)[1]


# ---- the whole way ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("how", ["path", "tls", "virtual host", "virtual host, tls"])
def test_backup_to_restore_without_the_folder(there, s3, bucket, db, server, filled, how):
    endpoint = {"path": s3.endpoint, "tls": s3.endpoint_tls, "virtual host": s3.endpoint_host,
                "virtual host, tls": s3.endpoint_host_tls}[how]
    there.env.update(s3.environment(bucket, endpoint))
    if how.startswith("virtual"):
        there.env["BACKUP_S3_ADDRESSING"] = "virtual"
    result = there("backup", "--tag", "v 1.2/é")
    key = dump_key(s3, bucket)
    (backup,) = backups.all_of(there)
    assert key == f"database/{backup.timestamp[:8]}/{backup.id}.sql.gz"
    assert f"[INFO] Backup uploaded to S3: s3://{bucket}/{key}\n" in result.stdout
    assert s3.objects(bucket)[key] == backup.path.read_bytes()
    assert copies(there) == {"local": "present", "s3": "present"}
    assert s3.unfinished_uploads(bucket) == []
    shutil.rmtree(there.backup_dir)
    assert copies(there) == {"s3": "present"}
    result = there("verify", "latest", "--from-s3", "--full-test" if how == "tls" else "--quiet")
    assert entries(there)[0]["state"] == ("proven" if how == "tls" else "verified")
    target = db()
    server.query(f"DROP DATABASE {target.name}")
    there("restore", key, "--from-s3", "--target-db", target.name, "--force")
    assert target.fingerprints() == oracle.data_fingerprints(server.url(filled))
    assert target.schema() == oracle.schema_dump(server.url(filled))


def test_restore_over_the_live_database_and_by_the_guides_script(there, small, s3, bucket):
    there("backup")
    key = dump_key(s3, bucket)
    before = small.fingerprints()
    for words in ([key], [f"s3://{bucket}/{key}"], [pathlib.Path(key).name.removesuffix(".sql.gz")], ["latest"]):
        small.query("DELETE FROM t WHERE id > 10")
        there("restore", *words, "--from-s3", "--force", "--no-pre-backup", "--drop-replaced")
        assert small.fingerprints() == before
    small.query("DROP TABLE t")
    result = subprocess.run([ROOT / "scripts/restore-database.sh", key, "--from-s3", "--force"], check=False, text=True,
                            env=there.environment({"OPSTOWER": runner.binary()}), cwd=there.folder, capture_output=True)
    assert result.returncode == 0, result.stderr
    assert small.fingerprints() == before
    assert copies(there) == {"local": "present", "s3": "pending"}, "the pre-restore backup is uploaded by the next run"


def test_one_table_fetches_its_share_only(there, s3, bucket, server, filled):
    there("backup")
    size = len(s3.objects(bucket)[dump_key(s3, bucket)])
    result = there("restore", "latest", "--from-s3", "--table", "public.small")
    number, unit = re.search(r"Fetched from S3: ([0-9.]+)([KM]?)B", result.stdout).groups()
    fetched = float(number) * {"": 1, "K": 1024, "M": 1024 ** 2}[unit]
    share = float(re.search(r"Read ([0-9.]+)KB of the backup's", result.stdout)[1]) * 1024
    # besides its share: the beginning, the trailer and the contents, which do not grow with the rows
    assert share < size * 0.02 and fetched < share * 1.02 + 24 * 1024
    schema = re.search(r'into "(recovered_\w+)"', result.stdout)[1]
    rows = server.query(f"SELECT count(*), sum(hashtext(t::text)) FROM {schema}.small t", dbname=filled)
    assert rows == server.query("SELECT count(*), sum(hashtext(t::text)) FROM small t", dbname=filled)
    server.query(f"DROP SCHEMA {schema} CASCADE", dbname=filled)


@pytest.mark.parametrize("name", ["with space", "plus+sign", "percent%41", "ünïcode", 'quote"d', "a/b", "Üppig 100% + more"])
def test_odd_names_make_good_keys(there, s3, bucket, db, name):
    made = db(name=name)
    made.query("CREATE TABLE t AS SELECT 1 AS x")
    there.env["DATABASE_URL"] = made.url
    there("backup")
    assert copies(there) == {"local": "present", "s3": "present"}
    there("verify", "latest", "--from-s3")
    made.query("DROP TABLE t")
    there("restore", entries(there)[0]["id"], "--from-s3", "--force", "--no-pre-backup")
    assert made.value("SELECT x FROM t") == 1
    assert s3.unfinished_uploads(bucket) == []


# ---- how it is stored ------------------------------------------------------------------------------------------------

def test_class_tags_and_sidecars(there, small, s3, bucket):
    there("backup", "--type", "pre-deployment", "--tag", "v2;x")
    client, key = s3.client(), dump_key(s3, bucket)
    head = client.head_object(Bucket=bucket, Key=key)
    assert head["StorageClass"] == "STANDARD_IA" and head["ContentType"] == "application/gzip"
    for each in s3.backups(bucket):
        tags = {tag["Key"]: tag["Value"] for tag in client.get_object_tagging(Bucket=bucket, Key=each)["TagSet"]}
        assert tags == {"database": small.name, "type": "pre-deployment", "tag": "v2_x", "hold": "no"}, each
    stem = key.removesuffix(".sql.gz")
    assert sorted(s3.backups(bucket)) == [stem + ".globals.sql", stem + ".meta.json", key]
    (backup,) = backups.all_of(there)
    assert json.loads(s3.objects(bucket)[stem + ".meta.json"]) == backup.meta
    assert backup.meta["s3"]["state"] == "uploaded" and backup.meta["s3"]["etag"] == head["ETag"]


def test_kms(there, small, s3, bucket):
    there("backup", env={"BACKUP_S3_SSE": "aws:kms", "BACKUP_S3_KMS_KEY_ID": "testkey-1"})
    head = s3.client().head_object(Bucket=bucket, Key=dump_key(s3, bucket))
    assert head["ServerSideEncryption"] == "aws:kms" and head["SSEKMSKeyId"] == "testkey-1"
    there("verify", "latest", "--from-s3", env={"BACKUP_S3_SSE": "aws:kms"})
    result = there("verify", "latest", "--from-s3", check=16)
    assert check_of(result, "S3 backup verification") == "FAIL" and "BACKUP_S3_SSE asks for AES256" in result.stderr
    result = there("backup", env={"BACKUP_S3_SSE": "aws:kms", "BACKUP_S3_KMS_KEY_ID": "no-such-key"}, check=15)
    assert "[ERROR] Failed to upload backup to S3" in result.stderr


@pytest.mark.parametrize("kind, days", [("hourly", 7), ("pre-deployment", 180), ("monthly", 365)])
def test_object_lock(there, small, s3, kind, days):
    if "locked-for-tests" not in [each["Name"] for each in s3.client().list_buckets()["Buckets"]]:
        s3.make_bucket("locked-for-tests", object_lock=True)
    there("backup", "--type", kind, env={"BACKUP_S3_BUCKET": "locked-for-tests", "BACKUP_S3_OBJECT_LOCK": "governance",
                         "BACKUP_S3_RETENTION_DAYS": "7"})
    client = s3.client()
    for key in s3.backups("locked-for-tests"):
        held = client.get_object_retention(Bucket="locked-for-tests", Key=key)["Retention"]
        left = held["RetainUntilDate"] - datetime.datetime.now(datetime.timezone.utc)
        assert held["Mode"] == "GOVERNANCE" and days - 0.1 < left.total_seconds() / 86400 < days + 0.01
    s3.empty("locked-for-tests")


def test_an_archived_object_is_recognised_and_explained(there, small, s3, bucket):
    there("backup", env={"BACKUP_S3_STORAGE_CLASS": "GLACIER"})
    for words in (["verify", "latest"], ["restore", "latest", "--force"], ["restore", "latest", "--table", "public.t"]):
        result = there(*words, "--from-s3", check=12)
        assert "is archived (GLACIER)" in result.stderr and "restore-object" in result.stderr
    assert entries(there)[0]["copies"][1]["storage_class"] == "GLACIER"
    there("verify", "latest")


def test_s3_only_needs_no_file(there, s3, bucket):
    result = there("backup", "--s3-only", "--json")
    made = json.loads(result.stdout)
    assert "file" not in made and made["s3"] == f"s3://{bucket}/{dump_key(s3, bucket)}"
    assert [name for name in os.listdir(there.backup_dir) if not name.endswith((".log", ".lock", ".jsonl"))] == []
    assert copies(there) == {"s3": "present"} and entries(there)[0]["state"] == "verified"
    assert "-" in s3.client().head_object(Bucket=bucket, Key=dump_key(s3, bucket))["ETag"], "it came in parts"
    there("verify", "latest", "--from-s3", "--full-test")


# ---- others' tools ---------------------------------------------------------------------------------------------------

def test_others_read_what_we_wrote(there, small, s3, bucket, db, folder):
    there("backup")
    key, target = dump_key(s3, bucket), pathlib.Path(folder) / "got.sql.gz"
    env = {**there.environment(), "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    subprocess.run(["aws", "s3", "cp", "--endpoint-url", s3.endpoint, "--only-show-errors", f"s3://{bucket}/{key}", target],
                   check=True, env=env, capture_output=True)
    config = pathlib.Path(folder) / "s3cfg"
    config.write_text(f"[default]\naccess_key = {s3.access_key}\nsecret_key = {s3.secret_key}\nhost_base = 127.0.0.1:{s3.port}\n"
                      f"host_bucket = 127.0.0.1:{s3.port}\nuse_https = False\n", encoding="utf-8")
    got = subprocess.run(["s3cmd", "-c", config, "--quiet", "get", f"s3://{bucket}/{key}", "-"], check=True,
                         capture_output=True).stdout
    assert got == target.read_bytes() == s3.objects(bucket)[key]
    other = db()
    other.psql(input=gzip.decompress(got))
    assert other.fingerprints() == small.fingerprints()


def test_what_aws_s3_cp_uploaded_is_ours_too(there, small, s3, bucket, folder):
    there("backup", "--local-only")
    (mine,) = backups.all_of(there)
    plain = pathlib.Path(folder) / "plain.sql.gz"
    plain.write_bytes(gzip.compress(subprocess.run([backups.program("pg_dump"), "-d", small.url], check=True,
                                                   capture_output=True).stdout))
    env = {**there.environment(), "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    names = {f"{small.name}_20260102_030405": plain, mine.id: mine.path}
    for name, path in names.items():
        subprocess.run(["aws", "s3", "cp", "--endpoint-url", s3.endpoint, "--only-show-errors", path,
                        f"s3://{bucket}/database/{name[-15:-7]}/{name}.sql.gz"], check=True, env=env, capture_output=True)
    listed = {each["id"]: {c["place"]: c["state"] for c in each["copies"]} for each in entries(there)}
    assert listed == {f"{small.name}_20260102_030405": {"s3": "no metadata"}, mine.id: {"local": "present", "s3": "no metadata"}}
    before = small.fingerprints()
    for name in names:
        result = there("verify", f"database/{name[-15:-7]}/{name}.sql.gz", "--from-s3")
        assert "whole as far as it can show" in result.stdout or name == mine.id
        small.query("DELETE FROM t")
        there("restore", name, "--from-s3", "--force", "--no-pre-backup", "--drop-replaced")
        assert small.fingerprints() == before


# ---- when S3 is not there --------------------------------------------------------------------------------------------

def test_a_failed_upload_leaves_a_good_backup_that_is_uploaded_later(there, small, s3, bucket):
    down = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    result = there("backup", env=down, check=15)
    assert len(backups.error_lines(result)) == 1
    assert "[ERROR] Failed to upload backup to S3: " in result.stderr and "127.0.0.1:9" in result.stderr
    (first,) = backups.all_of(there)
    first.assert_whole()
    assert copies(there) == {"local": "present", "s3": "pending"}
    result = there("verify", "latest", check=15)
    assert check_of(result, "S3 backup verification") == "FAIL" and first.meta["state"] == "verified"
    there("backup", "--local-only")
    result = there("backup")
    assert f"Uploading backup {first.id} to S3" in result.stdout
    states = [sorted(c["place"] for c in each["copies"]) for each in entries(there)]
    assert states == [["local", "s3"], ["local"], ["local", "s3"]]
    assert there("sync").stdout.endswith("0 backups uploaded to S3\n")
    assert there("sync", "--all").stdout.endswith("1 backup uploaded to S3\n")
    for key in list(s3.objects(bucket)):
        if first.id in key:
            s3.client().delete_object(Bucket=bucket, Key=key)
    assert {c["place"]: c["state"] for c in entries(there)[-1]["copies"]} == {"local": "present", "s3": "missing"}
    assert there("sync").stdout.endswith("1 backup uploaded to S3\n")
    there("verify", first.id, "--from-s3")


def test_s3_only_without_s3_leaves_nothing(there, small):
    result = there("backup", "--s3-only", env={"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, check=16)
    assert len(backups.error_lines(result)) == 1 and backups.all_of(there) == []


def test_sync_does_not_upload_what_was_damaged_since(there, small, s3, bucket):
    there("backup", env={"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, check=15)
    (backup,) = backups.all_of(there)
    data = bytearray(backup.path.read_bytes())
    data[len(data) // 2] ^= 1
    backup.path.write_bytes(data)
    result = there("sync", check=15)
    assert "its SHA-256 is another" in result.stderr and s3.backups(bucket) == {}


def test_the_list_without_s3(there, small):
    there("backup")
    down = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    result = there("list", env=down, check=16)
    assert "uploaded" not in result.stdout and "local, s3" in result.stdout and "the list lacks what is in S3" in result.stderr
    assert there("list", "--local-only", env=down).stderr == ""


@pytest.mark.parametrize("mode", [[], ["--s3-only"]])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_upload_leaves_nothing_for_long(there, s3, bucket, mode, how):
    for _ in range(10):     # it may be done before we have seen that it began
        process = there.popen("backup", *mode, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not s3.unfinished_uploads(bucket) and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(how)
        process.wait(30)
        if process.returncode != 0:
            break
        s3.empty(bucket)
    assert process.returncode == (130 if how == signal.SIGINT else -9)
    if how == signal.SIGINT:
        assert s3.unfinished_uploads(bucket) == []
    left = [key for key in s3.backups(bucket) if how == signal.SIGINT or not key.endswith(".reserved")]
    assert left == []
    there("backup", *mode)
    assert s3.unfinished_uploads(bucket) == [] and not [key for key in s3.backups(bucket) if key.endswith(".reserved")]
    assert backups.unfinished(there) == [] and not [n for n in os.listdir(there.backup_dir) if n.endswith(".uploading")]


# ---- verification in S3 ----------------------------------------------------------------------------------------------

def cut(s3, bucket, key):
    s3.client().put_object(Bucket=bucket, Key=key, Body=s3.objects(bucket)[key][:-100])


def flip(s3, bucket, key):
    data = bytearray(s3.objects(bucket)[key])
    data[len(data) // 2] ^= 1
    s3.client().put_object(Bucket=bucket, Key=key, Body=bytes(data))


def drop_meta(s3, bucket, key):
    s3.client().delete_object(Bucket=bucket, Key=key.replace(".sql.gz", ".meta.json"))


def drop_dump(s3, bucket, key):
    s3.client().delete_object(Bucket=bucket, Key=key)


@pytest.mark.parametrize("damage, code_from_s3, code_here, state", [
    (cut, 8, 8, "wrong size"), (flip, 8, 0, "failed"), (drop_meta, 0, 10, "no metadata"), (drop_dump, 10, 10, "missing")])
def test_a_bad_copy_is_noticed(there, small, s3, bucket, damage, code_from_s3, code_here, state):
    there("backup")
    key = dump_key(s3, bucket)
    damage(s3, bucket, key)
    result = there("verify", "latest", check=code_here)
    assert check_of(result, "S3 backup verification") == ("FAIL" if code_here else "PASS")
    there("verify", key, "--from-s3", check=code_from_s3)
    assert copies(there)["s3"] == state
    (backup,) = backups.all_of(there)
    assert backup.meta["state"] == "verified", "the file here is as good as ever"
    if damage in (cut, flip):
        result = there("restore", key, "--from-s3", "--force", check=False)
        assert result.returncode in (8, 9, 11) and small.value("SELECT count(*) FROM t") == 500


def test_versioning_is_a_check(there, small, s3, bucket):
    there("backup")
    assert check_of(there("verify", "latest"), "S3 bucket versioning") == "WARN"
    s3.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert check_of(there("verify", "latest"), "S3 bucket versioning") == "PASS"


# ---- credentials and secrets -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("env, code, words", [
    ({"AWS_SECRET_ACCESS_KEY": "wrong-secret-of-mine"}, 16, "403"),
    ({"AWS_ACCESS_KEY_ID": "NOSUCHKEY00000000000"}, 16, "403"),
    ({"AWS_SECRET_ACCESS_KEY": None}, 3, "AWS_SECRET_ACCESS_KEY"),
    ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, 3, "no AWS credentials"),
    ({"AWS_PROFILE": "other", "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, 3, "other"),
    ({"BACKUP_S3_BUCKET": "no-such-bucket-here"}, 16, "NoSuchBucket"),
    ({"BACKUP_S3_BUCKET": "s3://x"}, 2, "not a bucket's name"),
    ({"AWS_ENDPOINT_URL_S3": "http://192.0.2.1"}, 2, "plain http"),
    ({"AWS_ENDPOINT_URL_S3": "192.0.2.1"}, 2, "not a URL"),
])
def test_what_is_wrong_is_said(there, small, env, code, words):
    result = there("list", env=env, check=code)
    assert len(backups.error_lines(result)) == 1 and words in result.stderr
    assert "wrong-secret-of-mine" not in result.output


def test_other_sources_of_credentials(there, small, s3, folder):
    none = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    there("backup", env=s3.session_credentials())
    files = pathlib.Path(folder) / "home" / ".aws"
    files.mkdir()
    (files / "credentials").write_text(f"[ops]\naws_access_key_id = {s3.access_key}\n"
                                       f"aws_secret_access_key = {s3.secret_key}\n", encoding="utf-8")
    there("verify", "latest", "--from-s3", env={**none, "AWS_PROFILE": "ops"})


def test_untrusted_certificate_and_old_tls(there, small, s3, bucket):
    there.env.update(s3.environment(bucket, s3.endpoint_tls))
    assert "certificate" in there("list", env={"AWS_CA_BUNDLE": None}, check=16).stderr
    there("list")


@pytest.mark.alone
def test_memory_stays_bounded(there, s3, bucket):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = there.popen("backup", env={"BACKUP_S3_PART_SIZE": None}, **quiet)
    peak_kib = 0    # wait4 would count us too: the memory of who forked
    while process.poll() is None:
        try:
            text = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        except OSError:
            continue
        peak_kib = max(peak_kib, *map(int, re.findall(r"^VmHWM:\s+(\d+) kB", text, re.M)), 0)
    assert process.returncode == 0 and peak_kib > 1024
    assert peak_kib < 128 * 1024 or runner.is_sanitized()
