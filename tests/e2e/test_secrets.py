"""No secret is ever to be seen: not in what is said, in files, in objects, nor on the command line of any process.

Every act that has to do with the database's password, S3's keys or the token of a container's agent, once as it should
be and once with each secret wrong, so that errors are told too.
"""
import base64
import gzip
import json
import os
import pathlib
import subprocess
import threading
import urllib.parse

import pytest

from lib import backups, keyserver, pgserver

PASSWORD = "Pass:word/4711@of?the#database%20"
OTHER_PASSWORD = "Other+password&of=the/test-server"
WRONG = "-and-wrong"
PROGRAMS = ("pg_dump", "pg_restore", "pg_dumpall", "initdb", "postgres")


@pytest.fixture(scope="module")
def locked():
    """A server that asks for passwords, with a database and a role for test restores."""
    with pgserver.TcpServer() as started:
        for role, password in (("owner", PASSWORD), ("tester", OTHER_PASSWORD)):
            started.query(f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD %s", (password,))
        started.query("CREATE DATABASE secretive TEMPLATE template0 OWNER owner")
        started.query("CREATE TABLE t (id int PRIMARY KEY, x text);"
                      " INSERT INTO t SELECT g, md5(g::text) FROM generate_series(1, 500) g", dbname="secretive")
        yield started


def url(server, user, password, database):
    return f"postgresql://{user}:{urllib.parse.quote(password, safe='')}@127.0.0.1:{server.port}/{database}"


def spellings(secret):
    yield secret.encode()
    yield urllib.parse.quote(secret, safe="").encode()
    yield json.dumps(secret)[1:-1].encode()
    yield base64.b64encode(secret.encode()).rstrip(b"=")


class CommandLines:
    """Reads all command lines again and again while something runs."""

    def __init__(self):
        self.seen, self.stop = set(), threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.stop.wait(0.005):
            for entry in os.listdir("/proc"):
                if not entry.isdigit():
                    continue
                try:
                    with open(f"/proc/{entry}/cmdline", "rb") as file:
                        self.seen.add(file.read())
                except OSError:
                    pass

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


@pytest.fixture
def there(opstower, locked, s3, bucket):
    """Its programs take a little time, so that they are seen."""
    slow = {name: '"{real}" "$@"; code=$?; nap 0.05; exit $code' for name in PROGRAMS if name != "postgres"}
    opstower.env.update(s3.environment(bucket), BACKUP_S3_RETRY_TIME="1", BACKUP_S3_TIMEOUT="5",
                        DATABASE_URL=url(locked, "owner", PASSWORD, "secretive"),
                        BACKUP_TEST_URL=url(locked, "tester", OTHER_PASSWORD, "postgres"),
                        PG_BINDIR=backups.programs_with(opstower.folder, locked, **slow))
    return opstower


def plain_dump(locked, folder):
    path = pathlib.Path(folder) / "plain.sql"
    env = {**os.environ, "PGPASSWORD": PASSWORD}
    subprocess.run([pgserver.program("pg_dump"), "-h", "127.0.0.1", "-p", str(locked.port), "-U", "owner", "-f", path,
                             "secretive"], check=True, env=env)
    return path


def everything_written(opstower, s3, bucket):
    """{where: bytes} of all files below the test's folder and all objects with what is told of them."""
    written = {}
    for path in pathlib.Path(opstower.folder).rglob("*"):
        if path.is_file() and not path.is_relative_to(opstower.env["PG_BINDIR"]):
            data = path.read_bytes()
            written[path] = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    client = s3.client()
    for key, data in s3.objects(bucket).items():
        said = str(client.head_object(Bucket=bucket, Key=key)) + str(client.get_object_tagging(Bucket=bucket, Key=key))
        written[key] = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data) + said.encode()
    return written


def assert_nowhere(secrets, written):
    for where, data in written.items():
        for secret in secrets:
            for spelling in spellings(secret):
                assert spelling not in data, f"a secret is in {where}"


ACTS = [["backup"], ["backup", "--s3-only"], ["list", "--json"], ["verify", "latest", "--full-test"],
        ["verify", "latest", "--from-s3", "--full-test"], ["sync", "--all"], ["bucket", "check"], ["bucket", "policy"],
        ["restore", "latest", "--from-s3", "--force", "--drop-replaced"], ["restore", "latest", "--table", "public.t"],
        ["restore", "PLAIN", "--target-db", "from_plain", "--force", "--no-pre-backup"], ["status", "--json"], ["prune"]]


def run_all(there, acts, plain, secrets, env, must_work):
    """Each act; what it says holds no secret, and it ends well if it must."""
    codes = {}
    for words in acts:
        words = [str(plain) if word == "PLAIN" else word for word in words]
        result = there(*words, env=env, check=False)
        assert_nowhere(secrets, {str(words): result.output.encode()})
        assert not must_work or result.returncode in ((0, 1, 2, 3) if words[0] == "status" else (0,)), result
        codes[str(words)] = result.returncode
    return codes


def test_no_secret_anywhere(there, locked, s3, bucket):
    session = s3.session_credentials()
    there.env.update(session)
    secrets = [session["AWS_SECRET_ACCESS_KEY"], session["AWS_SESSION_TOKEN"], PASSWORD, OTHER_PASSWORD]
    plain = plain_dump(locked, there.folder)
    with CommandLines() as lines:
        run_all(there, ACTS, plain, secrets, {}, True)
        scratch = [["verify", "latest", "--full-test"]]
        run_all(there, scratch, plain, secrets, {"BACKUP_TEST_URL": None, "PG_BINDIR": locked.bindir}, True)
        for broken in ({"AWS_SECRET_ACCESS_KEY": secrets[0] + WRONG}, {"AWS_SESSION_TOKEN": secrets[1] + WRONG},
                       {"DATABASE_URL": url(locked, "owner", PASSWORD + WRONG, "secretive")},
                       {"BACKUP_TEST_URL": url(locked, "tester", OTHER_PASSWORD + WRONG, "postgres")}):
            codes = run_all(there, ACTS, plain, secrets, broken, False)
            assert any(codes.values()), broken
    for program in PROGRAMS:
        assert any(os.fsencode(program) in os.path.basename(line.split(b"\0")[0]) or b"/" + program.encode() in line
                   for line in lines.seen), f"{program} was never seen"
    assert_nowhere(secrets, dict(enumerate(lines.seen)))
    written = everything_written(there, s3, bucket)
    assert len([name for name in written if str(name).endswith(".log")]) > 5
    assert_nowhere(secrets, written)


def test_the_token_of_a_containers_agent_and_its_keys_are_nowhere(there, s3, bucket):
    with keyserver.KeyServer() as agent:
        agent.keys = s3.session_credentials()
        there.env.update(agent.environment)
        secrets = [keyserver.TOKEN, agent.keys["AWS_SECRET_ACCESS_KEY"], agent.keys["AWS_SESSION_TOKEN"]]
        with CommandLines() as lines:
            run_all(there, [["backup"], ["verify", "latest", "--from-s3"]], None, secrets, {}, True)
            codes = run_all(there, [["backup"], ["list"]], None, secrets,
                            {"AWS_CONTAINER_AUTHORIZATION_TOKEN": keyserver.TOKEN + WRONG}, False)
            assert all(codes.values())
        assert agent.asked >= 2
    assert_nowhere(secrets, dict(enumerate(lines.seen)))
    assert_nowhere(secrets, everything_written(there, s3, bucket))
