"""What the tests know of a backup folder: which files are there, whether each is whole, and what stock tools make of it."""
import ctypes
import ctypes.util
import datetime
import gzip
import hashlib
import json
import os
import pathlib
import re
import stat
import subprocess
import time

from . import oracle
from .pgserver import program

DUMP = re.compile(r"^(.+)_(\d{8}_\d{6})\.sql\.gz$")
TRAILER = re.compile(rb"-- OpsTower trailer: contents at \d{20} packed \d{20} plain \d{20} sha256 [0-9a-f]{64}\n\Z")


class Backup:
    """One backup by the path of its .sql.gz."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.name, self.timestamp = DUMP.match(self.path.name).groups()
        self.id = f"{self.name}_{self.timestamp}"

    def beside(self, ending):
        return self.path.parent / (self.id + ending)

    @property
    def meta(self):
        return json.loads(self.beside(".meta.json").read_text(encoding="utf-8"))

    @property
    def log(self):
        return (self.path.parent / f"backup_{self.timestamp}.log").read_text(encoding="utf-8")

    def text(self):
        """The SQL text, by another gzip reader than opstower's."""
        with gzip.open(self.path) as file:
            return file.read()

    def contents(self):
        """The lines of the contents member, without their comment signs."""
        after = self.text().split(b"\n-- OpsTower contents\n")[-1]
        return [line[3:] for line in after.split(b"\n") if line.startswith(b"-- ")]

    def assert_whole(self):
        """Complete by all that a stranger can see: gzip, trailer, and the metadata's size and digest."""
        subprocess.run(["gzip", "-t", str(self.path)], check=True)
        assert TRAILER.search(self.text()), f"{self.path} does not end with a trailer"
        assert self.meta["backup_size"] == str(self.path.stat().st_size)
        assert self.meta["sha256"] == hashlib.sha256(self.path.read_bytes()).hexdigest()


def take(opstower, database, *arguments, env=None, **options):
    """`opstower backup` of a database; the Backup it made."""
    before = set(opstower.files("*.sql.gz"))
    opstower("backup", "--local-only", *arguments, env={"DATABASE_URL": database.url, **(env or {})}, **options)
    made = [name for name in opstower.files("*.sql.gz") if DUMP.match(name) and name not in before]
    assert len(made) == 1, f"one new backup was expected: {made}"
    return Backup(os.path.join(opstower.backup_dir, made[0]))


def moved(backup, seconds):
    """The same backup as if the server's clock had been that far ahead: name and metadata."""
    then = datetime.datetime.fromisoformat(backup.meta["snapshot_time"]) + datetime.timedelta(seconds=seconds)
    meta = {**backup.meta, "snapshot_time": then.isoformat(), "date": then.isoformat()}
    meta["timestamp"] = then.strftime("%Y%m%d_%H%M%S")
    new = Backup(backup.path.with_name(f"{backup.name}_{meta['timestamp']}.sql.gz"))
    meta.update(id=new.id, backup_file=new.path.name)
    backup.path.rename(new.path)
    backup.beside(".meta.json").unlink()
    new.beside(".meta.json").write_text(json.dumps(meta), encoding="utf-8")
    return new


def all_of(opstower):
    """Every file under a final backup name."""
    return [Backup(os.path.join(opstower.backup_dir, name)) for name in opstower.files() if DUMP.match(name)]


def unfinished(opstower):
    """Names that a finished run does not leave: partial files, and sidecars without a backup."""
    names = os.listdir(opstower.backup_dir) if os.path.isdir(opstower.backup_dir) else []
    found = [name for name in names if name.endswith(".partial")]
    for ending in (".meta.json", ".globals.sql"):
        found += [name for name in names if name.endswith(ending) and name[:-len(ending)] + ".sql.gz" not in names]
    return sorted(found)


def assert_only_whole(opstower):
    """Nothing under a final name is anything but a complete backup, and the link leads to one (if it is there)."""
    for backup in all_of(opstower):
        backup.assert_whole()
    for name in opstower.files("*_latest.sql.gz"):
        path = pathlib.Path(opstower.backup_dir) / name
        assert path.is_symlink() and DUMP.match(os.readlink(path)) and path.exists(), f"{name} leads nowhere"


def error_lines(result):
    return [line for line in result.output.split("\n") if line.startswith("[ERROR]")]


def restore_with_stock_tools(backup, url):
    """gunzip -c F | psql -v ON_ERROR_STOP=1 -d URL; fails on the first error of either."""
    pipe = 'set -o pipefail; gunzip -c "$1" | "$2" -X -q -v ON_ERROR_STOP=1 -d "$3" > /dev/null'
    result = subprocess.run(["bash", "-c", pipe, "-", str(backup.path), program("psql"), url], capture_output=True,
                            check=False, env=oracle.clean_environment())
    assert result.returncode == 0, result.stderr.decode(errors="replace")


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


class _Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


def row_fingerprint(lines):
    """Sum modulo 2^128 of XXH3-128 over COPY lines (newline included), as docs/FORMAT.md has it."""
    library = ctypes.CDLL(ctypes.util.find_library("xxhash"))
    library.XXH3_128bits.restype = _Hash128
    library.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    total = 0
    for line in lines:
        value = library.XXH3_128bits(line, len(line))
        total += value.high << 64 | value.low
    return f"{total % 2**128:032x}"


# Ends with the shell at once when a signal comes: a `sleep` of its own would live on and keep the pipes open.
NAP = """#!/bin/bash
nap() { mkfifo "$0.$$"; exec 8<>"$0.$$"; rm "$0.$$"; read -r -t "$1" -u 8; exec 8>&-; }
"""


def programs_with(folder, server, **scripts):
    """A folder for PG_BINDIR: the server's programs, some replaced by shell scripts (keyword: name; None: missing).
    In a script, {real} is the true program's path, and `nap N` waits for N seconds."""
    bindir = os.path.join(folder, "bin")
    os.makedirs(bindir, exist_ok=True)
    for name in ("pg_dump", "pg_restore", "pg_dumpall", "initdb", "postgres", "psql"):
        path, real = os.path.join(bindir, name), os.path.join(server.bindir, name)
        if os.path.lexists(path):
            os.unlink(path)
        if scripts.get(name, "") is None:
            continue
        if name in scripts:
            pathlib.Path(path).write_text(NAP + scripts[name].replace("{real}", real), encoding="utf-8")
            os.chmod(path, 0o755)
        else:
            os.symlink(real, path)
    return bindir


def our_backends(server):
    """Sessions of opstower and its children on a server."""
    return server.query("SELECT pid, datname, state, left(query, 80) FROM pg_stat_activity"
                        " WHERE application_name ~ '^(opstower|pg_dump|pg_restore)'")


def wait_until_gone(server, seconds=60):
    """Until the server has seen that nobody of ours is there any more; that comes after the program's end."""
    deadline = time.monotonic() + seconds
    while found := our_backends(server):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
