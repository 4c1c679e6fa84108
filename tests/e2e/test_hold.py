"""Holds: noted here and in S3, tag and legal hold, what is pending and comes later, and what is refused."""
import datetime
import fcntl
import json
import pathlib
import shutil
import subprocess
import uuid

import botocore.exceptions
import pytest

from lib import backups

TABLE = "CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t SELECT g, md5(g::text) FROM generate_series(1, 200) g"


@pytest.fixture
def small(opstower, db):
    made = db()
    made.query(TABLE)
    opstower.env["DATABASE_URL"] = made.url
    return made


@pytest.fixture
def there(opstower, small, s3, bucket):
    """opstower with a bucket that has no Object Lock."""
    opstower.env.update(s3.environment(bucket), BACKUP_S3_RETRY_TIME="2", BACKUP_S3_TIMEOUT="5",
                        BACKUP_MONTHLY_ARCHIVE="false")
    return opstower


@pytest.fixture
def locked(s3):
    """A bucket with Object Lock."""
    name = f"locked-{uuid.uuid4().hex[:10]}"
    s3.make_bucket(name, object_lock=True)
    yield name
    client = s3.client()
    for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
        for each in page.get("Versions", []):
            client.put_object_legal_hold(Bucket=name, Key=each["Key"], VersionId=each["VersionId"], LegalHold={"Status": "OFF"})
    s3.empty(name)


def journal(opstower, act):
    lines = (pathlib.Path(opstower.backup_dir) / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["act"] == act]


def held(opstower, *words, **options):
    return json.loads(opstower("hold", "list", "--json", *words, **options).stdout)


def objects(s3, bucket):
    """Those of backups: without the monthly archive and the journal."""
    return {key: text for key, text in s3.objects(bucket).items() if key.split("/")[1].isdigit()}


def keys(s3, bucket):
    """{ending: key} of the one backup in the bucket."""
    return {"." + key.split(".", 1)[1]: key for key in objects(s3, bucket)}


def tags(s3, bucket):
    """{ending: {tag: value}}"""
    client = s3.client()
    return {ending: {tag["Key"]: tag["Value"] for tag in client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}
            for ending, key in keys(s3, bucket).items()}


def hold_tags(s3, bucket):
    return {each["hold"] for each in tags(s3, bucket).values()}


def legal_hold(s3, bucket, ending=".sql.gz"):
    try:
        found = s3.client().get_object_legal_hold(Bucket=bucket, Key=keys(s3, bucket)[ending])
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return found["LegalHold"]["Status"]


def meta_there(s3, bucket):
    return json.loads(s3.objects(bucket)[keys(s3, bucket)[".meta.json"]])


# ---- on this machine -------------------------------------------------------------------------------------------------

def test_add_list_remove(opstower, small):
    backup = backups.take(opstower, small)
    before = backup.meta
    result = opstower("hold", "add", "latest", "--reason", 'audit "2026", case 1', "--until", "2126-12-31")
    assert f'[INFO] Backup {backup.id} is held until 2126-12-31T23:59:59+00:00 (audit "2026", case 1)\n' in result.stdout
    hold = backup.meta["hold"]
    assert (hold["reason"], hold["until"]) == ('audit "2026", case 1', "2126-12-31T23:59:59+00:00")
    assert "@" in hold["by"] and abs(datetime.datetime.fromisoformat(hold["since"]).timestamp() -
                                     datetime.datetime.now().timestamp()) < 60
    assert {**backup.meta, "hold": None} == before, "nothing else is changed"
    (listed,) = held(opstower)
    assert listed["id"] == backup.id and listed["active"] and not listed["s3_pending"] and listed["reason"] == hold["reason"]
    shown = opstower("hold", "list").stdout
    assert backup.id in shown and "2126-12-31T23:59:59+00:00" in shown and 'audit "2026", case 1' in shown
    assert ", held " in opstower("list").stdout
    assert json.loads(opstower("list", "--json").stdout)[0]["hold"] == {**hold, "active": True}
    (line,) = journal(opstower, "hold-add")
    assert (line["result"], line["id"], line["reason"], line["until"]) == ("ok", backup.id, hold["reason"], hold["until"])

    result = opstower("hold", "add", backup.id, "--reason", "longer")
    assert "Replaces the hold until 2126-12-31" in result.stdout and "is held without an end (longer)" in result.stdout
    assert backup.meta["hold"]["until"] is None
    assert journal(opstower, "hold-add")[1]["replaced"]["until"] == hold["until"]

    result = opstower("hold", "remove", backup.path)
    assert f"Backup {backup.id} is not held" in result.stdout and backup.meta == before
    (line,) = journal(opstower, "hold-remove")
    assert (line["result"], line["id"], line["reason"], line["until"]) == ("ok", backup.id, "longer", None)
    assert held(opstower) == [] and "No backup is held" in opstower("hold", "list").stdout
    opstower("hold", "remove", backup.id)
    backup.assert_whole()


