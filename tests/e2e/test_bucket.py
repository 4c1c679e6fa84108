"""`opstower bucket`: what the bucket is like, what it should be like, and which permissions backups need."""
import datetime
import http.server
import json
import re
import threading
import uuid

import pytest

from lib import backups

CALLS = ["Store an object", "Look at it", "Read a part of it", "List", "Set tags", "Read tags", "Upload in parts",
         "List unfinished uploads", "End an unfinished upload", "Delete"]
HOLDS = ["Put a legal hold", "See a legal hold", "Take a legal hold away"]
LOCKS = ["Lock an object", "See a lock"]


@pytest.fixture
def there(opstower, s3, bucket):
    opstower.env.update(s3.environment(bucket), BACKUP_S3_RETRY_TIME="2", BACKUP_S3_TIMEOUT="3")
    return opstower


@pytest.fixture
def locked(there, s3):
    """A bucket with Object Lock, which backups are to use."""
    name = f"locked-{uuid.uuid4().hex[:10]}"
    s3.make_bucket(name, object_lock=True)
    there.env.update(BACKUP_S3_BUCKET=name, BACKUP_S3_OBJECT_LOCK="governance")
    yield name
    s3.empty(name)


def findings(opstower, verb="check", check=True, **options):
    return {each["name"]: each for each in json.loads(opstower("bucket", verb, "--json", check=check, **options).stdout)}


def verdicts(found, *names):
    return [found[name]["verdict"] for name in names or found]


def test_a_bare_bucket_works_and_is_warned_about(there, s3, bucket):
    found = findings(there)
    assert verdicts(found, "Versioning", "Lifecycle") == ["WARN", "WARN"]
    assert verdicts(found, *CALLS) == ["OK"] * len(CALLS)
    assert not set(HOLDS + LOCKS) & set(found)
    assert s3.objects(bucket) == {} and s3.unfinished_uploads(bucket) == []
    said = there("bucket", "check").stdout
    assert f"Bucket {bucket}, region us-east-1, credentials: environment" in said and "[INFO] Versioning: WARN (off" in said


def test_setup_keeps_the_rules_of_others_and_check_warns_of_age_only_ones(there, s3, bucket):
    client = s3.client()
    theirs = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}}
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [theirs]})
    for _ in range(2):
        there("bucket", "setup", env={"BACKUP_S3_LONGSTOP_DAYS": "365"})
        rules = {rule["ID"]: rule for rule in client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]}
        rules = {re.sub("-[0-9a-f]{8}$", "", name): rule for name, rule in rules.items()}
        assert sorted(rules) == ["opstower-longstop", "opstower-old-versions", "opstower-unfinished", "theirs"]
        assert rules["theirs"]["Expiration"]["Days"] == 30
        assert '{"Key": "type", "Value": "hourly"}' in json.dumps(rules["opstower-longstop"]["Filter"])
    there("bucket", "setup")
    rules = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert not [rule["ID"] for rule in rules if rule["ID"].startswith("opstower-longstop")]
    found = findings(there)
    assert verdicts(found, "Versioning") == ["OK"]
    said = there("bucket", "check").stdout
    assert "rule theirs deletes by age alone" in said and "rule opstower" not in said


def lifecycle(s3, bucket):
    rules = s3.client().get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    return {(rule["ID"], rule["Filter"].get("And", rule["Filter"])["Prefix"]) for rule in rules}


def test_setup_touches_only_the_rules_of_its_own_prefix(there, s3, bucket):
    """Prefixes that begin alike, are part of each other, or have a slash at the end; rules of others with names like ours;
    and those that an earlier version made, whose names did not tell the prefix."""
    client = s3.client()
    old = [{"ID": "opstower-unfinished", "Status": "Enabled", "Filter": {"Prefix": "old/"},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
           {"ID": "opstower-mine", "Status": "Enabled", "Filter": {"Prefix": "shop/"},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3}}]
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": old})
    prefixes = ["shop", "shop2", "shop/a", "billing"]
    for prefix in [*prefixes, *prefixes, "shop/"]:
        there("bucket", "setup", env={"BACKUP_S3_PREFIX": prefix})
    rules = lifecycle(s3, bucket)
    assert {("opstower-unfinished", "old/"), ("opstower-mine", "shop/")} < rules
    assert len(rules) == 2 + 2 * len(prefixes) and len({name for name, _ in rules}) == len(rules)
    there("bucket", "setup", env={"BACKUP_S3_PREFIX": "old"})
    assert ("opstower-unfinished", "old/") not in lifecycle(s3, bucket), "its own one is replaced"


