"""A private PostgreSQL server in a temporary folder: unix socket only, gone when the tests are.

PostgreSQL refuses to run as root; as root its programs run as the user `postgres`.
The server runs from a private copy of its installation (the programs copied, everything else linked), because
that is the one way, as root and as anybody, to give it an extension of ours: see INSTALL below.
"""
import contextlib
import glob
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse

import psycopg2

from . import ports

# None of PostgreSQL's own extensions marks a table for pg_dump (pg_extension_config_dump), so the tests bring one.
# PostgreSQL 15 looks for extensions only in its share folder, which it finds relative to the running program.
EXTENSION = {
    "odd_config.control": """\
comment = 'an extension with configuration tables'
default_version = '1.0'
relocatable = false
schema = odd_config
""",
    "odd_config--1.0.sql": r"""
\echo Use "CREATE EXTENSION odd_config" to load this file. \quit
CREATE TABLE setting (name text PRIMARY KEY, value text, builtin boolean NOT NULL DEFAULT false);
CREATE TABLE everything (id serial PRIMARY KEY, note text);
CREATE TABLE private_cache (id int PRIMARY KEY, note text);
CREATE SEQUENCE ticket;
INSERT INTO setting VALUES ('shipped', 'with the extension', true);
INSERT INTO private_cache VALUES (1, 'not for a dump: the extension''s script makes it');
SELECT pg_catalog.pg_extension_config_dump('setting', 'WHERE NOT builtin');
SELECT pg_catalog.pg_extension_config_dump('everything', '');
SELECT pg_catalog.pg_extension_config_dump('everything_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('ticket', '');
""",
    "keyed_config.control": "comment = 'configuration tables that refer to each other'\ndefault_version = '1.0'\nschema = public\n",
    "keyed_config--1.0.sql": r"""
CREATE TABLE z_parent (id int PRIMARY KEY);
CREATE TABLE a_child (id int PRIMARY KEY REFERENCES z_parent, CHECK (id > 0));
INSERT INTO z_parent SELECT g FROM pg_catalog.generate_series(1, 3) g;
SELECT pg_catalog.pg_extension_config_dump('z_parent', 'WHERE id > 3');
SELECT pg_catalog.pg_extension_config_dump('a_child', '');
""",
    "bound_name.control": "comment = 'only in the database that cluster_name names'\ndefault_version = '1.0'\nschema = public\n",
    "bound_name--1.0.sql": r"""
DO $$ BEGIN
    IF pg_catalog.current_database() <> pg_catalog.current_setting('cluster_name') THEN
        RAISE EXCEPTION 'can only create extension in database %', pg_catalog.current_setting('cluster_name');
    END IF;
END $$;
CREATE TABLE bound_job (id int);
SELECT pg_catalog.pg_extension_config_dump('bound_job', '');
""",
}

SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "100",
    "max_prepared_transactions": "10",
    "wal_level": "logical",
    "max_wal_senders": "4",
    "shared_buffers": "64MB",
    "max_wal_size": "4GB",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] %a %d ",
    "timezone": "UTC",
}

# One user with a password, for the tests of a wrong one; everyone else is trusted on this private socket.
HBA = """\
local all odd_login scram-sha-256
local all all trust
local replication all trust
"""


def find_bindir():
    """The folder of the newest server programs."""
    found = [path for path in glob.glob("/usr/lib/postgresql/*/bin/postgres")]
    if found:
        return os.path.dirname(max(found, key=lambda path: int(path.split("/")[4])))
    for program in ("postgres", "pg_ctl"):
        if shutil.which(program):
            return os.path.dirname(os.path.realpath(shutil.which(program)))
    raise RuntimeError("no PostgreSQL server programs found; run packaging/install-deps.sh test")


BINDIR = find_bindir()


def program(name):
    """The full path of a PostgreSQL program: not Debian's wrapper of the same name, which is slower."""
    return os.path.join(BINDIR, name)


def server_user():
    """Whom the server runs as: None means as ourselves."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None


def as_server_user(command):
    """A command that runs as the server's user and ends with us, however we end."""
    prefix = ["setpriv", "--pdeathsig", "QUIT"]
    if server_user():
        prefix += ["--reuid=postgres", "--regid=postgres", "--init-groups"]
    return prefix + list(command)