def test_an_ended_hold_is_shown_as_ended(opstower, small):
    backup = backups.take(opstower, small)
    opstower("hold", "add", backup.id, "--reason", "short", "--until", "2126-01-01")
    path = backup.beside(".meta.json")
    for until, active in (("2020-01-01T00:00:00Z", False), ("soon", True)):
        path.write_text(json.dumps({**backup.meta, "hold": {"reason": "short", "until": until}}), encoding="utf-8")
        (listed,) = held(opstower)
        assert listed["active"] is active and listed["state"] == ("held" if active else "ended")
        assert (", held " in opstower("list").stdout) is active
        assert (", hold ended " in opstower("list").stdout) is not active


@pytest.mark.parametrize("words, code, part", [
    (["add", "latest"], 2, "a hold needs its reason"),
    (["add", "latest", "--reason", ""], 2, "--reason"),
    (["add", "latest", "--reason", "  "], 2, "the reason is empty"),
    (["add", "latest", "--reason", "a\nb"], 2, "control character"),
    (["add", "latest", "--reason", "r" * 501], 2, "501 bytes; at most 500"),
    (["add", "latest", "--reason", "r", "--until", "2020-01-01"], 2, "has passed"),
    (["add", "latest", "--reason", "r", "--until", "next week"], 2, "2027-12-31"),
    (["add", "latest", "--reason", "r", "--until", "2027-02-30"], 2, "2027-02-30"),
    (["add", "--reason", "r"], 2, "which backup?"),
    (["add", "x_20200101_000000", "--reason", "r"], 10, "x_20200101_000000"),
    (["ad", "latest", "--reason", "r"], 2, "did you mean add"),
    (["remove", "latest", "--reason", "r"], 2, "hold add"),
    (["remove"], 2, "which backup?"),
    (["list", "latest"], 2, "takes no backup"),
    (["add", "latest", "--reason", "r", "--from-s3"], 2, "BACKUP_S3_BUCKET"),
    ([], 2, "a word is missing"),
])
def test_wrong_use_changes_nothing(opstower, small, words, code, part):
    backup = backups.take(opstower, small)
    before = backup.beside(".meta.json").read_bytes()
    result = opstower("hold", *words, check=code)
    assert part in result.stderr and result.stderr.count("[ERROR]") == 1
    assert backup.beside(".meta.json").read_bytes() == before


def test_backups_without_metadata_are_refused(opstower, small, folder):
    backup = backups.take(opstower, small)
    backup.beside(".meta.json").unlink()
    result = opstower("hold", "add", "latest", "--reason", "r", check=12)
    assert "has no metadata" in result.stderr and "chattr" in result.stderr
    other = pathlib.Path(folder) / "other.sql.gz"
    other.write_bytes(backup.path.read_bytes())
    assert "is not named as a backup" in opstower("hold", "add", other, "--reason", "r", check=12).stderr
    (failed, _) = journal(opstower, "hold-add")
    assert failed["result"] == "failed" and failed["code"] == 12


def test_metadata_that_cannot_be_written_is_no_hold(opstower, small):
    backup = backups.take(opstower, small)
    backup.beside(".meta.json").write_text("{", encoding="utf-8")
    result = opstower("hold", "add", "latest", "--reason", "r", check=8)
    assert "is not valid JSON" in result.stderr


