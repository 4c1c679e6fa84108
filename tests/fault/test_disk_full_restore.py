"""A disk that fills up during a restore: on the server, or where the log and the pre-restore backup are written.

Production stays as it was, the server keeps running, one line says what happened, and when there is space again the
next restore works and has cleared what this one could not.
"""
import os
import re
import resource
import signal

import pytest

from conftest import create_database, drop_databases
from lib import backups, disks, pgserver
from lib.backups import error_lines
from lib.swing import Swing

TABLES = """
CREATE TABLE bookings (id int PRIMARY KEY, note text);
INSERT INTO bookings SELECT g, md5(g::text) || md5((g + 1)::text) FROM generate_series(1, {rows}) g;
CREATE TABLE small (id int PRIMARY KEY); INSERT INTO small SELECT generate_series(1, 10);
CREATE INDEX bookings_note ON bookings (note);
"""
CHANGES = "UPDATE small SET id = -id; CREATE TABLE later (id int)"
FULL = r"No space left on device|wrote only \d+ of \d+ bytes|File too large"

# When it fills up: just before a program of PostgreSQL is run with such arguments.
MOMENTS = {"before the side database": ("pg_dumpall", "*--globals-only*"),     # the pre-restore backup's last
           "before the schema": ("pg_restore", "*--verbose*pre-data*"),
           "before the indexes": ("pg_restore", "*--verbose*post-data*")}


class Place:
    """A server with a small disk, and a live database on it."""

    def __init__(self, wal_on_disk, data_on_disk=True, megabytes=260, rows=120000):
        self.server = pgserver.Server({"max_wal_size": "64MB", "min_wal_size": "32MB"})
        wal = pgserver.make_folder(os.path.join(self.server.folder, "wal"), 0o700, for_server=True)
        if not (wal_on_disk and data_on_disk):
            self.server.initdb_options.append(f"--waldir={wal}")
        self.disk = disks.Disk(self.server.data if data_on_disk else wal, megabytes, for_server=True)
        self.swing = None
        try:
            self.server.__enter__()
            self.swing = Swing(create_database(self.server, "live"), TABLES.format(rows=rows), CHANGES)
        except BaseException:
            self.remove()
            raise

    def remove(self):
        self.server.stop()
        self.disk.unmount()
        self.server.remove()
        if self.swing:
            self.swing.remove()

    def programs(self, moment, left_kb):
        program, arguments = MOMENTS[moment]
        script = f'case "$*" in {arguments}) {self.disk.fill_script(left_kb)};; esac; exec "{{real}}" "$@"'
        return {"PG_BINDIR": backups.programs_with(self.swing.folder, self.server, **{program: script})}

    def restore(self, number, moment, left_kb):
        """A restore while the disk fills up."""
        command = [word for word in self.swing.command(number)
                   if moment != "before the side database" or word != "--no-pre-backup"]
        return self.swing.opstower(*command, env=self.programs(moment, left_kb), check=False)


def assert_clean_failure(result):
    assert result.returncode in (4, 11), result
    assert len(error_lines(result)) == 1 and re.search(FULL, error_lines(result)[0]), result
    assert "live database was not changed" in error_lines(result)[0]


def assert_next_restore_works(swing, old):
    assert swing.which() == old
    swing.restore(1 - old)
    assert swing.family() == [], "the next restore leaves no side database"


def check_moment(place, moment, left_kb):
    swing, seen = place.swing, len(place.server.log())
    old = swing.which()
    result = place.restore(1 - old, moment, left_kb)
    assert_clean_failure(result)
    assert "PANIC" not in place.server.log()[seen:]
    assert swing.live.value("SELECT count(*) FROM bookings") == 120000, "there is somebody to ask"
    if "could not be removed now" in result.stderr:     # not a byte was left for that
        assert len(swing.family()) == 1
        again = swing.opstower(*swing.command(1 - old), check=4)
        assert len(error_lines(again)) == 1 and "disk is full" in error_lines(again)[0]
        assert "PANIC" not in place.server.log()[seen:] and len(swing.family()) == 1
    else:
        assert swing.family() == []
    place.disk.free()
    assert_next_restore_works(swing, old)


