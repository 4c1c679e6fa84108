"""A restore ended at any moment: the live database is exactly the old or exactly the new one, never missing or half.

The moments are random, but the same each time (seeded), spread over the whole run of a restore.
"""
import contextlib
import os
import random
import signal
import subprocess

import pytest

from conftest import create_database, drop_databases
from lib import backups
from lib.swing import Swing

SEED = 4711
TABLES = """
CREATE TABLE users (id int PRIMARY KEY, name text);
INSERT INTO users SELECT g, md5(g::text) FROM generate_series(1, 3000) g;
CREATE TABLE bookings (id int PRIMARY KEY, user_id int REFERENCES users, note text);
INSERT INTO bookings SELECT g, 1 + g % 3000, repeat('note ', g % 50) FROM generate_series(1, 20000) g;
CREATE INDEX ON bookings (user_id); CREATE INDEX ON bookings (note);
SELECT lo_from_bytea(4711, 'a large object');
"""
CHANGES = "UPDATE users SET name = 'new ' || id; DELETE FROM bookings WHERE id % 2 = 0; CREATE TABLE later (id int)"
NORMAL, LONG = 15, 200


def swing_on(server, name):
    return Swing(create_database(server, name), TABLES, CHANGES)


@pytest.fixture(scope="module")
def setting(server):
    made = swing_on(server, "kill_restore")
    yield made
    made.remove()
    drop_databases(server, made.live.name)


def end_at(setting, number, seconds):
    """Starts a restore of the other content and ends it after that time. Its exit code, and the content before."""
    old = setting.which()
    process = setting.opstower.popen(*setting.command(1 - old))
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.send_signal(number)
    process.communicate(timeout=60)
    setting.wait_for_the_end()
    return process.returncode, old


def check_moment(setting, number, seconds):
    code, old = end_at(setting, number, seconds)
    now = setting.which()
    side = [name for name in setting.family() if "_restoring_" in name]
    replaced = [name for name in setting.family() if "_replaced_" in name]
    assert len(replaced) == (1 if now != old else 0), "the old one is kept if and only if the new one is in place"
    if code == 0:
        assert now != old, "exit 0 without the restored content"
    if number != signal.SIGKILL:
        assert code in (0, 128 + number, -number), code  # -number: before the program had begun to listen
        assert side == [], "an orderly end leaves no side database"
        assert code == 0 or now == old, f"exit {code} says that production is as it was"
    setting.drop_replaced()
    return now != old, bool(side)


def run_moments(setting, count, seed):
    dice = random.Random(seed)
    swapped = left = 0
    for i in range(count):
        number = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT)[i % 4]
        seconds = dice.uniform(0, setting.duration * 1.15)
        try:
            done, side = check_moment(setting, number, seconds)
        except AssertionError as error:
            raise AssertionError(f"moment {i}: {signal.Signals(number).name} after {seconds:.3f} s: {error}") from error
        swapped, left = swapped + done, left + side
        if side or i % 10 == 9:
            setting.restore(1 - setting.which())
            assert setting.family() == [], "the next restore leaves no side database"
    print(f"{count} moments: {swapped} times the new one, {left} side databases left for the next restore")
    return swapped, left


def test_restores_ended_at_some_moments(setting):
    run_moments(setting, NORMAL, SEED)


@pytest.mark.long
def test_restores_ended_at_200_moments(setting):
    swapped, left = run_moments(setting, LONG, SEED + 1)
    assert 0 < swapped < LONG and left > 0, "the moments must lie before and after the swap"


def statement_moment(setting, pattern, number):
    """Ends a restore just when the server works on a statement of this kind. False if it was over before."""
    old = setting.which()
    process = setting.opstower.popen(*setting.command(1 - old))
    watch = setting.server.connect()
    seen = False
    with watch.cursor() as cursor:
        while process.poll() is None and not seen:
            cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query ~ %s LIMIT 1", (pattern,))
            seen = cursor.fetchone() is not None
    process.send_signal(number)
    process.communicate(timeout=60)
    watch.close()
    setting.wait_for_the_end()
    return seen


# Phases in the order of a restore, by what the server has to do then.
PHASES = ["^CREATE DATABASE", "^COMMENT ON DATABASE|^ALTER DATABASE .* SET", "^COPY ", "^CREATE INDEX|ADD CONSTRAINT",
          "^COPY .*TO STDOUT|^COPY .*TO stdout", "^ANALYZE", "RENAME TO|^COMMIT"]


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
@pytest.mark.parametrize("phase", PHASES)
def test_a_restore_ended_in_each_phase(setting, phase, number):
    for _ in range(5):
        if statement_moment(setting, phase, number):
            break
    setting.drop_replaced()
    if number == signal.SIGTERM:
        assert setting.family() == []
    setting.restore(1 - setting.which())
    assert setting.family() == [], "the next restore leaves no side database"


def test_the_server_stops_at_some_moments(make_server):
    """Immediate shutdown: as if all its processes were killed. After its recovery the same holds."""
    server = make_server({"synchronous_commit": "on"})
    setting = swing_on(server, "stop_restore")
    dice = random.Random(SEED)
    try:
        for _ in range(3):
            old = setting.which()
            process = setting.opstower.popen(*setting.command(1 - old))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(dice.uniform(0.1, setting.duration * 1.1))
            server.stop(signal.SIGQUIT)
            process.communicate(timeout=60)
            server.start()
            now = setting.which()
            assert process.returncode != 0 or now != old
            setting.drop_replaced()
            setting.restore(1 - now)
            assert setting.family() == []
    finally:
        setting.remove()


def test_nothing_of_ours_is_left(setting):
    assert setting.sessions() == []
    assert [name for name in os.listdir(setting.opstower.backup_dir) if name.endswith(".partial")] == []
    assert len([name for name in setting.opstower.files("*.sql.gz") if backups.DUMP.match(name)]) == 2
