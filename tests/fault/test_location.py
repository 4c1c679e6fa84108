"""BACKUP_DIR on file systems that know less than ext4 does, on one that was mounted read-only, and on a disk that is nearly full."""
import os
import pathlib
import subprocess
import time

import pytest

from lib import backups, disks, runner
from lib.backups import take

SOURCE = pathlib.Path(__file__).with_name("otherfs.c")


@pytest.fixture(scope="module")
def otherfs(tmp_path_factory):
    path = tmp_path_factory.mktemp("otherfs") / "otherfs.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(path), str(SOURCE)], check=True)
    return path


@pytest.fixture
def small(opstower, db):
    database = db()
    database.query("CREATE TABLE t AS SELECT g AS a FROM generate_series(1, 100) g")
    opstower.env["DATABASE_URL"] = database.url
    return database


@pytest.mark.parametrize("kind", ["nfs", "fat", "lost"])
def test_backups_are_published_where_less_is_known(opstower, small, otherfs, kind):
    env = {**runner.preloaded(otherfs), "OTHER_FS": kind}
    first = take(opstower, small, env=env)
    second = take(opstower, small, env=env)
    for backup in (first, second):
        backup.assert_whole()
        assert backup.path.stat().st_nlink == 1
    assert backups.unfinished(opstower) == []
    opstower("verify", "latest", env=env)


@pytest.mark.parametrize("kind", ["nfs", "fat"])
def test_a_file_that_is_there_is_never_replaced(opstower, small, otherfs, kind):
    """Its metadata is there before the run asks for the name: no file of that second is touched."""
    env = {**runner.preloaded(otherfs), "OTHER_FS": kind}
    taken = take(opstower, small, env=env)
    data = taken.path.read_bytes()
    take(opstower, small, env=env)
    assert taken.path.read_bytes() == data


class ReadOnly:
    """A folder that cannot be written: by its mode, or for root, whom modes do not stop, by a mount."""

    def __init__(self, path):
        self.path, self.mounted = str(path), os.geteuid() == 0

    def __enter__(self):
        if self.mounted:
            subprocess.run(["mount", "--bind", self.path, self.path], check=True)
            subprocess.run(["mount", "-o", "remount,bind,ro", self.path], check=True)
        else:
            os.chmod(self.path, 0o500)

    def __exit__(self, *unused):
        if self.mounted:
            subprocess.run(["umount", self.path], check=True)
        else:
            os.chmod(self.path, 0o700)


if os.geteuid() != 0 or disks.CAN_MOUNT:
    def test_what_lies_in_a_read_only_folder_can_be_restored(opstower, small, server):
        backup = take(opstower, small)
        small.query("DELETE FROM t")
        before = sorted(os.listdir(opstower.backup_dir))
        with ReadOnly(opstower.backup_dir):
            assert "PASS" in opstower("verify", "latest").output
            assert backup.id in opstower("list").stdout
            opstower("status", check=False)
            refused = opstower("restore", "latest", "--force", check=3)
            assert "--no-pre-backup" in refused.stderr and small.value("SELECT count(*) FROM t") == 0
            restored = opstower("restore", "latest", "--force", "--no-pre-backup")
            assert "[WARN] There will be no log" in restored.output
            beside = opstower("restore", "latest", "--force", "--target-db", small.name + "_beside")
            assert beside.returncode == 0
            opstower("restore", "latest", "--table", "t")
            elsewhere = pathlib.Path(opstower.folder, "elsewhere")
            time.sleep(1.1)     # the replaced database's name holds the second, and no folder tells of the other restore
            opstower("restore", backup.path, "--force", env={"BACKUP_DIR": elsewhere})
            opstower("backup", "--local-only", check=3)
        assert small.value("SELECT count(*) FROM t") == 100
        assert sorted(os.listdir(opstower.backup_dir)) == before
        assert any(name.endswith(".sql.gz") for name in os.listdir(elsewhere))
        assert small.name + "_beside" in server.databases()


if disks.CAN_MOUNT:
    @pytest.fixture
    def disk(opstower):
        os.makedirs(opstower.backup_dir)
        made = disks.Disk(opstower.backup_dir, 64)
        yield made
        made.unmount()

    def test_a_database_that_became_small_needs_little_space(opstower, small, disk):
        """The last backup was large: what is needed is judged by what the database has by now, too."""
        small.query("CREATE TABLE big AS SELECT g, (SELECT string_agg(md5((g + i)::text || random()), '') FROM generate_series(1, 100) i) AS b FROM generate_series(1, 10000) g")
        size = take(opstower, small).path.stat().st_size
        disk.fill(left_kb=18000)
        assert 18000 << 10 < size * 5 / 4
        assert "Insufficient disk space" in opstower("backup", "--local-only", check=4).stderr
        small.query("TRUNCATE big")
        take(opstower, small)