if disks.CAN_MOUNT:
    @pytest.fixture(scope="module", params=["data and WAL", pytest.param("data", marks=pytest.mark.long)])
    def place(request):
        made = Place(wal_on_disk="WAL" in request.param)
        yield made
        made.remove()

    @pytest.mark.parametrize("moment, left_kb", [
        ("before the side database", 4000), ("before the schema", 100), ("before the schema", 14000), ("before the indexes", 0),
        *(pytest.param(*further, marks=pytest.mark.long) for further in (
            ("before the side database", 0), ("before the schema", 0), ("before the schema", 5000), ("before the indexes", 3000)))])
    def test_the_servers_disk_fills_up(place, moment, left_kb):
        check_moment(place, moment, left_kb)

    def test_a_restore_that_cannot_fit_is_refused_before_anything_is_made(place):
        old = place.swing.which()
        place.disk.fill(20000)
        result = place.swing.opstower(*place.swing.command(1 - old), check=4)
        assert error_lines(result)[0].startswith("[ERROR] Insufficient disk space. Required: ")
        assert place.swing.family() == []
        place.disk.free()
        assert_next_restore_works(place.swing, old)

    def test_the_replaced_database_stays_if_there_is_no_space_to_drop_it(place):
        """The new one is in place, and the server runs."""
        swing, seen = place.swing, len(place.server.log())
        old = swing.which()
        fill = f'case "$*" in *--verbose*post-data*) {place.disk.fill_script(200)};; esac'
        bindir = backups.programs_with(swing.folder, place.server, pg_restore=f'"{{real}}" "$@" || exit 1; {fill}; exit 0')
        for _ in range(5):
            result = swing.opstower(*swing.command(1 - old), "--drop-replaced", env={"PG_BINDIR": bindir}, check=False)
            if result.returncode == 4:
                break
            # The server may be about to write a cache file at the beginning of a session just then.
            place.disk.free()
            assert result.returncode == 5 and "could not write init file" in result.stderr and swing.which() == old, result
        assert result.returncode == 4, result
        assert "the restore is done, but the old database is still there" in error_lines(result)[0]
        assert "PANIC" not in place.server.log()[seen:]
        place.disk.free()
        assert swing.which() == 1 - old and len(swing.family()) == 1
        swing.drop_replaced()

    def test_the_disk_of_the_wal_fills_up():
        """The server ends all sessions then and starts anew, whoever wrote: that is PostgreSQL's own answer."""
        place = Place(wal_on_disk=True, data_on_disk=False, megabytes=160, rows=400000)
        try:
            old = place.swing.which()
            place.server.query("ALTER SYSTEM SET max_wal_size = '4GB'")     # so that it grows
            place.server.query("SELECT pg_reload_conf()")
            seen = len(place.server.log())
            result = place.restore(1 - old, "before the schema", 1000)
            assert result.returncode > 0 and len(error_lines(result)) == 1, result
            assert "PANIC" in place.server.log()[seen:]
            place.disk.free()
            place.server.stop(signal.SIGQUIT)   # wherever it stands
            place.server.start()
            assert_next_restore_works(place.swing, old)
        finally:
            place.remove()

    def test_a_tablespaces_disk_fills_up(server, folder):
        path = pgserver.make_folder(os.path.join(folder, "space"), 0o700, for_server=True)
        disk = disks.Disk(path, 60, for_server=True)
        inner = pgserver.make_folder(os.path.join(path, "inner"), 0o700, for_server=True)
        server.query(f"CREATE TABLESPACE narrow LOCATION '{inner}'")
        live = create_database(server, "in_tablespace")
        swing = Swing(live, TABLES.format(rows=120000) + "ALTER TABLE bookings SET TABLESPACE narrow", CHANGES)
        try:
            disk.fill(3000)
            old = swing.which()
            assert_clean_failure(swing.opstower(*swing.command(1 - old), check=False))
            assert swing.family() == []
            disk.free()
            assert_next_restore_works(swing, old)
        finally:
            drop_databases(server, live.name)
            server.query("DROP TABLESPACE narrow")
            disk.unmount()
            swing.remove()


