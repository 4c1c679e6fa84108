"""An upload that outlives its keys: it fetches new ones in the middle, and where there are none it fails honestly."""
import json
import time

import pytest

from lib import backups, faultproxy, keyserver

TABLE = """CREATE TABLE t (id int PRIMARY KEY, x text);
INSERT INTO t SELECT g, (SELECT string_agg(md5(g::text || i::text), '') FROM generate_series(1, 8) i)
  FROM generate_series(1, 120000) g"""
LIFETIME_S = 3


@pytest.fixture
def agent(s3):
    with keyserver.KeyServer() as running:
        running.keys = s3.add_key()
        yield running


@pytest.fixture
def proxy(s3):
    with faultproxy.FaultProxy(s3.port) as running:
        yield running


@pytest.fixture
def there(opstower, db, s3, bucket, agent, proxy):
    """opstower with a database of some 18 MB in parts of 5 MB, one after the other."""
    made = db()
    made.query(TABLE)
    opstower.env.update(s3.environment(bucket, proxy.endpoint), DATABASE_URL=made.url, BACKUP_S3_RETRY_TIME="3",
                        BACKUP_S3_TIMEOUT="20", BACKUP_S3_PART_SIZE="5", BACKUP_S3_PARALLEL="1")
    opstower.env.update(agent.environment)
    return opstower


def key_of(headers):
    """The access key that a request was signed with."""
    return headers["authorization"].split("Credential=")[1].split("/")[0]


class Moment:
    """While the second part's answer is on its way back, the first keys end: after their time, and at the server."""

    def __init__(self, s3, agent, proxy, successor, wait=True):
        self.s3, self.agent, self.successor, self.wait, self.done = s3, agent, successor, wait, False
        self.first = agent.keys
        agent.lifetime_s = LIFETIME_S if wait else 3600
        proxy.change = self.change

    def change(self, request, head):
        if "partNumber=2&" in request.target and not self.done:
            self.done = True
            if self.successor:
                self.agent.keys = self.successor
            if self.wait:
                time.sleep(LIFETIME_S + 1)
            self.s3.revoke_key(self.first)
        return head


def assert_uploaded(there, s3, bucket):
    (backup,) = backups.all_of(there)
    assert backup.meta["s3"]["state"] == "uploaded"
    assert [data for key, data in s3.objects(bucket).items() if key.endswith(".sql.gz")] == [backup.path.read_bytes()]
    assert s3.unfinished_uploads(bucket) == []


def test_keys_that_expire_during_an_upload_are_renewed(there, s3, bucket, agent, proxy):
    successor = s3.add_key()
    moment = Moment(s3, agent, proxy, successor)
    there("backup")
    assert moment.done and agent.asked >= 2
    signers = [key_of(headers) for headers in proxy.headers]
    turn = signers.index(successor["AWS_ACCESS_KEY_ID"])
    assert set(signers[:turn]) == {moment.first["AWS_ACCESS_KEY_ID"]} and len(set(signers[turn:])) == 1
    parts = [at for at, (_, target) in enumerate(proxy.requests) if "partNumber=" in target]
    assert parts[0] < turn <= parts[-1], "some parts went up with the first keys, the rest with the second"
    assert_uploaded(there, s3, bucket)


def test_keys_that_end_before_their_time_are_renewed_when_the_server_says_so(there, s3, bucket, agent, proxy):
    """AWS says ExpiredToken; radosgw cannot, so the proxy says it, and the first keys are really gone."""
    successor = s3.add_key()
    moment = Moment(s3, agent, proxy, successor, wait=False)
    refused = []

    def meet(request):
        if moment.done and key_of(request.headers) == moment.first["AWS_ACCESS_KEY_ID"]:
            refused.append(request)
            return 400, "ExpiredToken"
        return None
    proxy.meet = meet
    there("backup")
    assert moment.done and agent.asked >= 2 and len(refused) == 1, "one refusal, and the old keys are used no more"
    assert_uploaded(there, s3, bucket)


@pytest.mark.parametrize("mode, code", [([], 15), pytest.param(["--s3-only"], 16, marks=pytest.mark.long)])
def test_without_new_keys_the_upload_fails_and_says_so(there, s3, bucket, agent, proxy, mode, code):
    moment = Moment(s3, agent, proxy, None)
    result = there("backup", *mode, check=code)
    assert moment.done and len(backups.error_lines(result)) == 1, result
    assert "Failed to upload backup to S3: S3 refused PUT" in result.stderr and "403" in result.stderr, result.stderr
    assert "credentials: container" in result.stderr
    assert "Backup uploaded to S3" not in result.stdout
    assert [key for key in s3.objects(bucket) if not key.endswith(".reserved")] == [], "without keys the mark stays"
    for backup in backups.all_of(there):
        backup.assert_whole()
        assert backup.meta["s3"]["state"] == "pending"
    assert len(backups.all_of(there)) == (0 if mode else 1)
    proxy.forget()
    agent.keys = s3.add_key()
    there("backup", *mode)     # what could not be ended without keys is ended now
    assert s3.unfinished_uploads(bucket) == [] and not any(key.endswith(".reserved") for key in s3.objects(bucket))
    listed = json.loads(there("list", "--json").stdout)
    assert [sorted(copy["state"] for copy in each["copies"]) for each in listed] == (
        [["present"]] if mode else [["present", "present"]] * 2)


def test_an_agent_that_is_gone_when_the_keys_expire_is_named(there, s3, bucket, agent, proxy):
    moment = Moment(s3, agent, proxy, None)
    proxy.meet = lambda request: agent.server.socket.close() if "partNumber=2&" in request.target else None
    result = there("backup", check=15)
    assert moment.done and "container" in result.stderr and "no AWS credentials" in result.stderr, result
    (backup,) = backups.all_of(there)
    backup.assert_whole()