def test_secrets_do_not_get_into_the_reason(opstower, small):
    backup = backups.take(opstower, small)
    opstower("hold", "add", "latest", "--reason", "the password is hunter22", env={"DATABASE_PASSWORD": "hunter22"})
    assert backup.meta["hold"]["reason"] == "the password is ***"


# ---- in S3 -----------------------------------------------------------------------------------------------------------

def test_a_bucket_without_object_lock(there, small, s3, bucket):
    there("backup", "--tag", "v1")
    (backup,) = backups.all_of(there)
    before = tags(s3, bucket)
    assert hold_tags(s3, bucket) == {"no"}
    result = there("hold", "add", "latest", "--reason", "audit", "--until", "2126-01-01", "--json")
    answer = json.loads(result.stdout)
    assert answer["here"] and answer["s3"] and not answer["legal_hold"] and answer["id"] == backup.id
    assert tags(s3, bucket) == {ending: {**each, "hold": "yes"} for ending, each in before.items()}
    assert meta_there(s3, bucket) == backup.meta and backup.meta["s3"]["hold"] == "yes"
    assert backup.meta["hold"]["reason"] == "audit"
    stamp = backup.beside(".meta.json").stat().st_mtime_ns
    assert "0 backups uploaded" in there("sync").stdout and backup.beside(".meta.json").stat().st_mtime_ns == stamp
    assert "In S3: tagged hold=no" in there("hold", "remove", "latest").stdout
    assert tags(s3, bucket) == before and meta_there(s3, bucket) == backup.meta and backup.meta["hold"] is None


def test_a_bucket_with_object_lock(there, small, s3, locked):
    there.env["BACKUP_S3_BUCKET"] = locked
    there("backup")
    (backup,) = backups.all_of(there)
    client = s3.client()
    result = there("hold", "add", "latest", "--reason", "court")
    assert "In S3: tagged hold=yes, legal hold on" in result.stdout
    assert [legal_hold(s3, locked, ending) for ending in (".sql.gz", ".globals.sql")] == ["ON", "ON"]
    assert hold_tags(s3, locked) == {"yes"} and meta_there(s3, locked)["hold"]["reason"] == "court"
    key = keys(s3, locked)[".sql.gz"]
    version = client.head_object(Bucket=locked, Key=key)["VersionId"]
    with pytest.raises(botocore.exceptions.ClientError):
        client.delete_object(Bucket=locked, Key=key, VersionId=version, BypassGovernanceRetention=True)
    there("verify", "latest", "--from-s3")
    there("hold", "add", "latest", "--reason", "court", "--until", "2126-01-01")
    assert "legal hold off" in there("hold", "remove", "latest").stdout
    assert [legal_hold(s3, locked, ending) for ending in (".sql.gz", ".globals.sql")] == ["OFF", "OFF"]
    versions = client.list_object_versions(Bucket=locked)["Versions"]
    assert {client.head_object(Bucket=locked, Key=each["Key"], VersionId=each["VersionId"])
            .get("ObjectLockLegalHoldStatus", "OFF") for each in versions} == {"OFF"}, "no old version stays held"
    client.delete_object(Bucket=locked, Key=key, VersionId=version)
    assert backup.meta["hold"] is None


