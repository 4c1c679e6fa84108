"""A restore --in-place killed at any step: the database is never without a way back, and the next run finds what is to be done.

Only between the drop and the end of the load is there no database; then the pre-restore backup is proven, and nothing was
committed that it lacks.
"""
import pytest

from conftest import create_database, drop_databases
from lib import backups
from lib.swing import Swing

TABLES = """
CREATE TABLE users (id int PRIMARY KEY, name text);
INSERT INTO users SELECT g, md5(g::text) FROM generate_series(1, 3000) g;
CREATE TABLE bookings (id int PRIMARY KEY, note text);
INSERT INTO bookings SELECT g, repeat('note ', g % 50) FROM generate_series(1, 20000) g; CREATE INDEX ON bookings (note);
"""
CHANGES = "UPDATE users SET name = 'new ' || id; DELETE FROM bookings WHERE id % 2 = 0"

# By what the server does then: the side database; the rename; the comparison of what was renamed; the drop; the load.
PHASES = {"the side database": ("^CREATE DATABASE|^COMMENT ON DATABASE", ""), "the rename": ("^ALTER DATABASE .* RENAME", ""),
          "the comparison": (".", "_replaced_"), "the drop": ("^DROP DATABASE .*_replaced_", ""),
          "the load": ("^COPY .*FROM stdin", "_restoring_"), "the indexes": ("^CREATE INDEX", "_restoring_")}


@pytest.fixture(scope="module")
def setting(server):
    made = Swing(create_database(server, "kill_in_place"), TABLES, CHANGES)
    yield made
    made.remove()
    drop_databases(server, made.live.name)


def kill_at(setting, number, pattern, database):
    """False: the restore was over before."""
    process = setting.opstower.popen("restore", setting.backups[number].path, "--force", "--in-place", "--quiet")
    seen, watch = False, setting.server.connect()
    with watch.cursor() as cursor:
        while process.poll() is None and not seen:
            cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query ~ %s AND datname ~ %s"
                           " LIMIT 1", (pattern, database))
            seen = cursor.fetchone() is not None
    process.kill()
    process.communicate(timeout=60)
    watch.close()
    setting.wait_for_the_end()
    return seen


@pytest.mark.parametrize("phase", [phase if phase in ("the comparison", "the load") else pytest.param(phase, marks=pytest.mark.long)
                                   for phase in PHASES])
def test_an_in_place_restore_killed_in_each_phase(setting, phase):
    old = setting.which()
    seen = any(kill_at(setting, 1 - setting.which(), *PHASES[phase]) for _ in range(5))
    assert seen or phase in ("the rename", "the drop"), "these two are over quickly"
    made = [backup for backup in backups.all_of(setting.opstower) if backup.meta["type"] == "pre-restore"]
    gone = setting.live.name not in setting.server.databases()
    aside = [name for name in setting.family() if "_replaced_" in name]
    if gone and not aside:
        assert phase not in ("the side database", "the rename", "the comparison"), "nothing is dropped before that"
        newest = max(made, key=lambda backup: backup.timestamp)
        assert newest.meta["state"] == "proven"
        setting.opstower("restore", newest.path, "--force", "--no-pre-backup", "--quiet")
        assert setting.which() == old
    elif gone:
        # The next run puts it right before all else; this one does no more, for there is nobody to ask.
        result = setting.opstower("restore", setting.backups[old].path, "--no-pre-backup", check=12)
        assert f"put {setting.live.name} out of use; it is brought back" in result.stderr and setting.which() == old
    setting.restore(setting.which())
    assert setting.family() == []
