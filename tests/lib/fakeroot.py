"""A root file system of its own, to install into: the program with its libraries, cron's real `crontab`, a `systemctl`
that writes down what it is told. It is entered by chroot, which needs no more than root."""
import os
import pathlib
import pwd
import re
import shutil
import subprocess

from . import runner

SYSTEMCTL = """#!/bin/sh
echo "$*" >> /systemctl.log
[ ! -e "/fail-$1" ] || { echo "systemctl: $1 refused" >&2; exit 1; }
case "$1" in show) cat /show ;; list-timers) cat /timers ;; esac
"""
CHROOT = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin")
NO_LEAKS = "detect_leaks=0"     # for a program with the address sanitizer, which looks for leaks by way of /proc
PROGRAM = "/opt/opstower/build/opstower"


def needed_libraries(program):
    """Paths of the shared libraries of a program and its loader."""
    shown = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", shown)


class FakeRoot:
    """One tree under `path`. root("schedule", "status") runs the program in it, as `user` or root."""

    def __init__(self, path, systemd=False, cron=True):
        self.path = pathlib.Path(path)
        for folder in ("tmp", "etc/cron.d", "etc/opstower", "etc/systemd/system", "usr/bin", "bin", "dev", "proc/self",
                       "var/spool/cron/crontabs", "opt/opstower/build", "opt/opstower/scripts", "run/systemd", "data"):
            (self.path / folder).mkdir(parents=True)
        os.chmod(self.path, 0o755)
        for folder in ("tmp", "data"):
            os.chmod(self.path / folder, 0o1777)
        self.programs(cron)
        self.accounts()
        os.symlink(PROGRAM, self.path / "proc/self/exe")
        self.write("/dev/null", "", 0o666)
        self.write("/proc/self/environ", f"ASAN_OPTIONS={NO_LEAKS}\0", 0o644)
        if systemd:
            (self.path / "run/systemd/system").mkdir()

    def programs(self, cron):
        self.copy(runner.binary(), PROGRAM)
        self.copy("/bin/dash", "/bin/sh")
        self.copy("/bin/cat", "/bin/cat")
        self.copy("/usr/bin/test", "/usr/bin/test")
        for script in (runner.ROOT / "scripts").iterdir():
            shutil.copy2(script, self.path / "opt/opstower/scripts")
        (self.path / "usr/bin/systemctl").write_text(SYSTEMCTL, encoding="utf-8")
        os.chmod(self.path / "usr/bin/systemctl", 0o755)
        if cron:
            self.copy("/usr/bin/crontab", "/usr/bin/crontab")

    def copy(self, source, target):
        target = self.path / target.lstrip("/")
        for library in needed_libraries(source):
            inside = self.path / library.lstrip("/")
            inside.parent.mkdir(parents=True, exist_ok=True)
            if not inside.exists():
                shutil.copy2(library, inside)
        shutil.copy2(source, target)

    def accounts(self):
        """The files of users and groups; crontab is what it is by its group, as on the real system."""
        for name in ("passwd", "group", "nsswitch.conf"):
            shutil.copy2(f"/etc/{name}", self.path / "etc" / name)
        crontab = self.path / "usr/bin/crontab"
        if crontab.exists():
            real = os.stat("/usr/bin/crontab")
            os.chown(crontab, 0, real.st_gid)
            os.chmod(crontab, 0o2755)
            os.chown(self.path / "var/spool/cron/crontabs", 0, real.st_gid)
            os.chmod(self.path / "var/spool/cron/crontabs", 0o1730)

    def file(self, name):
        return self.path / name.lstrip("/")

    def write(self, name, text, mode=0o600, owner=None):
        path = self.file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, mode)
        if owner:
            entry = pwd.getpwnam(owner)
            os.chown(path, entry.pw_uid, entry.pw_gid)
        return path

    def run(self, *command, user=None, env=None, stdin=b""):
        """Any program in it; a finished process with text output."""
        enter = [CHROOT, *([f"--userspec={user}"] if user else []), str(self.path), *map(str, command)]
        environment = {"PATH": "/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C.UTF-8", "HOME": "/data", **(env or {})}
        return subprocess.run(enter, capture_output=True, input=stdin, env=environment, check=False, timeout=60, cwd="/")

    def __call__(self, *arguments, check=0, **options):
        done = self.run(PROGRAM, *arguments, **options)
        result = runner.Result(["opstower", *arguments], done.returncode, done.stdout.decode(errors="replace"),
                               done.stderr.decode(errors="replace"))
        assert check is False or result.returncode == check, result
        return result

    def snapshot(self):
        """Every file with its content, so that two of them can be compared; the journal and the log aside."""
        found = {}
        for path in sorted(self.path.rglob("*")):
            name = str(path.relative_to(self.path))
            if name in ("systemctl.log",) or name.startswith("data"):
                continue
            found[name] = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        return found

    def told(self):
        """What systemctl was told, and forgets it."""
        log = self.file("systemctl.log")
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines
