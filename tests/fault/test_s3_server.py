"""The S3 server itself fails or refuses in the middle: quota, suspended user, expired token, killed server; and servers
that take no checksums, or store something else than was sent.

A server of its own: what happens to it must not happen to other tests' buckets.
"""
import json
import re
import threading
import time

import pytest

from conftest import create_database, drop_databases
from lib import backups, faultproxy, s3server

TABLES = """
CREATE TABLE a (id int PRIMARY KEY, t text);
INSERT INTO a SELECT g, (SELECT string_agg(md5(g::text || i::text), '') FROM generate_series(1, 8) i)
  FROM generate_series(1, 90000) g;
CREATE TABLE b AS SELECT g AS x FROM generate_series(1, 1000) g;
"""


@pytest.fixture(scope="module")
def own():
    with s3server.S3Server() as started:
        yield started


@pytest.fixture(scope="module")
def source(server):
    made = create_database(server, "s3_server")
    made.query(TABLES)
    yield made
    drop_databases(server, made.name)


@pytest.fixture
def bucket(own, request):
    name = "t-" + re.sub(r"\W|_", "-", request.node.name.split("@")[0].lower())[-50:].strip("-")
    own.make_bucket(name)
    yield name
    own.empty(name)


@pytest.fixture
def proxy(own):
    with faultproxy.FaultProxy(own.port) as running:
        yield running


@pytest.fixture
def there(opstower, own, source, bucket, proxy):
    """A backup of some 14 MB takes three parts of 5 MB."""
    opstower.env.update(own.environment(bucket, proxy.endpoint), DATABASE_URL=source.url, BACKUP_S3_RETRY_TIME="2",
                        BACKUP_S3_TIMEOUT="3", BACKUP_S3_PART_SIZE="5", BACKUP_S3_PARALLEL="2")
    return opstower


def is_part(request, number=2):
    return f"partNumber={number}&" in request.target


def is_member(request):
    """A piece of the dump is asked for, but not its first byte: its trailer, contents or rows."""
    return request.method == "GET" and ".sql.gz" in request.target and "range" in request.headers


def when(condition, act, at=1):
    """For proxy.meet: does something once, just before the at-th such request is passed on."""
    seen = []

    def meet(request):
        if condition(request):
            seen.append(request)
            if len(seen) == at:
                act()
    meet.seen = seen
    return meet


def in_bucket(own, bucket, ending):
    return [key for key in own.objects(bucket) if key.endswith(ending)]


def assert_local_copy_only(there, result, own, bucket):
    """The backup is good here, it is not said to be in S3, and the next run brings it there."""
    (backup,) = backups.all_of(there)
    backup.assert_whole()
    assert backup.meta["s3"]["state"] == "pending" and len(backups.error_lines(result)) == 1
    assert "Failed to upload backup to S3" in result.stderr and "Backup uploaded to S3" not in result.stdout


def assert_next_run_mends(there, own, bucket):
    there("sync")
    (backup,) = backups.all_of(there)
    assert backup.meta["s3"]["state"] == "uploaded" and own.unfinished_uploads(bucket) == []
    assert [own.objects(bucket)[key] for key in in_bucket(own, bucket, ".sql.gz")] == [backup.path.read_bytes()]


REFUSALS = {"quota": (lambda own: own.quota(1024), lambda own: own.quota(None), "403 QuotaExceeded"),
            "suspended user": (lambda own: own.suspend(), lambda own: own.enable(), "403 UserSuspended")}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_backup_that_is_refused_in_the_middle(there, own, bucket, proxy, what):
    begin, end, words = REFUSALS[what]
    proxy.meet = when(is_part, lambda: begin(own))
    try:
        result = there("backup", check=15)
        requests = len(proxy.requests)
        assert proxy.meet.seen and words in result.stderr and "credentials: environment" in result.stderr, result
        assert_local_copy_only(there, result, own, bucket)
        assert requests < 15, "what was refused is not asked again and again"
        result = there("backup", "--s3-only", check=16)
        assert words in result.stderr and len(backups.error_lines(result)) == 1
    finally:
        end(own)
    assert [key for key in in_bucket(own, bucket, "") if not key.endswith(".reserved")] == []
    assert_next_run_mends(there, own, bucket)