@pytest.mark.parametrize("region, partition", [
    ("eu-central-1", "aws"), ("us-west-2", "aws"), ("cn-north-1", "aws-cn"), ("cn-northwest-1", "aws-cn"),
    ("us-gov-west-1", "aws-us-gov"), ("us-gov-east-1", "aws-us-gov"), ("us-iso-east-1", "aws-iso"),
    ("us-isob-east-1", "aws-iso-b"), ("eusc-de-east-1", "aws-eusc"), ("default", "aws")])
def test_the_policy_is_for_the_regions_partition(there, tmp_path, region, partition):
    kms = {"BACKUP_S3_SSE": "aws:kms", "BACKUP_S3_KMS_KEY_ID": "1234-abcd"}
    profile = tmp_path / "config"
    profile.write_text(f"[default]\nregion = {region}\n")
    sources = ({"AWS_REGION": region}, {"AWS_REGION": None, "AWS_DEFAULT_REGION": region},
               {"AWS_REGION": None, "AWS_DEFAULT_REGION": None, "AWS_CONFIG_FILE": str(profile)})
    for source in sources:
        policy = json.loads(there("bucket", "policy", "writer", env={**kms, **source}).stdout)
        assert {each["Resource"].split(":")[1] for each in policy["Statement"]} == {partition}, source


def test_a_longstop_that_is_too_short_is_refused(there):
    assert "at least twice" in there("bucket", "setup", env={"BACKUP_S3_LONGSTOP_DAYS": "100"}, check=2).stderr


def deny(s3, bucket, *actions):
    statement = [{"Effect": "Deny", "Principal": "*", "Action": list(actions),
                  "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}]
    s3.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statement}))


@pytest.mark.parametrize("action, names", [
    ("s3:PutObject", ["Store an object", "Upload in parts", "End an unfinished upload"]),
    ("s3:GetObject", ["Look at it", "Read a part of it"]),
    ("s3:PutObjectTagging", ["Set tags"]),
    ("s3:GetObjectTagging", ["Read tags"]),
    ("s3:ListBucket", ["List"]),
    ("s3:ListBucketMultipartUploads", ["List unfinished uploads"]),
])
def test_a_missing_permission_is_named(there, s3, bucket, action, names):
    deny(s3, bucket, action)
    try:
        found = findings(there, check=16)
    finally:
        s3.client().delete_bucket_policy(Bucket=bucket)
    for name in names:
        assert found[name]["verdict"] == "FAIL" and found[name]["missing_action"] in (action, "s3:AbortMultipartUpload"), found


def test_holds_and_locks_are_tried_where_there_can_be_any(there, s3, locked):
    found = findings(there)
    assert verdicts(found, *CALLS, *HOLDS, *LOCKS) == ["OK"] * len(CALLS + HOLDS + LOCKS)
    versions = s3.client().list_object_versions(Bucket=locked)["Versions"]
    heads = [s3.client().head_object(Bucket=locked, Key=each["Key"], VersionId=each["VersionId"]) for each in versions]
    assert {head.get("ObjectLockLegalHoldStatus", "OFF") for head in heads} == {"OFF"}
    until, = [head["ObjectLockRetainUntilDate"] for head in heads if "ObjectLockMode" in head]
    assert (until - datetime.datetime.now(datetime.timezone.utc)).total_seconds() < 90
    assert s3.objects(locked) == {}
    assert not set(LOCKS) & set(findings(there, env={"BACKUP_S3_OBJECT_LOCK": None}))


@pytest.mark.parametrize("action, name", [
    ("s3:PutObjectLegalHold", "Put a legal hold"), ("s3:GetObjectLegalHold", "See a legal hold"),
    ("s3:GetObjectRetention", "See a lock"),    # radosgw does not ask for s3:PutObjectRetention where an object is stored
])
def test_a_missing_permission_of_holds_and_locks_is_named(there, s3, locked, action, name):
    deny(s3, locked, action)
    try:
        found = findings(there, check=16)
    finally:
        s3.client().delete_bucket_policy(Bucket=locked)
    assert {each["missing_action"] for each in found.values() if each["verdict"] == "FAIL"} == {action}
    assert found[name]["verdict"] == "FAIL"


def test_a_writer_that_cannot_delete_is_fine(there, s3, bucket):
    deny(s3, bucket, "s3:DeleteObject", "s3:DeleteObjectVersion")
    try:
        found = findings(there)
    finally:
        s3.client().delete_bucket_policy(Bucket=bucket)
    assert found["Delete"]["verdict"] == "OK" and "refused" in found["Delete"]["detail"]


