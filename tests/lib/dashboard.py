"""`opstower serve` for tests: started on a free port, asked over HTTP, and a folder with a past to show."""
import datetime
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import urllib.parse

from . import backups, runner


class Answer:
    """status, headers (lower case), body (bytes), text."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)


class Dashboard:
    """`with Dashboard(opstower) as d: d.get("/")`. `output` collects what it says."""

    def __init__(self, opstower, *arguments, env=None):
        self.arguments = ["serve", "--listen", "127.0.0.1:0", *arguments]
        self.opstower, self.env = opstower, env
        self.output = []
        self.process = self.url = self.host = self.port = None

    def __enter__(self):
        self.process = self.opstower.popen(*self.arguments, env=self.env, stderr=subprocess.STDOUT)
        for line in self.process.stdout:
            self.output.append(line.decode())
            found = re.search(r"Dashboard at (https?)://(\S+):(\d+)/", self.output[-1])
            if found:
                self.host, self.port = found[2].strip("[]"), int(found[3])
                self.url = f"{found[1]}://{found[2]}:{self.port}"
                threading.Thread(target=self._drain, daemon=True).start()
                return self
        self.process.wait()
        raise AssertionError(f"serve ended with {self.process.returncode}: {''.join(self.output)}")

    def _drain(self):
        for line in self.process.stdout:
            self.output.append(line.decode())

    def __exit__(self, *exc_info):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(30) == 0, "".join(self.output)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    def request(self, method, path, headers=None, body=None, timeout=30):
        connection = http.client.HTTPConnection("127.0.0.1" if self.host == "0.0.0.0" else self.host, self.port,
                                                timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, headers=None, status=200, **options):
        answer = self.request("GET", path, headers, **options)
        assert answer.status == status, (answer.status, answer.body)
        return answer

    def memory_kib(self):
        """Resident memory now; nothing under sanitizers, who take it for themselves."""
        if runner.is_sanitized():
            return 0
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(re.search(r"^VmRSS:\s+(\d+) kB", text, re.M)[1])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


# ---- a past ----------------------------------------------------------------------------------------------------------

def stamp(moment):
    return moment.strftime("%Y%m%d_%H%M%S")


def iso(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S+00:00")


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


class Past:
    """A folder as many runs would have left it, made from one real backup. Times are UTC, as the tests' TZ."""

    def __init__(self, opstower, database):
        self.opstower, self.database = opstower, database
        self.now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        self.folder = pathlib.Path(opstower.backup_dir)
        self.model = backups.take(opstower, database)
        self.model_meta = {key: value for key, value in self.model.meta.items() if key != "journal"}
        (self.folder / "journal.jsonl").unlink()
        self.lines = []

    def ago(self, **span):
        return self.now - datetime.timedelta(**span)

    def backup(self, moment, **meta):
        """One more backup of that moment; returns its id."""
        name = self.model.name
        made = backups.Backup(self.folder / f"{name}_{stamp(moment)}.sql.gz")
        if made.path != self.model.path:
            os.link(self.model.path, made.path)
        written = {**self.model_meta, "timestamp": made.timestamp, "id": made.id, "backup_file": made.path.name,
                   "date": iso(moment), "snapshot_time": iso(moment), "verified_at": iso(moment), **meta}
        made.beside(".meta.json").write_text(json.dumps(written), encoding="utf-8")
        self.line(moment, "backup", id=made.id, database=self.database.name, duration_seconds=int(written["duration_seconds"]),
                  size=int(written["backup_size"]))
        return made.id

    def line(self, moment, act, result="ok", code=0, **facts):
        """One line of the journal; they are sorted and chained by write."""
        self.lines.append((moment, {"act": act, "result": result, "code": code, **facts}))

    def write(self):
        """Writes the journal."""
        prev, text = "0" * 64, ""
        for seq, (moment, line) in enumerate(sorted(self.lines, key=lambda pair: pair[0]), 1):
            record = {"seq": seq, "time": iso(moment), **line, "who": "postgres", "host": "db1", "pid": 1,
                      "version": "1.0.0", "prev": prev}
            start = json.dumps(record, separators=(",", ":"), ensure_ascii=False)[:-1]
            whole = f'{start},"sum":"{sha256(start)}"}}'
            prev = sha256(whole)
            text += whole + "\n"
        (self.folder / "journal.jsonl").write_text(text, encoding="utf-8")

    def forget_model(self):
        for path in (self.model.path, self.model.beside(".meta.json"), self.model.beside(".globals.sql")):
            path.unlink(missing_ok=True)


def make_state(opstower, database, state):
    """Fills opstower's folder: "healthy", "warning" (3 hours old), "critical" (failing for 30 hours) or "empty"."""
    if state == "empty":
        os.makedirs(opstower.backup_dir)
        return
    past = Past(opstower, database)
    silent = {"healthy": 0, "warning": 3, "critical": 30}[state]
    for hours in range(silent, 24 * 14):
        moment = past.ago(hours=hours, minutes=2)
        if state != "healthy" and hours % 37 == 5:
            past.line(moment, "backup", "failed", 5, error='the server said: <b>no</b> & "gone"', database=database.name,
                      duration_seconds=3)
            continue
        proven = hours % 24 == 7
        made = past.backup(moment, state="proven" if proven else "verified", duration_seconds=100 + hours * 7 % 40,
                           type="pre-deployment" if hours % 50 == 0 else "hourly", **({"tag": "v1.4"} if hours % 50 == 0 else {}))
        if proven:
            past.line(moment, "verify", id=made, full_test=True, database=database.name, duration_seconds=300)
    for hours in range(silent if state == "critical" else 0):
        past.line(past.ago(hours=hours, minutes=2), "backup", "failed", 4, error="disk full", database=database.name,
                  duration_seconds=3)
    past.line(past.ago(days=12), "drill", scenario="corruption", database=database.name, duration_seconds=1500)
    past.line(past.ago(days=3), "restore", "failed", 11, database=database.name, duration_seconds=900, error="no space")
    past.write()
    past.forget_model()


def quote(text):
    return urllib.parse.quote(text, safe="")


def remove_folder(opstower):
    shutil.rmtree(opstower.backup_dir)