def test_a_limit_on_the_servers_file_sizes_ends_it_like_a_full_disk(make_server):
    """Where nothing can be mounted this is what remains. A file of the WAL has 16 MiB."""
    server = make_server()
    swing = Swing(create_database(server, "live"), TABLES.format(rows=220000), CHANGES)
    try:
        old = swing.which()
        swing.live.query("VACUUM")      # so that nothing of the live tables needs to be written meanwhile
        restart_with(server, ["prlimit", f"--fsize={17 << 20}"])
        assert_clean_failure(swing.opstower(*swing.command(1 - old), check=False))
        assert swing.family() == []
        restart_with(server, [])
        assert_next_restore_works(swing, old)
    finally:
        swing.remove()


def restart_with(server, wrapper):
    server.stop()
    server.wrapper = wrapper
    server.start()


# ---- where the log and the pre-restore backup are written ------------------------------------------------------------

@pytest.fixture(scope="module")
def swing(server):
    live = create_database(server, "disk_full_restore")
    made = Swing(live, TABLES.format(rows=1000) + "CREATE TABLE noise AS SELECT string_agg(md5(g::text || i), '') AS t"
                 " FROM generate_series(1, 400) g, generate_series(1, 1000) i GROUP BY g", CHANGES)
    yield made
    drop_databases(server, live.name)
    made.remove()


if disks.CAN_MOUNT:
    @pytest.fixture
    def disk(folder, swing):
        """What BACKUP_DIR is on meanwhile; the backup to restore lies elsewhere."""
        path = os.path.join(folder, "disk")
        os.mkdir(path)
        made = disks.Disk(path, 64)
        swing.opstower.env["BACKUP_DIR"] = path
        yield made
        swing.opstower.env["BACKUP_DIR"] = swing.opstower.backup_dir
        made.unmount()

    def test_no_space_for_the_log(swing, disk):
        old = swing.which()
        disk.fill(0)
        result = swing.opstower(*swing.command(1 - old), check=4)
        assert len(error_lines(result)) == 1 and "restore_" in error_lines(result)[0], result
        assert re.search(FULL, error_lines(result)[0]) and swing.family() == []
        disk.free()
        assert_next_restore_works(swing, old)

    @pytest.mark.parametrize("left_kb", [100, pytest.param(0, marks=pytest.mark.long), pytest.param(5000, marks=pytest.mark.long)])
    def test_no_space_for_the_pre_restore_backup(swing, disk, left_kb):
        old = swing.which()
        script = f'case "$*" in *post-data*) {disk.fill_script(left_kb)};; esac; exec "{{real}}" "$@"'
        bindir = backups.programs_with(swing.folder, swing.server, pg_restore=script)
        command = [word for word in swing.command(1 - old) if word != "--no-pre-backup"]
        result = swing.opstower(*command, env={"PG_BINDIR": bindir}, check=4)
        assert len(error_lines(result)) == 1 and "no pre-restore backup, so no restore" in error_lines(result)[0], result
        assert re.search(FULL, error_lines(result)[0]) and swing.family() == []
        assert not [name for name in os.listdir(disk.path) if name.endswith((".partial", ".gz", ".json"))]
        disk.free()
        assert_next_restore_works(swing, old)


def test_a_log_that_cannot_be_written_on_ends_a_restore_before_the_swap(swing):
    """Many lines of tables that are not there make the log longer than files may be."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))
    old = swing.which()
    tables = ",".join(f"no_such_table_{i}" for i in range(300))
    result = swing.opstower(*swing.command(1 - old), env={"CRITICAL_TABLES": tables}, preexec_fn=limit, check=4)
    assert len(error_lines(result)) == 1 and "restore_" in error_lines(result)[0], error_lines(result)
    assert "File too large" in error_lines(result)[0] and swing.family() == []
    assert_next_restore_works(swing, old)
