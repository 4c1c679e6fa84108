"""A backup that is killed, interrupted, or whose server goes away, at any moment."""
import os
import pathlib
import random
import signal
import time

import pytest

from lib import backups
from lib.backups import error_lines, take

SEED = 20261122
# Some work in every phase: rows, large objects, an index.
WORK = """
CREATE TABLE work (id int PRIMARY KEY, t text);
INSERT INTO work SELECT g, repeat(md5(g::text), 10) FROM generate_series(1, 30000) g;
CREATE TABLE more AS SELECT * FROM work WHERE id % 2 = 0;
SELECT count(lo_from_bytea(0, decode(repeat(md5(g::text), 300), 'hex'))) FROM generate_series(1, 100) g;
"""


@pytest.fixture(scope="module")
def work(server):
    from conftest import create_database, drop_databases  # pylint: disable=import-outside-toplevel
    database = create_database(server, "killwork")
    database.query(WORK)
    yield database
    drop_databases(server, "killwork")


@pytest.fixture
def duration(opstower, work):
    """How long an undisturbed backup takes, in seconds."""
    started = time.monotonic()
    take(opstower, work)
    return time.monotonic() - started


def shares(count):
    """Moments as parts of a backup's duration; some of them come too late."""
    chooser = random.Random(SEED)
    return [chooser.uniform(0.0, 1.05) for _ in range(count)]


def moments(count, duration):
    return [share * duration for share in shares(count)]