def test_a_suspended_user_can_neither_verify_nor_restore(there, own, bucket, server, proxy):
    there("backup")
    for words in (["verify", "latest"], ["restore", "latest", "--target-db", "s3_server_not", "--force"]):
        proxy.meet = when(is_member, own.suspend, at=3)
        try:
            result = there(*words, "--from-s3", check=False)
        finally:
            own.enable()
        assert proxy.meet.seen and result.returncode == 16 and "403 UserSuspended" in result.stderr, result
        assert len(backups.error_lines(result)) == 1 and "Completed Successfully" not in result.stdout
        proxy.forget()
    assert [name for name in server.databases() if name.startswith("s3_server_not")] == []
    there("verify", "latest", "--from-s3")


def test_a_token_that_expires_in_the_middle(there, own, bucket, server, proxy):
    """Keys from the environment cannot be renewed. radosgw's tokens live too long to wait for: the proxy says it."""
    expired = []

    def meet(request):
        if is_part(request) or is_member(request):
            expired.append(request)
        return (400, "ExpiredToken") if expired else None
    proxy.meet = meet
    result = there("backup", check=15)
    assert "400 ExpiredToken" in result.stderr and "the credentials have expired: fetch new ones" in result.stderr
    assert_local_copy_only(there, result, own, bucket)
    proxy.forget()
    assert_next_run_mends(there, own, bucket)
    for words in (["verify", "latest"], ["restore", "latest", "--target-db", "s3_server_not", "--force"]):
        del expired[:]
        proxy.meet = meet
        result = there(*words, "--from-s3", check=16)
        assert "fetch new ones" in result.stderr and len(backups.error_lines(result)) == 1
        proxy.forget()
    assert [name for name in server.databases() if name.startswith("s3_server_not")] == []


@pytest.mark.parametrize("mode", [[], pytest.param(["--s3-only"], marks=pytest.mark.long)])
def test_the_server_is_killed_during_a_backup(there, own, bucket, proxy, mode):
    proxy.meet = when(is_part, lambda: own.kill("rgw"))
    result = there("backup", *mode, check=16 if mode else 15)
    assert proxy.meet.seen and len(backups.error_lines(result)) == 1
    proxy.forget()
    own.restart_rgw()
    if mode:
        assert own.unfinished_uploads(bucket) != [] and backups.all_of(there) == []
        there("backup", *mode)
        assert own.unfinished_uploads(bucket) == [] and len(in_bucket(own, bucket, ".sql.gz")) == 1
    else:
        assert_local_copy_only(there, result, own, bucket)
        assert_next_run_mends(there, own, bucket)


@pytest.mark.parametrize("words", [["verify", "latest"], ["restore", "latest", "--target-db", "s3_server_not", "--force"]])
def test_the_server_is_killed_while_it_is_read(there, own, bucket, server, proxy, words):
    there("backup")
    proxy.meet = when(is_member, lambda: own.kill("rgw"), at=4)
    result = there(*words, "--from-s3", check=16)
    assert proxy.meet.seen and len(backups.error_lines(result)) == 1 and "Completed Successfully" not in result.stdout
    assert [name for name in server.databases() if name.startswith("s3_server_not")] == []
    proxy.forget()
    own.restart_rgw()
    there("verify", "latest", "--from-s3")
    (backup,) = backups.all_of(there)
    assert backup.meta["state"] == "verified" and backup.meta["s3"]["state"] == "uploaded", "unread is not bad"


