"""Runs the program under test as a person would: own folder, clean environment, a time limit."""
import os
import pathlib
import signal
import subprocess

from .pgserver import make_folder

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Variables of the person who runs the tests that would change what opstower does.
FOREIGN = ("PG", "DATABASE_", "BACKUP_", "AWS_", "S3_", "OPSTOWER", "SLACK_", "PAGERDUTY_", "SMTP_", "CRITICAL_",
           "DASHBOARD_", "ALERT_", "HOOK_", "HEALTHCHECK_",
           "HEARTBEAT_")


def binary():
    return os.path.abspath(os.environ.get("OPSTOWER", ROOT / "build" / "opstower"))


def is_sanitized():
    """Built with sanitizers, which take memory for themselves: what it uses says nothing then."""
    return b"__asan_init" in pathlib.Path(binary()).read_bytes()


def preloaded(library):
    """Environment of a program with a library before its own ones; sanitizers want to be first, and are told."""
    options = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    return {"LD_PRELOAD": str(library), "ASAN_OPTIONS": options.lstrip(":")}


class Result:
    """returncode (negative: ended by that signal), stdout, stderr."""

    def __init__(self, command, returncode, stdout, stderr):
        self.command, self.returncode, self.stdout, self.stderr = command, returncode, stdout, stderr

    @property
    def output(self):
        return self.stdout + self.stderr

    def __repr__(self):
        return (f"$ {' '.join(map(str, self.command))}\nreturncode: {self.returncode}\n"
                f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}")


class Opstower:
    """opstower("verify", "latest") in `folder`, backups in `backup_dir`; `env` holds what every call gets."""

    def __init__(self, folder, env=None):
        self.folder = folder
        self.backup_dir = os.path.join(folder, "backups")
        home = make_folder(os.path.join(folder, "home"), 0o755)
        self.env = {"PATH": os.environ["PATH"], "HOME": home, "LC_ALL": "C.UTF-8", "TZ": "UTC",
                    "XDG_STATE_HOME": os.path.join(folder, "state"), "BACKUP_DIR": self.backup_dir}
        for name, value in os.environ.items():
            if not name.startswith(FOREIGN) and name not in self.env and name not in ("LANG", "LANGUAGE", "TERM"):
                self.env[name] = value
        self.env.update(env or {})

    def environment(self, env=None):
        """The environment of a call; a value of None removes a variable."""
        merged = {**self.env, **(env or {})}
        return {name: str(value) for name, value in merged.items() if value is not None}

    def popen(self, *args, env=None, **options):
        """Starts it in a session of its own (so without a terminal); the caller ends and waits for it."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                   "cwd": self.folder, "start_new_session": True, **options}
        return subprocess.Popen([binary(), *map(str, args)], env=self.environment(env), **options)

    def __call__(self, *args, env=None, input=None, check=True, timeout=300, **options):  # pylint: disable=W0622
        """Runs it to its end. check=True: exit code 0 is demanded; check=N: N; check=False: anything."""
        timeout *= float(os.environ.get("TEST_TIMEOUT_FACTOR", "1"))
        if input is not None:
            options["stdin"] = subprocess.PIPE
            input = input if isinstance(input, bytes) else input.encode()
        process = self.popen(*args, env=env, **options)
        try:
            stdout, stderr = process.communicate(input, timeout)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        result = Result(["opstower", *args], process.returncode, (stdout or b"").decode(errors="replace"),
                        (stderr or b"").decode(errors="replace"))
        if check is not False:
            assert result.returncode == (0 if check is True else check), result
        return result

    def files(self, pattern="*"):
        """Names in the backup folder, sorted."""
        return sorted(path.name for path in pathlib.Path(self.backup_dir).glob(pattern))

    def newest(self, pattern="*_[0-9]*.sql.gz"):
        """The newest backup file."""
        return max(pathlib.Path(self.backup_dir).glob(pattern), key=lambda path: (path.stat().st_mtime_ns, path.name))