def children_of(session):
    """Living processes of a session, by /proc: opstower begins one of its own, its children stay in it."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == session:
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                name, rest = file.read().rsplit(")", 1)
            state, _, _, its_session = rest.split()[:4]
            if int(its_session) == session and state != "Z":
                found.append(name)
        except OSError:
            pass
    return found


def wait_until_gone(what, seconds, message):
    deadline = time.monotonic() + seconds
    while what():
        assert time.monotonic() < deadline, f"{message}: {what()}"
        time.sleep(0.02)


def ended_by(opstower, work, signal_number, delay):
    """Starts a backup, sends the signal after that time; its exit code and what it printed."""
    process = opstower.popen("backup", "--jobs", 2, env={"DATABASE_URL": work.url})
    time.sleep(delay)
    process.send_signal(signal_number)
    stdout, stderr = process.communicate(timeout=90)
    process.output = (stdout + stderr).decode()
    return process


def assert_nothing_runs(process, work):
    wait_until_gone(lambda: children_of(process.pid), 10, "children are left")
    wait_until_gone(lambda: backups.our_backends(work.server), 10, "the server still works for us")


def check_killed(opstower, work, delay):
    before = len(backups.all_of(opstower))
    process = ended_by(opstower, work, signal.SIGKILL, delay)
    assert process.returncode in (-signal.SIGKILL, 0)
    assert_nothing_runs(process, work)
    backups.assert_only_whole(opstower)
    assert len(backups.all_of(opstower)) - before in (0, 1)
    started = time.monotonic()
    next_one = take(opstower, work)
    duration = time.monotonic() - started
    next_one.assert_whole()
    assert backups.unfinished(opstower) == [], f"killed after {delay} s"
    opstower("audit", "check")
    return process.returncode, duration


def check_interrupted(opstower, work, signal_number, delay):
    before = {backup.id for backup in backups.all_of(opstower)}
    process = ended_by(opstower, work, signal_number, delay)
    what = f"signal {signal_number} after {delay} s: {process.returncode}\n{process.output}"
    new = {backup.id for backup in backups.all_of(opstower)} - before
    assert_nothing_runs(process, work)
    backups.assert_only_whole(opstower)
    assert backups.unfinished(opstower) == [], what
    if process.returncode == 0:         # it came too late
        assert len(new) == 1, what
    elif process.returncode == -signal_number:  # it came before the program was ready for it
        assert new == set() and process.output == "", what
    else:
        assert process.returncode == 128 + signal_number, what
        assert len(error_lines(process)) == 1 and "interrupted by" in error_lines(process)[0], what
        assert new == set(), what
    return process.returncode


def clear(opstower):
    for name in os.listdir(opstower.backup_dir):
        os.unlink(os.path.join(opstower.backup_dir, name))


def kill_many(opstower, work, duration, count):
    codes = []
    for share in shares(count):     # of the last one's duration: the machine may be busier than a minute ago, or less
        code, duration = check_killed(opstower, work, share * duration)
        codes.append(code)
        clear(opstower)
    print(f"{count} moments: {codes.count(-signal.SIGKILL)} met it at work")
    assert codes.count(-signal.SIGKILL) > count / 2, "most of them must meet it at work"


def test_killed_at_15_moments(opstower, work, duration):
    kill_many(opstower, work, duration, 15)


@pytest.mark.long
def test_killed_at_200_moments(opstower, work, duration):
    kill_many(opstower, work, duration, 200)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_at_8_moments(opstower, work, duration, signal_number):
    codes = [check_interrupted(opstower, work, signal_number, delay) for delay in moments(8, duration)]
    assert codes.count(128 + signal_number) >= 2, codes
    take(opstower, work).assert_whole()


@pytest.mark.long
@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_at_100_moments(opstower, work, duration, signal_number):
    for delay in moments(100, duration):
        check_interrupted(opstower, work, signal_number, delay)
        clear(opstower)


PAUSE = 'case "$*" in *--version*) exec "{real}" --version;; esac\n'
PHASES = {
    "the plan": {"pg_dump": PAUSE + 'case "$*" in *-Fc*) touch "{flag}"; nap 20;; esac\nexec "{real}" "$@"'},
    "the schema": {"pg_restore": PAUSE + 'touch "{flag}"; nap 20; exec "{real}" "$@"'},
    "the large objects": {"pg_dump": PAUSE + 'case "$*" in *section=data*) touch "{flag}"; nap 20;; esac\nexec "{real}" "$@"'},
    "the roles": {"pg_dumpall": PAUSE + 'touch "{flag}"; nap 20; exec "{real}" "$@"'},
}


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("phase", PHASES)
def test_ends_at_once_while_a_child_makes(opstower, work, folder, phase, signal_number):
    flag = os.path.join(folder, "flag")
    scripts = {name: text.replace("{flag}", flag) for name, text in PHASES[phase].items()}
    bindir = backups.programs_with(folder, work.server, **scripts)
    process = opstower.popen("backup", env={"DATABASE_URL": work.url, "PG_BINDIR": bindir})
    deadline = time.monotonic() + 60
    while not os.path.exists(flag):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    started = time.monotonic()
    process.send_signal(signal_number)
    stdout, stderr = process.communicate(timeout=90)
    ended = time.monotonic() - started
    wait_until_gone(lambda: children_of(process.pid), 8, "children are left")
    assert ended < 8, f"{ended} s: it waited for the child, which takes 20"
    wait_until_gone(lambda: backups.our_backends(work.server), 8, "the server still works for us")
    assert backups.all_of(opstower) == []
    if signal_number == signal.SIGKILL:
        assert process.returncode == -signal_number
    else:
        assert process.returncode == 128 + signal_number, (stdout, stderr)
        assert backups.unfinished(opstower) == [] and stderr.count(b"[ERROR]") == 1


@pytest.mark.alone
def test_interrupted_while_it_waits_for_a_lock(opstower, work):
    holder = work.server.connect(work.name)
    holder.autocommit = False
    holder.cursor().execute("LOCK TABLE work IN ACCESS EXCLUSIVE MODE")
    try:
        for delay in (0.6, 2.5):    # in the wait, and in the pause before the next attempt
            process = opstower.popen("backup", "--lock-timeout", 1 if delay > 1 else 30, env={"DATABASE_URL": work.url})
            time.sleep(delay)
            started = time.monotonic()
            process.terminate()
            process.communicate(timeout=10)
            assert process.returncode == 143 and time.monotonic() - started < 1.5
            assert_nothing_runs(process, work)
    finally:
        holder.close()
    assert backups.all_of(opstower) == [] and backups.unfinished(opstower) == []


@pytest.mark.parametrize("share", [0.15, 0.35, 0.55, 0.75])
def test_the_server_is_stopped_in_the_middle(make_server, opstower, db, share):
    server = make_server()
    database = db(on=server)
    database.query(WORK)
    env = {"DATABASE_URL": database.url, "PG_BINDIR": server.bindir}
    started = time.monotonic()
    opstower("backup", env=env)
    duration = time.monotonic() - started
    clear(opstower)
    process = opstower.popen("backup", env=env)
    time.sleep(duration * share)
    server.stop(signal.SIGQUIT)
    stdout, stderr = process.communicate(timeout=60)
    process.output = (stdout + stderr).decode()
    if process.returncode == 0:     # it was just done
        backups.assert_only_whole(opstower)
    else:
        assert process.returncode in (5, 7), process.output
        assert len(error_lines(process)) == 1, process.output
        assert backups.all_of(opstower) == [] and backups.unfinished(opstower) == []
    server.start()
    opstower("backup", env=env)
    backups.assert_only_whole(opstower)


@pytest.mark.parametrize("victim", ["a worker", "the coordinator", "the watch"])
def test_one_session_is_ended_by_the_administrator(opstower, work, folder, victim):
    """pg_terminate_backend on one of ours while pg_dump reads the large objects slowly."""
    flag = os.path.join(folder, "flag")
    script = PAUSE + f'case "$*" in *section=data*) touch "{flag}"; until [ -e "{flag}.go" ]; do nap 0.02; done;; esac\nexec "{{real}}" "$@"'
    bindir = backups.programs_with(folder, work.server, pg_dump=script)
    process = opstower.popen("backup", "--jobs", 2, env={"DATABASE_URL": work.url, "PG_BINDIR": bindir})
    while not os.path.exists(flag):
        assert process.poll() is None
        time.sleep(0.01)
    order = work.server.query("SELECT pid, query FROM pg_stat_activity WHERE application_name ~ '^opstower'"
                              " AND datname = 'killwork' ORDER BY backend_start")
    assert len(order) == 4, order
    pid = {"the coordinator": order[0][0], "the watch": order[1][0], "a worker": order[2][0]}[victim]
    work.server.query("SELECT pg_terminate_backend(%s)", (pid,))
    pathlib.Path(flag + ".go").touch()
    stdout, stderr = process.communicate(timeout=60)
    process.output = (stdout + stderr).decode()
    if process.returncode == 0:
        # A session that had nothing more to do may go; what was written is whole all the same.
        assert victim != "the coordinator", "its snapshot was gone before the large objects were read"
        backups.assert_only_whole(opstower)
    else:
        assert process.returncode in (5, 7), process.output
        assert len(error_lines(process)) == 1, process.output
        assert backups.all_of(opstower) == []
    assert backups.unfinished(opstower) == []
    assert_nothing_runs(process, work)
