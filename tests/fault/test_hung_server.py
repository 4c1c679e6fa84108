"""A server, or the way to it, that says nothing any more: a signal ends us all the same, and so does a limit."""
import contextlib
import os
import signal
import socket
import threading
import time

import pytest

from lib import backups, pgserver
from lib.backups import error_lines, take

LIMIT_S = 15    # gone within 5 s; the machine may be busy

WORK = """
CREATE TABLE work (id int PRIMARY KEY, t text);
INSERT INTO work SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, 60000) g;
CREATE TABLE more AS SELECT * FROM work;
CREATE FUNCTION slow(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN PERFORM pg_sleep(CASE WHEN $1 = '1' THEN 2.5 ELSE 0 END); RETURN $1; END $$;
CREATE TABLE slow (id int); INSERT INTO slow VALUES (1), (2);
CREATE INDEX ON slow (slow(id::text));
"""


@pytest.fixture(scope="module")
def frail():
    """A server that a test may stop in the middle, with a database of some size."""
    from conftest import create_database  # pylint: disable=import-outside-toplevel
    with pgserver.Server() as started:
        database = create_database(started, "frail")
        database.query(WORK)
        yield database


class Frozen:
    """`with Frozen(server):` none of the server's processes does anything."""

    def __init__(self, server):
        self.postmaster, self.pids = server.process.pid, []

    def __enter__(self):
        self.freeze(self.postmaster)
        with open(f"/proc/{self.postmaster}/task/{self.postmaster}/children", encoding="ascii") as file:
            for pid in file.read().split():
                self.freeze(int(pid))

    def freeze(self, pid):
        try:
            os.kill(pid, signal.SIGSTOP)
            self.pids.append(pid)
        except ProcessLookupError:
            pass

    def __exit__(self, *exc_info):
        for pid in reversed(self.pids):
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass


def ended(process):
    """Waits for the end; seconds that it took."""
    start = time.monotonic()
    try:
        stdout, stderr = process.communicate(timeout=60)
    except BaseException:
        process.kill()
        raise
    process.output = (stdout + stderr).decode()
    return time.monotonic() - start


def wait_for_gone(database):
    deadline = time.monotonic() + 60
    while backups.our_backends(database.server):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def acts(database):
    return {
        "backup": ("backup", "--local-only", "--jobs", 2),
        "restore": ("restore", "latest", "--force", "--no-pre-backup"),
        "full test": ("verify", "latest", "--full-test", "--test-url", database.url),
        "table": ("restore", "latest", "--table", "public.work"),
    }


# As parts of the time that an act takes when nothing is in its way.
MOMENTS = [("backup", 0.5), ("restore", 0.8)]
FURTHER = [("restore", 0.4), ("full test", 0.6), ("backup", 0.1), ("backup", 0.8), ("restore", 0.1), ("full test", 0.3), ("table", 0.5)]


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("act, share", FURTHER)
@pytest.mark.long
def test_a_signal_ends_it_at_further_moments(opstower, frail, act, share, sent):
    check_signal(opstower, frail, act, share, sent)


@pytest.mark.parametrize("act, share", MOMENTS)
def test_a_signal_ends_it(opstower, frail, act, share):
    check_signal(opstower, frail, act, share, signal.SIGTERM)


def check_signal(opstower, frail, act, share, sent):
    take(opstower, frail)
    known = backups.all_of(opstower)
    rows = frail.value("SELECT count(*) FROM work")
    oid = frail.value("SELECT oid FROM pg_database WHERE datname = 'frail'")
    process = opstower.popen(*acts(frail)[act], env={"DATABASE_URL": frail.url})
    time.sleep(share * {"backup": 0.8, "restore": 3.5, "full test": 3.5, "table": 0.6}[act])
    with Frozen(frail.server):
        if process.poll() is None:
            time.sleep(0.3)
            process.send_signal(sent)
        took = ended(process)
        assert took < LIMIT_S, process.output
    assert process.returncode in (128 + sent, 0, -sent), process.output
    wait_for_gone(frail)
    assert backups.unfinished(opstower) == []
    backups.assert_only_whole(opstower)
    if process.returncode != 0:
        assert "interrupted by" in process.output and len(backups.all_of(opstower)) == len(known)
        assert frail.value("SELECT oid FROM pg_database WHERE datname = 'frail'") == oid
    assert frail.value("SELECT count(*) FROM work") == rows
    frail.query("DROP SCHEMA IF EXISTS recovered CASCADE")


@pytest.mark.parametrize("act", ["backup", "restore"])
def test_a_limit_ends_it(opstower, frail, act):
    """Without a signal: BACKUP_SERVER_TIMEOUT."""
    take(opstower, frail)
    known = len(backups.all_of(opstower))
    process = opstower.popen(*acts(frail)[act], "--server-timeout", 2, env={"DATABASE_URL": frail.url})
    time.sleep(0.5 if act == "backup" else 1.2)
    with Frozen(frail.server):
        if process.poll() is None:
            ended(process)
            assert process.returncode == 5, process.output
            (line,) = error_lines(process)
            assert "silent for" in line or "no answer" in line, line
    ended(process)
    wait_for_gone(frail)
    assert backups.unfinished(opstower) == [] and len(backups.all_of(opstower)) == known


def test_what_is_long_at_work_is_not_silent(opstower, frail):
    """A lock that is waited for, an index that takes its time: longer than the limit, and no matter."""
    holder = frail.server.connect("frail")
    holder.autocommit = False
    holder.cursor().execute("LOCK TABLE more")
    threading.Timer(2.5, holder.rollback).start()
    take(opstower, frail, "--server-timeout", "1", "--lock-timeout", "30")
    opstower("restore", "latest", "--force", "--no-pre-backup", "--server-timeout", "1", env={"DATABASE_URL": frail.url})
    opstower("verify", "latest", "--full-test", "--server-timeout", "1", env={"DATABASE_URL": frail.url})
    holder.close()


class Way:
    """A way to a server that loses all connections that there are after so many bytes; nobody is told. New ones work."""

    def __init__(self, server, bytes_left):
        self.bytes_left = bytes_left
        self.folder = pgserver.temporary_folder("opstower-way-")
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(f"{self.folder}/.s.PGSQL.5432")
        self.listening.listen(64)
        self.target, self.forgotten, self.pairs = f"{server.socket}/.s.PGSQL.5432", set(), []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.target)
            self.pairs.append((client, server))
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self.carry, args=(one, other, client), daemon=True).start()

    def carry(self, one, other, key):
        try:
            while data := one.recv(1 << 16):
                self.bytes_left -= len(data)
                if self.bytes_left < 0 and not self.forgotten:
                    self.forgotten = {client for client, _ in self.pairs}
                if key not in self.forgotten:
                    other.sendall(data)
            if key not in self.forgotten:
                other.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listening.close()
        for pair in self.pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()


def test_a_way_that_loses_answers(opstower, frail):
    way = Way(frail.server, 16 << 20)   # in the midst of the rows
    url = f"postgresql:///frail?host={way.folder}&user=postgres"
    process = opstower.popen("backup", "--local-only", "--jobs", 2, "--server-timeout", 2, "--lock-attempts", 1,
                             env={"DATABASE_URL": url})
    ended(process)
    way.close()
    assert process.returncode == 5 and "silent for" in process.output, process.output
    assert backups.unfinished(opstower) == [] and backups.all_of(opstower) == []
    wait_for_gone(frail)