def test_the_policies(there, bucket):
    kms = {"BACKUP_S3_SSE": "aws:kms", "BACKUP_S3_KMS_KEY_ID": "1234-abcd"}
    for role, may, deletes in (("writer", True, []), ("pruner", True, ["s3:DeleteObject"]), ("restorer", False, [])):
        policy = json.loads(there("bucket", "policy", role, env=kms).stdout)
        actions = {action for statement in policy["Statement"] for action in statement["Action"]}
        assert ("s3:PutObject" in actions) == may and "s3:GetObject" in actions and "kms:Decrypt" in actions
        assert [action for action in actions if re.search(r"Delete|PutBucket|Bypass|\*", action)] == deletes
        assert {statement["Resource"] for statement in policy["Statement"]} == {
            f"arn:aws:s3:::{bucket}/database/*", f"arn:aws:s3:::{bucket}", "arn:aws:kms:*:*:key/1234-abcd"}
    assert "Key" not in there("bucket", "policy").stdout
    assert json.loads(there("bucket", "policy").stdout) == json.loads(there("bucket", "policy", "writer").stdout)


@pytest.mark.parametrize("words, env, code, text", [
    (["check"], {"BACKUP_S3_BUCKET": "no-such-bucket-here"}, 16, "NoSuchBucket"),
    (["setup"], {"BACKUP_S3_BUCKET": "no-such-bucket-here"}, 16, "NoSuchBucket"),
    (["check"], {"AWS_SECRET_ACCESS_KEY": "wrong"}, 16, "failed"),
    (["check"], {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, 16, "Connection refused"),
    (["check"], {"BACKUP_S3_BUCKET": None}, 2, "BACKUP_S3_BUCKET"),
    (["chekc"], {}, 2, "did you mean check"),
    (["policy", "reader"], {}, 2, "reader"),
    (["check", "more"], {}, 2, "more"),
])
def test_what_is_wrong_is_said(there, words, env, code, text):
    result = there("bucket", *words, env=env, check=code)
    assert len(backups.error_lines(result)) == 1 and text in result.stderr


class LikeAws(http.server.BaseHTTPRequestHandler):
    """What radosgw does not know: default encryption, as AWS answers it."""

    def do_GET(self):  # pylint: disable=invalid-name
        answers = {"encryption": (200, "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>"
                                       "<SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>"
                                       "</ServerSideEncryptionConfiguration>"),
                   "versioning": (200, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
                   "publicAccessBlock": (404, "<Error><Code>NoSuchPublicAccessBlockConfiguration</Code></Error>"),
                   "lifecycle": (403, "<Error><Code>AccessDenied</Code></Error>"),
                   "object-lock": (404, "<Error><Code>ObjectLockConfigurationNotFoundError</Code></Error>")}
        name = self.path.split("?")[-1].rstrip("=")
        status, body = answers.get(name, (403, "<Error><Code>AccessDenied</Code></Error>"))
        self.answer(status, body)

    def do_PUT(self):  # pylint: disable=invalid-name
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(403, "<Error><Code>AccessDenied</Code></Error>")

    do_POST = do_HEAD = do_DELETE = do_PUT

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if self.command != "HEAD" else 0))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


def test_what_only_aws_answers(there):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), LikeAws)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        found = findings(there, check=16, env={"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{server.server_port}"})
    finally:
        server.shutdown()
        server.server_close()
    names = ("Versioning", "Default encryption", "Public access", "Lifecycle", "Object Lock", "Store an object")
    assert verdicts(found, *names) == ["OK", "OK", "WARN", "UNKNOWN", "OK", "FAIL"]
    assert found["Default encryption"]["detail"] == "aws:kms"
    assert found["Lifecycle"]["missing_action"] == "s3:GetLifecycleConfiguration"
    assert found["Store an object"]["missing_action"] == "s3:PutObject"


class Refusing(LikeAws):
    """Refuses all but storing objects, holds and locks, as far as they are allowed."""

    allowed, has_lock = (), False

    def do_GET(self):   # pylint: disable=invalid-name
        if self.has_lock and "object-lock" in self.path:
            return self.answer(200, "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>")
        return self.answer(403, "<Error><Code>AccessDenied</Code></Error>")

    def do_PUT(self):   # pylint: disable=invalid-name
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        action = ("hold" if "legal-hold" in self.path else "lock" if "x-amz-object-lock-mode" in self.headers else
                  "put" if "?" not in self.path else "other")
        if action in self.allowed:
            return self.answer(200, "")
        return self.answer(403, "<Error><Code>AccessDenied</Code></Error>")


def test_the_policy_has_each_action_that_check_names(there):
    """Each call that can be refused is, and the policy of a host that backs up allows just these."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    env = {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{server.server_port}", "BACKUP_S3_OBJECT_LOCK": "governance"}
    named = set()
    try:
        for Refusing.has_lock, Refusing.allowed in ((False, ()), (True, ("put",)), (True, ("put", "hold", "lock"))):
            named |= {each["missing_action"] for each in findings(there, check=16, env=env).values() if "missing_action" in each}
    finally:
        server.shutdown()
        server.server_close()
    policy = json.loads(there("bucket", "policy", "writer").stdout)
    assert named == {action for statement in policy["Statement"] for action in statement["Action"]}
