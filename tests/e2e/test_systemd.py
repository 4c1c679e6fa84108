"""The timers and services under a real systemd, with all of their sandbox, and the lines of a real cron (lib/machine.py)."""
import json
import os
import shutil
import socket
import time
import urllib.request

import pytest

from conftest import create_database, drop_databases
from lib import backups
from lib.clock import shifted
from lib.hookserver import HookServer
from lib.machine import PROGRAM, Machine

JOBS = ["opstower-backup", "opstower-verify", "opstower-restore-test", "opstower-drill", "opstower-watch"]
FOLDER, SOCKET = "/var/backups/opstower", "/srv/socket"
NOWHERE = f"postgresql://postgres@/nowhere?host={SOCKET}"
ENV_FILE = "/etc/opstower/backup.env"
DONE = "[INFO] OpsTower Database Backup - Completed Successfully"
STAMP = "/var/lib/systemd/timers/stamp-opstower-backup.timer"


@pytest.fixture(scope="module", name="machine")
def _machine(server):
    with Machine({server.socket: SOCKET}) as started:
        yield started


@pytest.fixture(scope="module", name="database")
def _database(server):
    made = create_database(server, "under_systemd")
    made.query("CREATE TABLE bookings (id int PRIMARY KEY, note text); "
               "INSERT INTO bookings SELECT g, md5(g::text) FROM generate_series(1, 5000) g")
    yield made
    drop_databases(server, made.name)


@pytest.fixture(scope="module", name="alerts")
def _alerts():
    with HookServer() as started:
        yield started


def states(alerts, since):
    """Of the alerts on failed backups."""
    return [post.json["state"] for post in alerts.posts("/told")[since:] if post.json["key"].endswith("failed-backup")]


class Host:
    """What an administrator does on the machine."""

    def __init__(self, machine, database, alerts):
        self.machine, self.alerts = machine, alerts
        self.settings = {"DATABASE_URL": f"postgresql://postgres@/{database.name}?host={SOCKET}", "BACKUP_DIR": FOLDER,
                         "ALERT_WEBHOOK_URL": alerts.url("/told")}

    def configure(self, owner="root", **settings):
        lines = [f"{name}='{value}'\n" for name, value in {**self.settings, **settings}.items()]
        path = self.file(ENV_FILE)
        path.write_text("".join(lines), encoding="utf-8")
        path.chmod(0o600)
        shutil.chown(path, owner)

    def file(self, name):
        return self.machine.path / name.lstrip("/")

    def opstower(self, *words, check=0):
        done = self.machine.run(PROGRAM, *words, check=False)
        assert done.returncode == check, done
        return done

    def install(self, *words):
        """With timers that wait for a day that no test will see: the hour may strike during one. While they are up, systemd
        does not forget how a service ended."""
        for job in JOBS:
            folder = self.file(f"/run/systemd/system/{job}.timer.d")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "never.conf").write_text("[Timer]\nOnCalendar=\nOnCalendar=2099-01-01\n", encoding="utf-8")
        self.opstower("schedule", "install", *words)
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "restart", *[f"{job}.timer" for job in JOBS])

    def wake(self):
        """The timers' own times are those that count."""
        self.machine.run("sh", "-c", "rm -rf /run/systemd/system/opstower-*.timer.d")
        self.machine.run("systemctl", "daemon-reload")

    def status(self):
        return json.loads(self.opstower("schedule", "status", "--json").stdout)["jobs"]

    def start(self, job):
        """Runs a job's service to its end: (how systemd says that it ended, what is in the system's journal of this run)."""
        self.machine.run("systemctl", "start", f"{job}.service", check=False)
        run = self.machine.property(f"{job}.service", "InvocationID")
        self.machine.run("journalctl", "--sync")
        ended = self.machine.property(f"{job}.service", "Result"), self.machine.property(f"{job}.service", "ExecMainStatus")
        return ended, self.machine.log(f"_SYSTEMD_INVOCATION_ID={run}")

    def backups(self):
        folder = self.file(FOLDER)
        return [backups.Backup(path) for path in sorted(folder.glob("under_systemd_[0-9]*.sql.gz"))] if folder.exists() else []


@pytest.fixture(name="host")
def _host(machine, database, alerts):
    """Installed, with nothing backed up."""
    made = Host(machine, database, alerts)
    made.configure()
    made.install()
    yield made
    made.configure()
    made.opstower("schedule", "remove")
    made.wake()
    machine.run("systemctl", "reset-failed")
    machine.run("rm", "-rf", FOLDER, STAMP)


def active_timers(machine):
    shown = machine.run("systemctl", "list-timers", "--no-pager", "--output=json", "opstower-*").stdout
    return {each["unit"]: each["next"] // 1_000_000 for each in json.loads(shown)}


def test_the_timers_are_up_after_install_and_gone_after_remove(host, machine):
    host.opstower("schedule", "remove")
    host.wake()
    host.opstower("schedule", "install")
    for _ in range(3):      # time may pass such a point between the two looks
        jobs = json.loads(host.opstower("schedule", "status", "--json").stdout)["jobs"]
        expected = {f"{job['name']}.timer": job["next"][:16] for job in jobs}
        told = {unit: time.strftime("%Y-%m-%dT%H:%M", time.localtime(when)) for unit, when in active_timers(machine).items()}
        if told == expected:
            break
    assert told == expected and sorted(told) == sorted(f"{name}.timer" for name in JOBS)
    assert all(machine.property(unit, "UnitFileState") == "enabled" for unit in expected)
    host.opstower("schedule", "remove")
    assert active_timers(machine) == {} and list(host.file("/etc/systemd/system").rglob("opstower-*")) == []
    assert machine.property("opstower-backup.timer", "LoadState") == "not-found"
    host.opstower("schedule", "status", check=1)


def test_each_service_does_its_work_in_its_sandbox(host):
    """The full test starts a scratch server, as another user, inside of it."""
    ended, log = host.start("opstower-backup")
    assert ended == ("success", "0"), log
    (backup,) = host.backups()
    backup.assert_whole()
    assert DONE in log and "[ERROR]" not in log, log
    for job, said in (("opstower-verify", "PASS"), ("opstower-restore-test", "full restoration test"),
                      ("opstower-drill", "full restoration test"), ("opstower-watch", "")):
        ended, log = host.start(job)
        assert ended[0] == "success" and said.lower() in log.lower() and "[ERROR]" not in log, (job, ended, log)
    assert host.backups()[0].meta["state"] == "proven"


def test_journalctl_shows_what_the_guide_says(host, machine):
    host.start("opstower-backup")
    machine.run("journalctl", "--sync")
    by_unit, by_name = machine.log("--unit=opstower-backup"), machine.log("--identifier=opstower-backup")
    assert DONE in by_unit and DONE in by_name
    done = machine.log("OPSTOWER_ACT=backup", "--lines=1", "--output=json")
    entry, (backup,) = json.loads(done), host.backups()
    assert (entry["SYSLOG_IDENTIFIER"], entry["_SYSTEMD_UNIT"]) == ("opstower-backup", "opstower-backup.service")
    assert (entry["OPSTOWER_ID"], entry["OPSTOWER_RESULT"], entry["OPSTOWER_CODE"]) == (backup.id, "ok", "0")
    host.opstower("verify", "nothing", check=10)
    machine.run("journalctl", "--sync")
    failed = json.loads(machine.log("OPSTOWER_RESULT=failed", "--lines=1", "--output=json"))
    assert (failed["SYSLOG_IDENTIFIER"], failed["OPSTOWER_CODE"], failed["PRIORITY"]) == ("opstower-verify", "10", "3")


def test_a_service_that_fails_is_seen_to_have_failed_and_told(host, machine, alerts):
    told = len(alerts.posts("/told"))
    host.configure(DATABASE_URL=NOWHERE)
    for _ in range(2):
        ended, log = host.start("opstower-backup")
        assert ended == ("exit-code", "5") and 'FATAL: database "nowhere" does not exist' in log, (ended, log)
        assert machine.run("systemctl", "is-failed", "opstower-backup.service", check=False).stdout == "failed\n"
    assert states(alerts, told) == ["trigger"], "once, not each hour"
    host.configure()
    host.start("opstower-backup")
    assert len(host.backups()) == 1


def test_the_watch_is_no_failed_unit_when_what_it_sees_is_bad(host, machine):
    for code in "11":       # nothing there, and not due yet; one backup, with which nothing can be compared yet
        ended, log = host.start("opstower-watch")
        assert ended == ("success", code), (ended, log)
        assert machine.run("systemctl", "is-failed", "opstower-watch.service", check=False).stdout != "failed\n"
        host.start("opstower-backup")
    host.configure(BACKUP_KEEP_MIN="many")
    ended, log = host.start("opstower-watch")
    assert ended == ("exit-code", "3") and "[ERROR]" in log, "it could not look"


def test_a_missed_run_is_caught_up_by_one(host, machine):
    """As after the machine was off for ten hours: the stamp of the last run is that old when the timer starts."""
    began = time.time()
    old = began - 36000
    stamp = host.file(STAMP)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.touch()
    os.utime(stamp, (old, old))
    host.wake()
    machine.run("systemctl", "restart", "opstower-backup.timer")
    until = time.monotonic() + 60
    while not host.backups() and time.monotonic() < until:
        time.sleep(0.1)
    while machine.property("opstower-backup.service", "ActiveState") == "activating":
        time.sleep(0.1)
    machine.run("systemctl", "restart", "opstower-backup.timer")
    assert machine.property("opstower-backup.service", "ActiveState") == "inactive" and stamp.stat().st_mtime > old + 3600
    assert len(host.backups()) == 1 + int(time.time() // 3600 - began // 3600)


def test_run_as_an_ordinary_user(host, machine, alerts):
    """What root does in the user's folder, before and in between, is not in the user's way."""
    host.opstower("schedule", "remove")
    machine.run("rm", "-rf", FOLDER)
    host.configure(owner="backup")
    host.install("--run-as", "backup")
    for job in JOBS[:3]:
        ended, log = host.start(job)
        assert ended == ("success", "0"), (job, log)
    host.opstower("backup")
    assert [backup.meta["state"] for backup in host.backups()] == ["proven", "verified"]
    host.opstower("status", "--alert")
    told = len(alerts.posts("/told"))
    host.configure(owner="backup", DATABASE_URL=NOWHERE)
    for _ in range(2):
        ended, log = host.start("opstower-backup")
        assert ended == ("exit-code", "5"), (ended, log)
    assert states(alerts, told) == ["trigger"], "what was told is remembered, although each service has its own /tmp"
    owners = {path.name: path.owner() for path in host.file(FOLDER).iterdir() if not path.is_symlink()}
    assert set(owners.values()) == {"backup"}, owners


def answer(url):
    """Of the dashboard, once it listens."""
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as got:
                return got.read().decode()
        except OSError:
            assert time.monotonic() < until, f"no answer from {url}"
            time.sleep(0.05)


def test_the_dashboard_stays_up_in_its_sandbox(host, machine):
    """It is started again when it dies; a setting that it refuses is a failed unit, and not tried for ever."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    host.configure(DASHBOARD_LISTEN=f"127.0.0.1:{port}")
    host.start("opstower-backup")
    host.install("--with-serve")
    assert answer(f"http://127.0.0.1:{port}/healthz").strip() == "ok"
    assert host.backups()[0].id in answer(f"http://127.0.0.1:{port}/api/backups")
    assert "[ERROR]" not in machine.log("--unit=opstower-serve")
    assert {job["name"]: job["enabled"] for job in host.status()}["opstower-serve"]
    machine.run("systemctl", "kill", "--signal=KILL", "opstower-serve.service")
    until = time.monotonic() + 60
    while machine.property("opstower-serve.service", "NRestarts") == "0" and time.monotonic() < until:
        time.sleep(0.1)
    assert answer(f"http://127.0.0.1:{port}/healthz").strip() == "ok"
    host.configure(DASHBOARD_LISTEN="nowhere")
    machine.run("systemctl", "restart", "opstower-serve.service", check=False)
    while machine.property("opstower-serve.service", "ActiveState") != "failed" and time.monotonic() < until + 60:
        time.sleep(0.1)
    assert machine.property("opstower-serve.service", "ActiveState") == "failed"
    host.configure()
    host.opstower("schedule", "remove")
    assert machine.property("opstower-serve.service", "LoadState") == "not-found"


HOOK = """#!/bin/sh
echo "hook of $OPSTOWER_ID" > {folder}/told || exit 3
if echo x > /etc/opstower-was-here; then exit 4; fi
echo "may not write to /etc"
"""


def test_a_hook_is_in_the_sandbox_too(host):
    """It may write where backups lie, and nowhere else."""
    hook = host.file("/usr/local/bin/hook")
    hook.write_text(HOOK.format(folder=FOLDER), encoding="utf-8")
    hook.chmod(0o755)
    host.configure(HOOK_POST_BACKUP="/usr/local/bin/hook")
    host.install()
    ended, log = host.start("opstower-backup")
    assert ended == ("success", "0") and "may not write to /etc" in log, log
    assert host.file(FOLDER + "/told").read_text(encoding="utf-8") == f"hook of {host.backups()[0].id}\n"
    assert not host.file("/etc/opstower-was-here").exists()


def test_a_real_cron_runs_what_install_wrote(host, machine):
    """Whose clock is a few seconds before the full hour; the jobs have the right time."""
    host.opstower("schedule", "remove")
    machine.run("sh", "-c", "rm -f /etc/crontab /etc/cron.d/*")
    host.opstower("schedule", "install", "--cron")
    clock = shifted(3600 - time.time() % 3600 - 5)
    machine.run("systemd-run", "--unit=cron-of-the-test", *[f"--setenv={name}={value}" for name, value in clock.items()],
                "/usr/sbin/cron", "-f")
    try:
        shown = json.loads(host.opstower("schedule", "status", "--cron", "--json").stdout)
        assert shown["kind"] == "cron" and all(job["enabled"] for job in shown["jobs"])
        until = time.monotonic() + 60
        while not host.backups() and time.monotonic() < until:
            time.sleep(0.1)
        (backup,) = host.backups()
        backup.assert_whole()
    finally:
        machine.run("systemctl", "stop", "cron-of-the-test")
        host.opstower("schedule", "remove", "--cron")
    assert not host.file("/etc/cron.d/opstower").exists()