@pytest.mark.parametrize("words", [["verify", "latest"], ["restore", "latest", "--target-db", "s3_server_not", "--force"]])
def test_an_object_that_is_replaced_while_it_is_read(there, own, bucket, server, proxy, words):
    """By another one of the same size: what was read of both would fit nowhere."""
    there("backup")
    (key,) = in_bucket(own, bucket, ".sql.gz")
    other = own.objects(bucket)[key][:-1] + b"x"
    proxy.meet = when(is_member, lambda: own.client().put_object(Bucket=bucket, Key=key, Body=other),
                      at=3 if words[0] == "verify" else 6)     # a restore first looks whose backup it is
    result = there(*words, "--from-s3", check=16)
    assert "the object was replaced while it was read" in result.stderr and len(backups.error_lines(result)) == 1
    assert [name for name in server.databases() if name.startswith("s3_server_not")] == []


@pytest.mark.parametrize("words", [["verify", "latest"], ["restore", "latest", "--target-db", "s3_server_not", "--force"]])
def test_a_server_that_gives_fewer_bytes_than_were_asked_for(there, own, bucket, server, proxy, words):
    """With a length that fits what it gives: that is the server's fault, and says nothing against the copy."""
    there("backup")
    proxy.meet = lambda request: "short length" if is_member(request) else None
    result = there(*words, "--from-s3", check=16)
    assert "the server answered with other bytes than were asked for" in result.stderr, result
    assert len(backups.error_lines(result)) == 1
    assert [name for name in server.databases() if name.startswith("s3_server_not")] == []
    (backup,) = backups.all_of(there)
    assert backup.meta["state"] == "verified" and backup.meta["s3"]["state"] == "uploaded", "unread is not bad"


# ---- checksums -------------------------------------------------------------------------------------------------------

def has_checksum(headers):
    return any(name.startswith("x-amz-checksum-") for name in headers)


NO_CHECKSUMS = {"anywhere": lambda request: has_checksum(request.headers),
                "in parts": lambda request: "partNumber" in request.target and has_checksum(request.headers)}


@pytest.mark.parametrize("answer", [(501, "NotImplemented"), (400, "InvalidArgument"), (400, "InvalidRequest")])
@pytest.mark.parametrize("where", NO_CHECKSUMS)
def test_a_server_that_refuses_checksums_gets_none(there, own, bucket, proxy, where, answer):
    proxy.meet = lambda request: answer if NO_CHECKSUMS[where](request) else None
    there("backup", env={"BACKUP_S3_PARALLEL": "4"})
    (backup,) = backups.all_of(there)
    assert [own.objects(bucket)[key] for key in in_bucket(own, bucket, ".sql.gz")] == [backup.path.read_bytes()]
    with_checksums = [target for (_, target), headers in zip(proxy.requests, proxy.headers)
                      if has_checksum(headers) and (".sql.gz" in target or ".reserved" in target)]
    assert 1 <= len(with_checksums) <= (1 if where == "anywhere" else 1 + 4), "once refused, they are left out"
    assert all("x-amz-content-sha256" in headers for headers in proxy.headers)
    assert "UNSIGNED-PAYLOAD" not in {headers["x-amz-content-sha256"] for headers in proxy.headers}


def test_a_refusal_for_another_reason_stays_one(there, own, bucket, proxy):
    """Tried once without checksums, then it is an error; later requests have checksums again."""
    proxy.meet = lambda request: (400, "InvalidArgument") if is_part(request) else None
    result = there("backup", check=15)
    assert "400 InvalidArgument" in result.stderr
    tries = [has_checksum(headers) for (_, target), headers in zip(proxy.requests, proxy.headers) if "partNumber=2&" in target]
    assert tries == [True, False]
    assert_local_copy_only(there, result, own, bucket)


def test_a_refusal_for_another_reason_leaves_later_requests_their_checksums(there, own, bucket, proxy):
    """Tags are refused, which is no reason not to check what goes up after them."""
    proxy.meet = lambda request: (400, "InvalidArgument") if request.method == "PUT" and "tagging" in request.target else None
    there("bucket", "check", check=16)
    later = [has_checksum(headers) for (method, target), headers in zip(proxy.requests, proxy.headers)
             if method == "PUT" and "partNumber" in target]
    assert later != [] and all(later)


# ---- servers as they are ---------------------------------------------------------------------------------------------

