"""Every write, fsync, close, rename, ... of a backup, and of a restore, is made to fail in turn (failcall.c)."""
import errno
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest

from conftest import create_database, drop_databases
from lib import backups, runner
from lib.backups import error_lines, take
from lib.swing import Swing

SOURCE = pathlib.Path(__file__).with_name("failcall.c")
SMALL = """
CREATE TABLE small (id int PRIMARY KEY, t text); INSERT INTO small SELECT g, md5(g::text) FROM generate_series(1, 50) g;
CREATE TABLE wide (t text); INSERT INTO wide SELECT repeat(md5(g::text), 30000) FROM generate_series(1, 9) g;
SELECT lo_from_bytea(4711, 'x');
"""


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("failcall") / "failcall.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", path, SOURCE, "-ldl"], check=True)
    return path


class Faulty:
    """Runs a backup (or another command) in which a call fails; says what it was about and how many there were."""

    def __init__(self, library, opstower, database):
        self.library, self.opstower, self.database = library, opstower, database
        self.report = os.path.join(opstower.folder, "failcall.report")

    def __call__(self, call, at, error, every=False, command=("backup", "--jobs", 1)):
        if os.path.exists(self.report):
            os.unlink(self.report)
        env = {**runner.preloaded(self.library), "FAIL_UNDER": self.opstower.folder, "FAIL_CALL": call, "FAIL_AT": at,
               "FAIL_ERRNO": error, "FAIL_REPORT": self.report, "DATABASE_URL": self.database.url}
        if every:
            env["FAIL_EVERY"] = 1
        result = self.opstower(*command, env=env, check=False, timeout=90)
        text = pathlib.Path(self.report).read_text(encoding="utf-8")
        result.struck = re.findall(r"^failed \w+ (.+)$", text, re.M)
        result.seen = int(re.search(r"^seen (\d+)$", text, re.M)[1])
        return result


@pytest.fixture
def faulty(library, opstower, db):
    assert os.path.basename(runner.binary()) == "opstower", "failcall.c knows the program by this name"
    database = db()
    database.query(SMALL)
    return Faulty(library, opstower, database)


# Call -> its error, and how many of them a backup makes at least: the test would be empty if they were not seen.
CALLS = {"write": (errno.ENOSPC, 20), "fsync": (errno.EIO, 8), "close": (errno.EIO, 4), "rename": (errno.EIO, 4),
         "symlink": (errno.ENOSPC, 1), "open": (errno.ENOSPC, 5), "mkdir": (errno.ENOSPC, 1), "ftruncate": (errno.EIO, 1)}
# Failures that lose nothing: the lock file's text is of no use any more when it is closed.
HARMLESS = {"close": r"/\.(.*\.(backup\.lock|inuse)|alerts\.lock)( \(deleted\))?$"}
# GLib tries to make a folder twice; once it did, all is well.
PERSISTENT = {"mkdir"}


def assert_fault_was_handled(result, opstower, what):
    assert result.returncode > 0, f"{what}: {result}"
    assert len(error_lines(result)) == 1, f"{what}: {result}"
    backups.assert_only_whole(opstower)
    leftovers = [name for name in backups.unfinished(opstower)]
    assert leftovers == [], f"{what}: {leftovers}"


def fresh_folder(opstower):
    shutil.rmtree(opstower.backup_dir, ignore_errors=True)


@pytest.mark.parametrize("call", CALLS)
def test_no_failing_call_goes_unnoticed(faulty, opstower, call):
    error, at_least = CALLS[call]
    counted = faulty(call, 0, error)
    assert counted.returncode == 0 and counted.seen >= at_least, counted
    struck = []
    for at in range(1, 1000):
        fresh_folder(opstower)
        result = faulty(call, at, error, every=call in PERSISTENT)
        if not result.struck:
            assert result.returncode == 0, result
            break
        struck += result.struck
        what = f"{call} number {at} on {result.struck[0]}"
        if call in HARMLESS and re.search(HARMLESS[call], result.struck[0]):
            assert result.returncode == 0, f"{what}: {result}"
            continue
        assert_fault_was_handled(result, opstower, what)
        if error == errno.ENOSPC and call == "write" and result.struck[0].endswith(".partial"):
            assert result.returncode == 4, f"{what}: {result}"
        if at % 8 == 1:     # the folder that it leaves is good for the next run
            take(opstower, faulty.database).assert_whole()
            assert backups.unfinished(opstower) == [], what
    assert len(struck) >= at_least and any(path.endswith(".partial") or call in ("mkdir", "rename", "ftruncate")
                                           for path in struck)