def make_folder(path, mode=0o700, for_server=False):
    os.makedirs(path, exist_ok=True)
    os.chmod(path, mode)
    if for_server and server_user():
        os.chown(path, server_user().pw_uid, server_user().pw_gid)
    return path


def temporary_folder(prefix, where="/tmp"):
    """A folder that the server's user can pass through (pytest's own tmp_path is closed to it).

    Its path stays short: a unix socket's path has at most 107 bytes.
    """
    path = tempfile.mkdtemp(prefix=prefix, dir=where)
    os.chmod(path, 0o711)
    return path


def fast_place():
    """Where a server's data are best: in memory, if there is enough. A database is hundreds of files that are made and
    deleted again; on ext4 that takes longer than all the rest."""
    with contextlib.suppress(OSError):
        shared = os.statvfs("/dev/shm")
        with open("/proc/meminfo", encoding="ascii") as file:
            free_kb = int(re.search(r"^MemAvailable:\s+(\d+) kB", file.read(), re.M)[1])
        if min(shared.f_bavail * shared.f_frsize, free_kb * 1024) > 4 << 30:
            return "/dev/shm"
    return "/tmp"


def remove_at_our_end(*folders):
    """A process that removes the folders when its input ends, which it does at our end too, however we end."""
    return subprocess.Popen(["sh", "-c", 'cat; rm -rf "$@"', "sh", *folders], stdin=subprocess.PIPE, start_new_session=True)


def pg_config(key):
    return subprocess.run([program("pg_config"), f"--{key}"], capture_output=True, text=True, check=True).stdout.strip()


def private_installation(folder):
    """Copies the server's programs and links its libraries and share files, then adds EXTENSION. Returns its bindir."""
    bindir, libdir, sharedir = pg_config("bindir"), pg_config("pkglibdir"), pg_config("sharedir")
    inner = {path: folder + path for path in (bindir, libdir, sharedir)}
    for path in (bindir, sharedir + "/extension"):
        os.makedirs(folder + path)
    for name in os.listdir(bindir):
        shutil.copy2(os.path.join(bindir, name), inner[bindir])
    os.symlink(libdir, inner[libdir])
    for source, target in ((sharedir, inner[sharedir]), (sharedir + "/extension", inner[sharedir] + "/extension")):
        for name in os.listdir(source):
            if name != "extension":
                os.symlink(os.path.join(source, name), os.path.join(target, name))
    for name, text in EXTENSION.items():
        with open(os.path.join(inner[sharedir], "extension", name), "w", encoding="utf-8") as file:
            file.write(text)
    subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    return inner[bindir]


_templates = {}


def template_of(bindir, options):
    """The data folder of a fresh cluster, made once for each kind; it lives as long as we do."""
    key = (bindir.rsplit("/install/", 1)[-1], *options)
    if key not in _templates:
        folder = temporary_folder("opstower-pg-", fast_place())
        _templates[key] = os.path.join(folder, "data"), remove_at_our_end(folder)
        run_initdb(bindir, make_folder(_templates[key][0], for_server=True), options)
    return _templates[key][0]


def run_initdb(bindir, data, options):
    command = [os.path.join(bindir, "initdb"), "-D", data, "--username=postgres", "--auth=trust", "--no-sync", *options]
    result = subprocess.run(as_server_user(command), capture_output=True, text=True, check=False, cwd="/")
    if result.returncode != 0:
        raise RuntimeError(f"initdb failed: {result.stdout}{result.stderr}")