def refuses(*names, answer=(501, "NotImplemented")):
    """A request that has one of these headers, or "?tagging", is refused."""
    def meet(request):
        asked = "tagging" in names and re.search(r"[?&]tagging\b", request.target)
        found = asked or any(header.startswith(name) for name in names for header in request.headers)
        return answer if found else None
    return meet


def refuses_several(request):
    """As B2, each at its own time and in its own words."""
    unsupported = [name for name in ("x-amz-checksum", "x-amz-tagging", "x-amz-storage-class") if
                   any(header.startswith(name) for header in request.headers)]
    return (400, "InvalidArgument") if unsupported else (501, "NotImplemented") if "tagging=" in request.target else None


# What is played: kind -> (which requests are refused, words of the warnings, how many)
SERVERS = {"AWS, MinIO, Ceph": (lambda request: None, []),
           "R2": (refuses("x-amz-tagging", "tagging"), ["object tags"]),
           "GCS": (refuses("x-amz-tagging", "x-amz-checksum", answer=(400, "InvalidArgument")), ["object tags", "checksums"]),
           "Garage": (refuses("tagging"), ["object tags"]),
           "B2": (refuses_several, ["object tags", "checksums", "the storage class"]),
           "Wasabi": (refuses("x-amz-storage-class", answer=(400, "InvalidStorageClass")), ["the storage class"]),
           "no conditions": (refuses("if-none-match"), ["conditional writes"]),
           "no encryption by header": (refuses("x-amz-server-side-encryption"), ["encryption asked for by header"])}


def forget_tags(request, head):
    kept = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(b"x-amz-tagging-count:")]
    return b"\r\n".join(kept) + b"\r\n\r\n"


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_without_optional_parts_takes_backups(there, own, bucket, proxy, kind):
    """With one warning for each part; `bucket check` finds nothing failed, and names what is missing."""
    proxy.meet, words = SERVERS[kind]
    proxy.change = forget_tags if "object tags" in words else None
    env = {"BACKUP_S3_STORAGE_CLASS": "STANDARD"}
    result = there("backup", env=env)
    (backup,) = backups.all_of(there)
    assert [own.objects(bucket)[key] for key in in_bucket(own, bucket, ".sql.gz")] == [backup.path.read_bytes()]
    warned = sorted(re.findall(r"does not take ([^:]+): going on without", result.stderr + result.stdout))
    assert [len([each for each in warned if each.startswith(word)]) for word in words] == [1] * len(words), warned
    assert len(warned) == len(words), warned
    checked = there("bucket", "check", env=env).stdout
    assert len(re.findall("Not taken by this server: WARN", checked)) == len(set(words) - {"conditional writes"})


def test_a_key_of_ones_own_is_never_left_out(there, own, bucket, proxy):
    """What the settings ask for the sake of safety fails where it cannot be had."""
    proxy.meet = refuses("x-amz-server-side-encryption")
    result = there("backup", check=15, env={"BACKUP_S3_SSE": "aws:kms", "BACKUP_S3_KMS_KEY_ID": "1234"})
    assert "501 NotImplemented" in result.stderr and in_bucket(own, bucket, ".sql.gz") == []


def echo(change):
    """For proxy.change: an answer that tells the checksum of what was stored, as AWS's do."""
    def answer(request, head):
        value = request.headers.get("x-amz-checksum-sha256")
        return head[:-2] + f"x-amz-checksum-sha256: {change(value)}\r\n\r\n".encode() if value else head
    return answer


def test_checksums_that_the_server_tells_are_compared_and_named_at_the_end(there, own, bucket, proxy):
    completing, sums = [], []

    def meet(request):
        if request.method == "POST" and "uploadId" in request.target:
            completing.append(request.body.decode())
        if "partNumber" in request.target:
            sums.append(request.headers["x-amz-checksum-sha256"])
    proxy.meet, proxy.change = meet, echo(lambda value: value)
    there("backup")
    assert len(sums) == 3 and sorted(re.findall(r"<ChecksumSHA256>([^<]+)<", completing[0])) == sorted(sums)
    proxy.forget()
    proxy.change = echo(lambda value: "A" * 43 + "=")
    result = there("backup", check=15)
    assert "S3 stored something else than was sent: the checksums differ" in result.stderr
    assert own.unfinished_uploads(bucket) == [] and len(in_bucket(own, bucket, ".sql.gz")) == 1


