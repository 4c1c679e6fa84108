"""A disk that is too small: said before it begins, and survived when it fills up in the middle."""
import os
import re
import resource
import signal

import pytest

from lib import backups, disks
from lib.backups import error_lines, take

MB = 1 << 20


@pytest.fixture
def disk(folder):
    """disk(megabytes) makes a small file system (as root) and gives it."""
    mounted = []

    def make(megabytes):
        path = os.path.join(folder, f"disk{len(mounted)}")
        os.mkdir(path)
        mounted.append(disks.Disk(path, megabytes))
        return mounted[-1]
    yield make
    for each in mounted:
        each.unmount()


def incompressible(megabytes):
    """SQL that makes a table whose backup is about that large (hexadecimal digits of random bytes pack to half)."""
    rows = megabytes * 2 * MB // 8192
    return ("CREATE TABLE noise AS SELECT g AS id, (SELECT string_agg(md5(random()::text || g || i), '') "
            f"FROM generate_series(1, 256) i) AS t FROM generate_series(1, {rows}) g")


@pytest.fixture
def noisy(db):
    """A database whose backup takes about 8 MB."""
    database = db()
    database.query(incompressible(8))
    return database


def limited_to(size):
    """For preexec_fn: files may not grow beyond size. Without Python's own SIG_IGN for what happens then."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return limit


def assert_clean_failure(opstower, result, words):
    assert result.returncode == 4, result
    assert len(error_lines(result)) == 1 and words in error_lines(result)[0], result
    assert backups.all_of(opstower) == [] and backups.unfinished(opstower) == []


if disks.CAN_MOUNT:
    def test_too_little_space_is_said_before_anything_is_written(opstower, noisy, disk):
        opstower.backup_dir = opstower.env["BACKUP_DIR"] = disk(8).path
        result = opstower("backup", env={"DATABASE_URL": noisy.url}, check=False)
        assert_clean_failure(opstower, result, "Insufficient disk space")
        assert re.match(r"\[ERROR\] Insufficient disk space\. Required: [0-9.]+[KMG]B, Available: [0-9.]+[KMG]?B\b",
                        error_lines(result)[0])

    def test_the_need_is_taken_from_the_last_backup(opstower, noisy, disk):
        """A quarter more than that one takes."""
        opstower.backup_dir = opstower.env["BACKUP_DIR"] = disk(20).path
        last = take(opstower, noisy)
        with open(last.path, "ab") as file:
            file.truncate(12 * MB)     # sparse: as large as it says, and takes no space
        result = opstower("backup", env={"DATABASE_URL": noisy.url}, check=4)
        said = re.search(r"Required: ([0-9.]+)MB, Available: ([0-9.]+)MB", error_lines(result)[0])
        assert float(said[1]) == pytest.approx(15, abs=1.1) and float(said[2]) < 15

    def test_no_more_is_needed_than_the_database_has_by_now(opstower, noisy, disk):
        opstower.backup_dir = opstower.env["BACKUP_DIR"] = disk(64).path
        last = take(opstower, noisy)
        with open(last.path, "ab") as file:
            file.truncate(60 * MB)
        opstower("backup", env={"DATABASE_URL": noisy.url})

    @pytest.mark.parametrize("left_kb", [0, 4, 16, 64, 1000, 4000, 7000])
    def test_a_disk_that_fills_up_in_the_middle(opstower, noisy, disk, left_kb):
        """A database without a backup is estimated by its size; one of random text takes more than that."""
        small = disk(18)
        opstower.backup_dir = opstower.env["BACKUP_DIR"] = small.path
        # Enough is free when it looks; then somebody else takes it away.
        script = ('case "$*" in *--version*) exec "{real}" --version;; esac\n' + small.fill_script(left_kb)
                  + 'exec "{real}" "$@"')
        bindir = backups.programs_with(opstower.folder, noisy.server, pg_restore=script)
        result = opstower("backup", env={"DATABASE_URL": noisy.url, "PG_BINDIR": bindir}, timeout=60, check=4)
        assert len(error_lines(result)) == 1
        assert "No space left on device" in error_lines(result)[0], result
        assert backups.all_of(opstower) == [] and backups.unfinished(opstower) == []
        small.free()
        opstower("backup", env={"DATABASE_URL": noisy.url})
        backups.assert_only_whole(opstower)
        assert backups.unfinished(opstower) == []


@pytest.mark.parametrize("limit", [4096, 100_000, MB, 5 * MB])
def test_a_limit_on_file_sizes_ends_it_like_a_full_disk(opstower, noisy, limit):
    result = opstower("backup", env={"DATABASE_URL": noisy.url}, preexec_fn=limited_to(limit), check=False)
    assert_clean_failure(opstower, result, "File too large")
    take(opstower, noisy).assert_whole()


def test_a_limit_on_the_log_file_is_an_error_too(opstower, noisy):
    result = opstower("backup", env={"DATABASE_URL": noisy.url}, preexec_fn=limited_to(120), check=False)
    assert result.returncode > 0 and len(error_lines(result)) >= 1, result
    assert backups.all_of(opstower) == []