class Server:
    """One server. `with Server() as server:` starts it and leaves nothing behind."""

    def __init__(self, settings=None, encoding="UTF8", locale="C.UTF-8", bindir=None):
        self.folder = temporary_folder("opstower-pg-")
        self.bindir = bindir or private_installation(make_folder(os.path.join(self.folder, "install"), 0o755))
        self.fast = temporary_folder("opstower-pg-", fast_place())
        self.janitor = remove_at_our_end(self.folder, self.fast)
        self.data = make_folder(os.path.join(self.fast, "data"), 0o700, for_server=True)
        self.socket = make_folder(os.path.join(self.folder, "s"), 0o755, for_server=True)
        self.logfile = os.path.join(self.folder, "server.log")
        self.settings = {**SETTINGS, "unix_socket_directories": self.socket, **(settings or {})}
        self.initdb_options = [f"--encoding={encoding}", f"--locale={locale}"]
        self.wrapper = []     # a command that runs the server: ["prlimit", ...]
        self.process = None

    def __enter__(self):
        try:
            self.initdb()
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *exc_info):
        self.remove()

    def initdb(self):
        if os.path.ismount(self.data) or any(option.startswith("--waldir") for option in self.initdb_options):
            run_initdb(self.bindir, self.data, self.initdb_options)
        else:
            subprocess.run(["cp", "-a", template_of(self.bindir, self.initdb_options) + "/.", self.data], check=True)
        with open(os.path.join(self.data, "pg_hba.conf"), "w", encoding="utf-8") as file:
            file.write(HBA)
        with open(os.path.join(self.data, "postgresql.auto.conf"), "w", encoding="utf-8") as file:
            for key, value in self.settings.items():
                file.write(f"{key} = '{value}'\n")

    def start(self, timeout=60):
        with open(self.logfile, "ab") as log:
            # The child is the postmaster itself: setpriv and we know its process id without asking anybody.
            command = self.wrapper + as_server_user([os.path.join(self.bindir, "postgres"), "-D", self.data])
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                            start_new_session=True)
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.connect().close()
                return
            except psycopg2.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server did not start: {error}\n{self.log()}") from error
                time.sleep(0.05)

    def stop(self, how=signal.SIGINT, timeout=60):
        """SIGTERM: waits for clients. SIGINT: ends them (fast). SIGQUIT: at once, recovers at the next start."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(timeout)
        self.process = None

    def remove(self):
        self.stop()
        self.janitor.stdin.close()
        self.janitor.wait()

    def log(self):
        with open(self.logfile, encoding="utf-8", errors="replace") as file:
            return file.read()

    def url(self, dbname="postgres", user="postgres", password=None):
        """postgresql:///NAME?host=...&user=..., as a person would write it in DATABASE_URL."""
        query = {"host": self.socket, "user": user}
        if password is not None:
            query["password"] = password
        return f"postgresql:///{urllib.parse.quote(dbname, safe='')}?{urllib.parse.urlencode(query, safe='/')}"

    def connect(self, dbname="postgres", **options):
        connection = psycopg2.connect(host=self.socket, dbname=dbname, user=options.pop("user", "postgres"), **options)
        connection.autocommit = True
        return connection

    def query(self, sql, parameters=None, dbname="postgres"):
        """Runs one statement; its rows, or [] if it has none."""
        connection = self.connect(dbname)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def databases(self):
        return [row[0] for row in self.query("SELECT datname FROM pg_database ORDER BY 1")]


class TcpServer(Server):
    """A server on TCP (and its socket), which asks for passwords on TCP."""

    def __init__(self):
        self.port, self.claim = ports.claim()
        super().__init__({"listen_addresses": "127.0.0.1", "port": str(self.port)})

    def remove(self):
        super().remove()
        self.claim.close()

    def initdb(self):
        super().initdb()
        with open(os.path.join(self.data, "pg_hba.conf"), "a", encoding="utf-8") as file:
            file.write("host all all 127.0.0.1/32 scram-sha-256\n")

    def connect(self, dbname="postgres", **options):
        return super().connect(dbname, port=self.port, **options)


def standby_of(primary, make_server, settings=None):
    """A hot standby, which streams from it. make_server: the fixture."""
    standby = make_server({"hot_standby": "on", **(settings or {})})
    standby.stop()
    subprocess.run(["rm", "-rf", standby.data], check=True)
    subprocess.run([os.path.join(primary.bindir, "pg_basebackup"), "-h", primary.socket, "-U", "postgres", "-D", standby.data,
                    "-R", "-c", "fast", "-X", "stream"], check=True)
    owner = server_user()
    if owner:
        subprocess.run(["chown", "-R", f"{owner.pw_uid}:{owner.pw_gid}", standby.data], check=True)
    with open(os.path.join(standby.data, "postgresql.auto.conf"), "a", encoding="utf-8") as file:
        file.write(f"unix_socket_directories = '{standby.socket}'\n")
        file.writelines(f"{name} = '{value}'\n" for name, value in (settings or {}).items())
    standby.start()
    return standby
