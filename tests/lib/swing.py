"""A live database that swings between two contents, each of which it has a backup of: what a restore that fails or is
ended in the middle must leave is exactly one of them."""
import subprocess
import time

from . import backups, oracle, pgserver, runner


class Swing:
    """tables makes the first content of the empty database `live`, changes makes the second one of it."""

    def __init__(self, live, tables, changes):
        self.live, self.server, self.folder = live, live.server, pgserver.temporary_folder("opstower-swing-")
        self.opstower = runner.Opstower(self.folder, {"PG_BINDIR": self.server.bindir})
        self.opstower.env.update({"DATABASE_URL": live.url, "BACKUP_JOBS": "2"})
        live.query(tables)
        self.pictures, self.backups = [self.picture()], [backups.take(self.opstower, live)]
        live.query(changes)
        self.pictures.append(self.picture())
        self.backups.append(backups.take(self.opstower, live))
        assert self.pictures[0] != self.pictures[1]
        started = time.monotonic()
        self.restore(0)
        self.duration = time.monotonic() - started

    def picture(self):
        return (oracle.data_fingerprints(self.live.url), oracle.schema_dump(self.live.url),
                str(oracle.database_properties(self.live.url)))

    def which(self):
        """0 or 1: the content of the live database. Fails if it is neither, or missing."""
        found = self.picture()
        assert found in self.pictures, "the live database is neither the old nor the new one: " + str(
            [oracle.differences(found[0], picture[0])[:3] for picture in self.pictures])
        return self.pictures.index(found)

    def command(self, number):
        return ("restore", self.backups[number].path, "--force", "--no-pre-backup", "--quiet")

    def restore(self, number):
        self.opstower(*self.command(number))
        assert self.which() == number
        self.drop_replaced()

    def family(self):
        return [name for name in self.server.databases() if name.startswith(self.live.name + "_")]

    def drop_replaced(self):
        for name in self.family():
            if "_replaced_" in name:
                self.server.query(f'DROP DATABASE "{name}" WITH (FORCE)')

    def sessions(self):
        return self.server.query("SELECT pid FROM pg_stat_activity WHERE application_name ~ '^(opstower|pg_restore)'"
                                 " AND datname IS NOT NULL")

    def wait_for_the_end(self, seconds=60):
        """Until the server has seen that its client is gone."""
        deadline = time.monotonic() + seconds
        while self.sessions():
            assert time.monotonic() < deadline, "sessions of the ended restore stay"
            time.sleep(0.02)

    def remove(self):
        subprocess.run(["rm", "-rf", self.folder], check=True)