@pytest.mark.parametrize("lock", [False, True])
def test_held_before_its_upload(there, small, s3, bucket, locked, lock):
    name = locked if lock else bucket
    there.env["BACKUP_S3_BUCKET"] = name
    there("backup", env={"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, check=15)
    result = there("hold", "add", "latest", "--reason", "early")
    assert "still to be uploaded, and will be held" in result.stdout
    assert objects(s3, name) == {}
    there("sync")
    (backup,) = backups.all_of(there)
    assert hold_tags(s3, name) == {"yes"} and meta_there(s3, name)["hold"]["reason"] == "early"
    assert backup.meta["s3"]["hold"] == "yes" and backup.meta["s3"]["state"] == "uploaded"
    if lock:
        assert [legal_hold(s3, name, ending) for ending in (".sql.gz", ".globals.sql")] == ["ON", "ON"]
    assert held(there)[0]["state"] == "held"


@pytest.mark.parametrize("again", ["sync", "hold add", "backup"])
def test_s3_does_not_answer(there, small, s3, bucket, again):
    there("backup")
    (backup,) = backups.all_of(there)
    result = there("hold", "add", "latest", "--reason", "now", env={"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, check=15)
    assert "is noted on this machine, but not yet in S3" in result.stderr and "opstower sync" in result.stderr
    assert backup.meta["hold"]["reason"] == "now" and backup.meta["s3"]["hold"] == "pending"
    assert hold_tags(s3, bucket) == {"no"} and meta_there(s3, bucket).get("hold") is None
    assert held(there)[0]["state"] == "held; in S3 still pending"
    (line,) = journal(there, "hold-add")
    assert line["result"] == "failed" and line["code"] == 15 and line["here"] and not line["s3"]
    if again == "hold add":
        there("hold", "add", "latest", "--reason", "now")
    elif again == "sync":
        assert "is now held in S3 too" in there("sync").stdout
    else:
        there("backup", "--local-only")
        assert backup.meta["s3"]["hold"] == "pending"
        there("backup")
    assert backup.meta["s3"]["hold"] == "yes"
    stem = f"database/{backup.timestamp[:8]}/{backup.id}"
    found_there = s3.objects(bucket, stem)
    assert json.loads(found_there[stem + ".meta.json"])["hold"]["reason"] == "now" and len(found_there) == 3
    for key in found_there:
        found = s3.client().get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
        assert {"Key": "hold", "Value": "yes"} in found


def test_removed_while_s3_is_away(there, small, s3, bucket):
    there("backup")
    there("hold", "add", "latest", "--reason", "x")
    result = there("hold", "remove", "latest", env={"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, check=15)
    assert "is removed on this machine, but not yet in S3" in result.stderr
    assert held(there)[0]["state"] == "removed; in S3 still pending" and hold_tags(s3, bucket) == {"yes"}
    there("sync")
    assert hold_tags(s3, bucket) == {"no"} and meta_there(s3, bucket)["hold"] is None and held(there) == []


def test_an_ended_hold_is_let_go_in_s3(there, small, s3, locked):
    there.env["BACKUP_S3_BUCKET"] = locked
    there("backup")
    there("hold", "add", "latest", "--reason", "x", "--until", "2126-01-01")
    (backup,) = backups.all_of(there)
    ended = {**backup.meta, "hold": {**backup.meta["hold"], "until": "2020-01-01T00:00:00Z"}}
    backup.beside(".meta.json").write_text(json.dumps(ended), encoding="utf-8")
    assert held(there)[0]["state"] == "ended; in S3 still held" and legal_hold(s3, locked) == "ON"
    assert "is no longer held in S3" in there("sync").stdout
    assert legal_hold(s3, locked) == "OFF" and hold_tags(s3, locked) == {"no"}
    assert held(there)[0]["state"] == "ended"


@pytest.mark.parametrize("how", ["id", "key", "id, --from-s3", "latest"])
def test_a_backup_that_is_in_s3_only(there, small, s3, bucket, how):
    there("backup")
    (backup,) = backups.all_of(there)
    shutil.rmtree(there.backup_dir)
    key = keys(s3, bucket)[".sql.gz"]
    words = {"id": [backup.id], "key": [key, "--from-s3"], "id, --from-s3": [backup.id, "--from-s3"], "latest": ["latest"]}[how]
    there("list")
    pathlib.Path(there.backup_dir).mkdir()
    there("hold", "add", *words, "--reason", "far away")
    assert meta_there(s3, bucket)["hold"]["reason"] == "far away" and hold_tags(s3, bucket) == {"yes"}
    assert held(there)[0]["reason"] == "far away"
    result = there("hold", "remove", *words, env={"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, check=16)
    assert result.stderr.count("[ERROR]") == 1
    there("hold", "remove", *words)
    assert meta_there(s3, bucket)["hold"] is None and hold_tags(s3, bucket) == {"no"}


def test_named_by_its_key_it_is_held_here_too(there, small, s3, bucket):
    there("backup")
    (backup,) = backups.all_of(there)
    there("hold", "add", keys(s3, bucket)[".sql.gz"], "--from-s3", "--reason", "both")
    assert backup.meta["hold"]["reason"] == "both" and meta_there(s3, bucket)["hold"]["reason"] == "both"


def test_a_foreign_object_is_refused(there, small, s3, bucket):
    there("backup", "--s3-only")
    s3.client().delete_object(Bucket=bucket, Key=keys(s3, bucket)[".meta.json"])
    assert "has no metadata" in there("hold", "add", "latest", "--reason", "x", check=12).stderr
    assert tags(s3, bucket)[".sql.gz"]["hold"] == "no"


def test_the_monthly_archive_is_held_for_itself(there, small, s3, bucket):
    there("backup", env={"BACKUP_MONTHLY_ARCHIVE": "true"})
    (backup,) = backups.all_of(there)
    before = backup.meta
    (archive,) = [key for key in s3.objects(bucket) if "/monthly/" in key and key.endswith(".sql.gz")]
    there("hold", "add", archive, "--from-s3", "--reason", "books")
    meta = json.loads(s3.objects(bucket)[archive.replace(".sql.gz", ".meta.json")])
    assert (meta["hold"]["reason"], meta["type"]) == ("books", "monthly")
    found = s3.client().get_object_tagging(Bucket=bucket, Key=archive)["TagSet"]
    assert {"Key": "hold", "Value": "yes"} in found and {"Key": "type", "Value": "monthly"} in found
    assert backup.meta == before and hold_tags(s3, bucket) == {"no"}


def test_no_such_backup_anywhere(there, small):
    result = there("hold", "add", f"{small.name}_20200101_000000", "--reason", "x", check=10)
    assert "there is no backup" in result.stderr
    assert there("hold", "add", "nonsense", "--reason", "x", check=10).stderr.count("[ERROR]") == 1


def test_copy_in_s3_is_gone(there, small, s3, bucket):
    there("backup")
    there("hold", "add", "latest", "--reason", "x")
    (backup,) = backups.all_of(there)
    s3.empty(bucket)
    assert "The copy in S3 is gone" in there("hold", "add", "latest", "--reason", "y").stderr
    assert "is gone" in there("backup").stderr, "a copy that is gone does not make every backup fail"
    there("sync")
    stem = f"database/{backup.timestamp[:8]}/{backup.id}"
    assert json.loads(s3.objects(bucket)[stem + ".meta.json"])["hold"]["reason"] == "y"


def test_longstop_does_not_reach_what_is_held(there, s3, bucket):
    there("bucket", "setup", env={"BACKUP_S3_LONGSTOP_DAYS": "400"})
    rules = s3.client().get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    (rule,) = [rule for rule in rules if rule["ID"].startswith("opstower-longstop")]
    assert {"Key": "hold", "Value": "no"} in rule["Filter"]["And"]["Tags"]


def test_policy_names_what_holds_need(there):
    policy = json.loads(there("bucket", "policy").stdout)
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert {"s3:PutObjectLegalHold", "s3:GetObjectTagging", "s3:PutObjectTagging",
            "s3:GetBucketObjectLockConfiguration"} <= actions


# ---- against deletion ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("deleted", [True, False])
def test_a_hold_and_a_deletion_exclude_each_other(opstower, small, deleted):
    """A deletion that has begun (it holds the .inuse file alone) is waited for: what it took is not held."""
    backup = backups.take(opstower, small)
    with open(backup.path.parent / f".{backup.id}.inuse", "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        holding = opstower.popen("hold", "add", backup.id, "--reason", "court")
        with pytest.raises(subprocess.TimeoutExpired):
            holding.wait(timeout=0.5)
        assert backup.meta["hold"] is None
        if deleted:
            backup.path.unlink()
            backup.beside(".meta.json").unlink()
    output = b"".join(holding.communicate(timeout=60))
    if deleted:
        assert holding.returncode == 10 and b"was deleted a moment ago" in output, output
    else:
        assert holding.returncode == 0 and backup.meta["hold"]["reason"] == "court", output
