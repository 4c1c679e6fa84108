"""pgbouncer in front of a server of the tests, on a socket of its own."""
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse

from . import pgserver

SETTINGS = {"auth_type": "any", "pool_mode": "session", "default_pool_size": 20, "listen_addr": "", "listen_port": 6432,
            "server_round_robin": 0, "logfile": ""}


class PgBouncer:
    """`with PgBouncer(server, pool_mode="transaction") as pool:` pool.url(dbname)."""

    def __init__(self, server, aliases=None, **settings):
        self.folder = pgserver.temporary_folder("opstower-pool-")
        pgserver.make_folder(self.folder, 0o755, for_server=True)
        self.settings = {**SETTINGS, "unix_socket_dir": self.folder, **settings}
        self.server, self.process, self.aliases = server, None, aliases or {}

    def __enter__(self):
        path = os.path.join(self.folder, "pgbouncer.ini")
        with open(path, "w", encoding="utf-8") as file:
            there = f"host={self.server.socket} user=postgres"
            file.write(f"[databases]\n* = {there}\n")
            file.writelines(f"{alias} = {there} dbname={name}\n" for alias, name in self.aliases.items())
            file.write("[pgbouncer]\n")
            file.writelines(f"{name} = {value}\n" for name, value in self.settings.items())
        os.chmod(path, 0o644)
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = subprocess.Popen(pgserver.as_server_user([program, "-q", path]), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log()
            time.sleep(0.02)
        return self

    def __exit__(self, *exc_info):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def answers(self):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(f"{self.folder}/.s.PGSQL.{self.settings['listen_port']}") == 0

    def url(self, dbname, user="postgres"):
        query = {"host": self.folder, "port": self.settings["listen_port"], "user": user}
        return f"postgresql:///{urllib.parse.quote(dbname, safe='')}?{urllib.parse.urlencode(query, safe='/')}"