@pytest.mark.parametrize("header, value, words", [("etag", '"%s-3"' % ("0" * 32), "has ETag"), ("content-length", "17", "bytes in S3"),
                                                  ("x-amz-server-side-encryption", "aws:kms", "encrypted")])
def test_what_the_server_says_of_the_object_is_held_against_what_was_sent(there, own, bucket, proxy, header, value, words):
    def change(request, head):
        if request.method != "HEAD" or not head.startswith(b"HTTP/1.1 200"):
            return head
        kept = [line for line in head[:-4].decode().split("\r\n") if not line.lower().startswith(header + ":")]
        return "\r\n".join([*kept, f"{header}: {value}"]).encode() + b"\r\n\r\n"
    proxy.change = change
    result = there("backup", check=15)
    assert words in result.stderr, result
    assert_local_copy_only(there, result, own, bucket)
    proxy.forget()
    assert_next_run_mends(there, own, bucket)


# ---- a slow server ---------------------------------------------------------------------------------------------------

def begin_slow(there, proxy, *words):
    """A run whose upload the server leaves unanswered, at that point."""
    asked = threading.Event()

    def meet(request):
        if request.method in ("POST", "PUT") and ".sql.gz" in request.target and not asked.is_set():
            asked.set()
            return "stall"
        return None
    proxy.meet = meet
    running = there.popen(*words, env={"BACKUP_S3_TIMEOUT": "30"})
    assert asked.wait(30)
    return running


def finish(there, running, proxy):
    running.terminate()
    running.communicate()
    proxy.forget()
    there("sync")


@pytest.mark.parametrize("first", ["backup", "sync"])
def test_an_upload_that_takes_long_stops_no_backup_here(there, own, bucket, proxy, first):
    """Of the database whose backup is on its way: here alone it is taken as ever; else it is kept here and its upload is
    taken up later. What is to be in S3 alone, and a second sync, say that another run is at work."""
    if first == "sync":
        there("backup", env={"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, check=15)
    running = begin_slow(there, proxy, first)
    deadline = time.monotonic() + 30
    while not [each for each in backups.all_of(there) if each.path.exists()] and time.monotonic() < deadline:
        time.sleep(0.1)
    there("backup", "--local-only", "--wait", "1")
    result = there("backup", check=15)
    assert "an earlier backup is still on its way to S3" in result.stderr
    there("backup", "--s3-only", check=6)
    there("sync", check=6)
    assert running.poll() is None
    assert len(backups.all_of(there)) == 3
    finish(there, running, proxy)
    assert len(in_bucket(own, bucket, ".sql.gz")) == 2, "both that were to be there"


def test_sync_overwrites_no_backup_of_another_host(there, own, bucket):
    """Its id is the same, for S3 could not be asked when this one was taken."""
    there("backup", env={"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, check=15)
    (backup,) = backups.all_of(there)
    key = f"database/{backup.timestamp[:8]}/{backup.id}"
    theirs = dict(backup.meta, sha256="0" * 64)
    for ending, body in ((".sql.gz", b"theirs"), (".meta.json", json.dumps(theirs).encode())):
        own.client().put_object(Bucket=bucket, Key=key + ending, Body=body)
    time.sleep(1.1)
    there("backup", env={"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, check=15)
    (later,) = [each for each in backups.all_of(there) if each.id != backup.id]
    result = there("sync", check=15)
    assert "another backup of the same id" in result.stderr and own.objects(bucket)[key + ".sql.gz"] == b"theirs"
    assert f"database/{later.timestamp[:8]}/{later.id}.sql.gz" in own.objects(bucket), "it keeps no other from its upload"