@pytest.mark.long
@pytest.mark.parametrize("error", [errno.EIO, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("call", ["write", "open", "rename", "symlink", "mkdir"])
def test_no_failing_call_goes_unnoticed_whatever_the_error(faulty, opstower, call, error):
    for at in range(1, 1000):
        fresh_folder(opstower)
        result = faulty(call, at, error, every=call in PERSISTENT)
        if not result.struck:
            assert at > CALLS[call][1]
            return
        assert_fault_was_handled(result, opstower, f"{call} number {at} on {result.struck[0]}")


@pytest.mark.parametrize("call, error", [("write", errno.EINTR), ("write", 0)], ids=["interrupted", "short"])
def test_a_write_that_must_be_repeated_is_repeated(faulty, opstower, call, error):
    for at in range(1, 1000, 6):
        result = faulty(call, at, error)
        assert result.returncode == 0, f"{call} number {at} on {result.struck}: {result}"
        if not result.struck:
            assert at > CALLS[call][1]
            break
    for backup in backups.all_of(opstower):
        backup.assert_whole()
        assert backup.log.count("Completed Successfully") == 1


def test_a_disk_that_stays_broken_is_no_different(faulty, opstower):
    for call in ("write", "fsync", "close", "rename", "open"):
        for at in (2, 5):
            fresh_folder(opstower)
            result = faulty(call, at, errno.EIO, every=True)
            if all(path.endswith(".lock") for path in result.struck):
                continue    # also when there are not so many
            assert result.returncode > 0 and error_lines(result), f"{call} from number {at} on: {result}"
            backups.assert_only_whole(opstower)


FAILS = 'case "$*" in *--version*) exec "{real}" --version;; esac\nexit 1'


# ---- restore -------------------------------------------------------------------------------------------------------
# It writes its log only. What cannot be logged is not done; but if it is done already, that is said.

@pytest.fixture(scope="module")
def swing(server):
    made = Swing(create_database(server, "failcall_restore"), SMALL, "DROP TABLE wide")
    yield made
    drop_databases(server, made.live.name)
    made.remove()


@pytest.mark.parametrize("call, error, step", [("write", errno.ENOSPC, 3), ("fsync", errno.EIO, 1), ("close", errno.EIO, 1),
                                               ("open", errno.ENOSPC, 1)])
def test_no_failing_call_of_a_restore_goes_unnoticed(library, swing, call, error, step):
    faulty, outcomes = Faulty(library, swing.opstower, swing.live), []
    for at in range(1, 1000, step):
        old = swing.which()
        result = faulty(call, at, error, command=swing.command(1 - old))
        done = swing.which() != old
        if not result.struck:
            assert result.returncode == 0 and done, result
            break
        what = f"{call} number {at} on {result.struck}"
        outcomes.append(done)
        if call in HARMLESS and re.search(HARMLESS[call], result.struck[0]):
            assert result.returncode == 0 and done, f"{what}: {result}"
            swing.drop_replaced()
            continue
        assert result.returncode > 0 and len(error_lines(result)) == 1, f"{what}: {result}"
        assert done == ("all is done, but" in result.stderr), f"{call} number {at}: {result}"
        swing.drop_replaced()
        assert swing.family() == []
    assert outcomes == sorted(outcomes) and len(outcomes) >= (10 if call == "write" else 1)
    assert call == "open" or outcomes[-1], "the last ones come after the swap"
    swing.drop_replaced()


# ---- unlink --------------------------------------------------------------------------------------------------------
# A file that cannot be removed is an error where removing it was the task (leftovers of a killed run, old backups),
# and changes nothing where it was not there or where something else failed already.

def test_leftovers_that_cannot_be_removed_are_an_error(faulty, opstower):
    os.makedirs(opstower.backup_dir, mode=0o700)
    leftover = pathlib.Path(opstower.backup_dir) / f".{faulty.database.name}_20260101_000000.sql.gz.partial"
    leftover.write_text("half", encoding="utf-8")
    result = faulty("unlink", 1, errno.EIO)
    assert result.struck == [str(leftover)] and result.returncode == 14, result
    assert len(error_lines(result)) == 1 and str(leftover) in error_lines(result)[0]
    assert backups.all_of(opstower) == []
    take(opstower, faulty.database)
    assert not leftover.exists()


def make_older(backup, old_id, stamp):
    """Gives a backup the files it would have, had it been taken at that time."""
    folder = backup.path.parent
    meta = backup.beside(".meta.json")
    fields = json.loads(pathlib.Path(meta).read_text(encoding="utf-8"))
    os.rename(folder / fields["log"], folder / f"backup_{stamp}.log")
    date = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.strptime(stamp, "%Y%m%d_%H%M%S"))
    fields.update(id=old_id, timestamp=stamp, date=date, backup_file=f"{old_id}.sql.gz", log=f"backup_{stamp}.log")
    pathlib.Path(meta).write_text(json.dumps(fields), encoding="utf-8")
    for ending in (".sql.gz", ".meta.json", ".globals.sql"):
        os.rename(backup.beside(ending), folder / (old_id + ending))


def test_an_old_backup_that_cannot_be_deleted_is_an_error_of_a_complete_backup(faulty, opstower):
    old = take(opstower, faulty.database)
    take(opstower, faulty.database)
    stamp = time.strftime("%Y%m%d_%H%M%S", time.gmtime(time.time() - 3 * 86400))
    old_id = f"{old.name}_{stamp}"
    make_older(old, old_id, stamp)
    env = {"BACKUP_KEEP_MIN": "1", "BACKUP_RETENTION_DAYS": "1"}
    faulty.opstower.env.update(env)
    seen = faulty("unlink", 0, errno.EIO).seen
    assert seen >= 5 and opstower.files(old_id + "*") == [] and opstower.files(f"backup_{stamp}.log") == [], "with its log"
    failures = 0
    for at in range(1, seen + 1):
        fresh_folder(opstower)
        old = take(opstower, faulty.database)
        make_older(old, old_id, stamp)
        result = faulty("unlink", at, errno.EIO)
        assert result.struck
        if result.struck[0].endswith(("_latest.sql.gz.partial", ".inuse")):
            assert result.returncode == 0, result   # there was none; an empty file too many
            continue
        failures += 1
        assert result.returncode == 14 and "the backup is complete, but old ones could not be deleted" in result.stderr
        assert len(error_lines(result)) == 1
        whole = [backup for backup in backups.all_of(opstower) if backup.timestamp != stamp]
        assert len(whole) == 1
        whole[0].assert_whole()
        take(opstower, faulty.database)
        assert opstower.files(f"{old_id}*") == [], f"the next run finishes what failed on {result.struck}"
    assert failures >= 3


def test_a_partial_file_that_cannot_be_removed_after_a_failure_goes_with_the_next_run(faulty, opstower):
    faulty.opstower.env["PG_BINDIR"] = backups.programs_with(opstower.folder, faulty.database.server, pg_restore=FAILS)
    result = faulty("unlink", 1, errno.EIO, every=True)
    assert result.returncode > 0 and len(error_lines(result)) == 1, result
    assert backups.unfinished(opstower) != [] and backups.all_of(opstower) == []
    faulty.opstower.env["PG_BINDIR"] = faulty.database.server.bindir
    take(opstower, faulty.database)
    assert backups.unfinished(opstower) == []
