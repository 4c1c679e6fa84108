"""The guide's cadence by systemd's timers and by cron: what is installed, what is left when it is removed, what is refused.

Installed is into a root of its own (lib/fakeroot.py). What the units mean is asked of the real systemd-analyze, what the
cron lines mean of the real crontab and of a shell.
"""
import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
from calendar import timegm

import pytest

from lib import backups, clock, fakeroot, runner

NAMES = ["opstower-backup", "opstower-verify", "opstower-restore-test", "opstower-drill", "opstower-watch"]
CRON_NAMES = [*NAMES[:4], "opstower-catch-up", NAMES[4]]
SECRET = "s3cret-of-the-database"
ENV = f"DATABASE_URL=postgresql://app:{SECRET}@db.example/app\nBACKUP_DIR=/data/backups\n" \
      "ALERT_EMAIL=ops@example.com\n"
MARK = '# Made by "opstower schedule install"'
OTHERS = "# mine\nMAILTO=me@example.com\n\n5 4 * * *\techo 'a  b' % c\n@daily  true   \n"


def unit_names():
    return sorted(name + ending for name in NAMES for ending in (".service", ".timer"))


@pytest.fixture
def make_root(folder):
    def make(env=ENV, **options):
        root = fakeroot.FakeRoot(os.path.join(folder, "root"), **options)
        root.write("/etc/opstower/backup.env", env)
        return root
    return make


def journal(root):
    lines = root.file("/data/backups/journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def units(root):
    return sorted(path.name for path in root.file("/etc/systemd/system").iterdir())


def printed(opstower, *arguments, env_text=ENV, check=True):
    """What `schedule print` prints with a .env file, by file name."""
    file = pathlib.Path(opstower.folder, "job.env")
    file.write_text(env_text, encoding="utf-8")
    file.chmod(0o600)
    result = opstower("schedule", "print", "--json", "--env-file", str(file), "--unit-dir", opstower.folder, *arguments,
                      check=check)
    return {os.path.basename(each["file"]): each["text"] for each in json.loads(result.stdout)} if check is True else result


# ---- install and remove ----

def test_systemd_units_come_and_go_without_a_trace(make_root):
    root = make_root(systemd=True)
    before = root.snapshot()
    root("schedule", "install")
    assert units(root) == unit_names()
    assert root.told() == ["daemon-reload"] + [f"enable --now {name}.timer" for name in NAMES]
    assert not root.file("/etc/cron.d/opstower").exists()
    for name in unit_names():
        path = root.file(f"/etc/systemd/system/{name}")
        text = path.read_text(encoding="utf-8")
        assert text.startswith(MARK) and SECRET not in text and backups.mode_of(path) == 0o644
    root("schedule", "remove")
    expected = [word for name in NAMES for word in (f"disable --now {name}.timer", f"clean --what=state {name}.timer")]
    assert root.told() == expected + ["clean --what=runtime opstower-watch.service", "daemon-reload"]
    assert root.snapshot() == before
    assert [(line["act"], line["result"], line["kind"]) for line in journal(root)] == [
        ("schedule-install", "ok", "systemd"), ("schedule-remove", "ok", "systemd")]


def test_without_systemd_root_gets_a_cron_file_that_goes_without_a_trace(make_root):
    root = make_root()
    before = root.snapshot()
    result = root("schedule", "install")
    assert "no cron daemon is running" in result.stderr
    path = root.file("/etc/cron.d/opstower")
    text = path.read_text(encoding="utf-8")
    assert text.startswith(MARK) and SECRET not in text and backups.mode_of(path) == 0o644
    assert re.search(r"^0 \* \* \* \* root .* /opt/opstower/scripts/backup-database\.sh --quiet$", text, re.M)
    assert units(root) == [] and root.told() == []
    root("schedule", "remove")
    assert root.snapshot() == before


def test_install_twice_changes_nothing(make_root):
    root = make_root(systemd=True)
    root("schedule", "install")
    stamps = {name: root.file(f"/etc/systemd/system/{name}").stat().st_mtime_ns for name in unit_names()}
    again = root("schedule", "install", "--json")
    assert json.loads(again.stdout) == {"kind": "systemd", "changed": 0}
    assert stamps == {name: root.file(f"/etc/systemd/system/{name}").stat().st_mtime_ns for name in unit_names()}


def test_a_changed_setting_is_seen_and_installed(make_root):
    root = make_root()
    root("schedule", "install")
    assert "differs" not in root("schedule", "status", check=1).stdout
    root("schedule", "status", "--run-as", "nobody", check=1)
    assert "differs" in root("schedule", "status", "--run-as", "nobody", check=1).stdout
    root.write("/etc/opstower/backup.env", ENV, owner="nobody")
    os.chown(root.file("/data/backups"), 65534, -1)
    root("schedule", "install", "--run-as", "nobody")
    text = root.file("/etc/cron.d/opstower").read_text(encoding="utf-8")
    assert re.search(r"^0 \* \* \* \* nobody ", text, re.M) and " root " not in text


def test_one_kind_takes_the_others_place(make_root):
    root = make_root(systemd=True)
    root("schedule", "install", "--cron")
    assert root.file("/etc/cron.d/opstower").exists() and units(root) == []
    root("schedule", "install")
    assert not root.file("/etc/cron.d/opstower").exists() and units(root) == unit_names()
    root.told()
    root("schedule", "install", "--cron")
    assert units(root) == [] and f"disable --now {NAMES[0]}.timer" in root.told()


@pytest.mark.parametrize("systemd,name", [(True, "/etc/systemd/system/opstower-drill.timer"), (False, "/etc/cron.d/opstower")])
def test_a_file_of_others_is_refused_and_stays(make_root, systemd, name):
    root = make_root(systemd=systemd)
    root.write(name, "# somebody else's\n")
    before = root.snapshot()
    result = root("schedule", "install", check=12)
    assert backups.error_lines(result)[0].startswith(f"[ERROR] {name} is there and was not made by opstower")
    assert root.snapshot() == before and root.told() == []
    assert "it stays" in root("schedule", "remove").stderr
    assert root.snapshot() == before
    assert "not ours" in root("schedule", "status", check=1).stdout
    assert journal(root)[0]["code"] == 12


def test_a_masked_unit_is_not_ours(make_root):
    root = make_root(systemd=True)
    os.symlink("/dev/null", root.file("/etc/systemd/system/opstower-backup.service"))
    root("schedule", "install", check=12)
    assert os.readlink(root.file("/etc/systemd/system/opstower-backup.service")) == "/dev/null"


def test_a_systemctl_that_fails_is_an_error(make_root):
    root = make_root(systemd=True)
    root.write("/fail-enable", "")
    result = root("schedule", "install", check=1)
    assert "enable refused" in backups.error_lines(result)[0]
    root.file("/fail-enable").unlink()
    root("schedule", "install")
    root.write("/fail-disable", "")
    root("schedule", "remove", check=1)
    assert units(root) == unit_names()


def test_files_for_a_package_tell_nobody(make_root):
    root = make_root(systemd=True)
    root("schedule", "install", "--unit-dir", "/tmp/stage")
    assert sorted(path.name for path in root.file("/tmp/stage").iterdir()) == unit_names()
    assert root.told() == [] and units(root) == [] and not root.file("/data/backups").exists()
    root("schedule", "remove", "--unit-dir", "/tmp/stage")
    assert list(root.file("/tmp/stage").iterdir()) == []


def test_the_watch_is_there_only_where_somebody_is_told(make_root):
    root = make_root(systemd=True)
    root("schedule", "install")
    assert units(root) == unit_names()
    root.write("/etc/opstower/backup.env", ENV.replace("ALERT_EMAIL", "#"))
    root.told()
    assert "no channel for alerts is set" in root("schedule", "install").stderr
    assert units(root) == [name for name in unit_names() if "watch" not in name]
    assert "disable --now opstower-watch.timer" in root.told()
    assert "opstower-watch" not in root("schedule", "status", check=1).stdout
    root("schedule", "install", "--cron")
    assert "status --alert" not in root.file("/etc/cron.d/opstower").read_text(encoding="utf-8")
    root.write("/etc/opstower/backup.env", ENV)
    root("schedule", "install", "--cron")
    text = root.file("/etc/cron.d/opstower").read_text(encoding="utf-8")
    assert re.search(r"^\*/5 \* \* \* \* root OPSTOWER_ENV_FILE=\S+ \S+/opstower status --alert --quiet$", text, re.M)


def test_a_folder_that_is_missing_is_made_for_the_jobs_user(make_root):
    root = make_root(systemd=True)
    result = root("schedule", "install", "--run-as", "nobody", check=3)
    assert 'user "nobody" may not read /etc/opstower/backup.env' in backups.error_lines(result)[0] and units(root) == []
    shutil.rmtree(root.file("/data/backups"))
    root.write("/etc/opstower/backup.env", ENV, owner="nobody")
    root("schedule", "install", "--run-as", "nobody")
    assert root.file("/data/backups").stat().st_uid == 65534
    assert "User=nobody\n" in root.file("/etc/systemd/system/opstower-backup.service").read_text(encoding="utf-8")
    os.chown(root.file("/data/backups"), 0, 0)
    result = root("schedule", "install", "--run-as", "nobody", check=3)
    assert 'user "nobody" may not write to /data/backups' in backups.error_lines(result)[0]


# ---- the dashboard ----

SERVE = "opstower-serve.service"


def test_the_dashboard_is_installed_when_asked_and_stays_until_removed(make_root):
    root = make_root(systemd=True)
    before = root.snapshot()
    root("schedule", "install", "--with-serve")
    assert units(root) == sorted([*unit_names(), SERVE])
    assert root.told()[-2:] == [f"enable --now {SERVE}", f"try-restart {SERVE}"]
    text = root.file(f"/etc/systemd/system/{SERVE}").read_text(encoding="utf-8")
    assert text.startswith(MARK) and SECRET not in text and re.search(r"^ExecStart=\S+/opstower serve$", text, re.M)
    assert "Restart=on-failure\n" in text and "WantedBy=multi-user.target\n" in text
    assert json.loads(root("schedule", "install", "--json").stdout)["changed"] == 0
    assert root.told()[-1] == f"enable --now {SERVE}", "what did not change is not restarted"
    root.write("/show", "UnitFileState=enabled\nActiveState=active\n", 0o644)
    root.write("/timers", json.dumps([{"next": 1770440400000000, "unit": "one.timer"}]), 0o644)
    shown = json.loads(root("schedule", "status", "--json").stdout)["jobs"]
    assert [job["name"] for job in shown] == [*NAMES, "opstower-serve"] and shown[-1]["enabled"] and "next" not in shown[-1]
    root.told()
    root.file("/show").unlink()
    root.file("/timers").unlink()
    root("schedule", "remove")
    told = root.told()
    assert f"disable --now {SERVE}" in told and not [line for line in told if "clean" in line and "serve" in line]
    assert root.snapshot() == before


def test_a_dashboards_service_that_is_missing_or_changed_is_seen(make_root):
    root = make_root(systemd=True)
    root("schedule", "install")
    root.write("/show", "UnitFileState=enabled\nActiveState=active\n", 0o644)
    root.write("/timers", "[]", 0o644)
    assert "opstower-serve" not in root("schedule", "status").stdout
    shown = json.loads(root("schedule", "status", "--json", "--with-serve", check=1).stdout)["jobs"]
    assert shown[-1]["name"] == "opstower-serve" and shown[-1]["installed"] == "no"
    root.write(f"/etc/systemd/system/{SERVE}", MARK + '; "opstower schedule remove" removes it.\n[Service]\n')
    shown = json.loads(root("schedule", "status", "--json", check=1).stdout)["jobs"]
    assert shown[-1]["installed"] == "differs"


def test_cron_takes_the_dashboards_place_too(make_root):
    root = make_root(systemd=True)
    root("schedule", "install", "--with-serve")
    root("schedule", "install", "--cron")
    assert units(root) == [] and "serve" not in root.file("/etc/cron.d/opstower").read_text(encoding="utf-8")
    assert "cron starts nothing that stays" in root("schedule", "install", "--cron", "--with-serve", check=2).stderr


def test_the_dashboard_is_of_one_database(opstower, folder):
    several = pathlib.Path(folder, "db.d")
    several.mkdir()
    (several / "one.env").write_text("DATABASE_NAME=one\nBACKUP_DIR=/data/one\n", encoding="utf-8")
    for words, text in ((["--config-dir", str(several)], ENV), (["--all-databases"], "BACKUP_DIR=/data\n")):
        result = printed(opstower, "--systemd", "--with-serve", *words, env_text=text, check=2)
        assert "the dashboard shows one" in backups.error_lines(result)[0]
    shown = printed(opstower, "--systemd", "--with-serve", "--all-databases")
    assert re.search(r"^ExecStart=\S+ serve$", shown[SERVE], re.M)


# ---- a person's crontab ----

def crontab(root, user="nobody"):
    return root.run("/usr/bin/crontab", "-l", user=user).stdout.decode()


@pytest.fixture
def person(make_root):
    root = make_root()
    root.write("/data/me.env", ENV, owner="nobody")

    def run(*arguments, **options):
        return root("schedule", *arguments, "--env-file", "/data/me.env", user="nobody", **options)
    run.root = root
    return run


def test_others_lines_in_a_crontab_stay_to_the_byte(person):
    assert person.root.run("/usr/bin/crontab", "-", user="nobody", stdin=OTHERS.encode()).returncode == 0
    assert crontab(person.root) == OTHERS
    person("install")
    text = crontab(person.root)
    assert text.startswith(OTHERS + "# BEGIN opstower") and text.endswith("# END opstower\n") and SECRET not in text
    assert re.search(r"^0 \* \* \* \* OPSTOWER=\S+ OPSTOWER_ENV_FILE=/data/me\.env /opt/opstower/scripts/backup-database\.sh",
                     text, re.M)
    person("install")
    assert crontab(person.root) == text
    moved = text + "1 1 * * * later\n"
    person.root.run("/usr/bin/crontab", "-", user="nobody", stdin=moved.encode())
    assert '"changed": 0' in person("install", "--json").stdout
    person("remove")
    assert crontab(person.root) == OTHERS + "1 1 * * * later\n"
    assert not person.root.file("/etc/cron.d/opstower").exists()


def test_a_crontab_of_ours_alone_goes_altogether(person):
    person("install")
    assert crontab(person.root).count("\n") == 2 + 2 * len(CRON_NAMES)
    person("remove")
    assert list(person.root.file("/var/spool/cron/crontabs").iterdir()) == []
    assert "Nothing was installed" in person("remove").stdout


def test_a_crontab_with_half_of_our_marks_is_left_alone(person):
    torn = OTHERS + "# END opstower\n"
    person.root.run("/usr/bin/crontab", "-", user="nobody", stdin=torn.encode())
    for verb in ("install", "remove", "status"):
        assert "only one of the lines" in backups.error_lines(person(verb, check=12))[0]
    assert crontab(person.root) == torn


def test_without_crontab_it_is_said(make_root):
    root = make_root(cron=False)
    root.write("/data/me.env", ENV, owner="nobody")
    result = root("schedule", "install", "--env-file", "/data/me.env", user="nobody", check=3)
    assert "cannot start crontab" in backups.error_lines(result)[0] and "No such file" in result.stderr


def test_units_are_roots(person):
    assert "through sudo" in backups.error_lines(person("install", "--systemd", check=12))[0]
    assert "--run-as is for root" in backups.error_lines(person("install", "--run-as", "root", check=2))[0]


# ---- status ----

def test_status_of_systemd(make_root):
    root = make_root(systemd=True)
    empty = json.loads(root("schedule", "status", "--json", check=1).stdout)
    assert [job["installed"] for job in empty["jobs"]] == ["no"] * len(NAMES)
    root("schedule", "install")
    root.write("/show", "UnitFileState=enabled\nActiveState=active\n", 0o644)
    root.write("/timers", json.dumps([{"next": 1770440400000000, "unit": "one.timer"}]), 0o644)
    shown = json.loads(root("schedule", "status", "--json").stdout)
    assert shown["kind"] == "systemd" and [job["name"] for job in shown["jobs"]] == NAMES
    assert {(job["installed"], job["enabled"], job["next"]) for job in shown["jobs"]} == {
        ("yes", True, "2026-02-07T05:00:00+00:00")}
    root.write("/show", "UnitFileState=disabled\nActiveState=inactive\n", 0o644)
    for nothing in ("[]\n", json.dumps([{"next": None}]), "0 timers listed.\n"):
        root.write("/timers", nothing, 0o644)
        jobs = json.loads(root("schedule", "status", "--json", check=1).stdout)["jobs"]
        assert not any(job["enabled"] or "next" in job for job in jobs), nothing
    timer = root.file(f"/etc/systemd/system/{NAMES[2]}.timer")
    timer.write_text(timer.read_text(encoding="utf-8").replace("03:30", "04:30"), encoding="utf-8")
    shown = json.loads(root("schedule", "status", "--json", check=1).stdout)
    assert [job["installed"] for job in shown["jobs"]] == ["yes", "yes", "differs", "yes", "yes"]


def test_status_of_cron_is_enabled_where_a_cron_daemon_runs(make_root):
    root = make_root()
    root("schedule", "install")
    assert not any(job["enabled"] for job in json.loads(root("schedule", "status", "--json", check=1).stdout)["jobs"])
    root.write("/proc/77/comm", "cron\n", 0o644)
    shown = json.loads(root("schedule", "status", "--json").stdout)
    calendars = re.findall(r"^OnCalendar=(.*)$", root("schedule", "print", "--systemd").stdout, re.M)
    assert [job["name"] for job in shown["jobs"]] == CRON_NAMES and len(calendars) == len(NAMES)
    catch_up = shown["jobs"].pop(4)
    assert catch_up["installed"] == "yes" and ":50:00" in catch_up["next"]
    for job, calendar in zip(shown["jobs"], calendars):
        assert job["next"] == next_by_systemd(calendar), calendar


def next_by_systemd(calendar):
    """When the real systemd would run it next."""
    told = subprocess.run(["systemd-analyze", "calendar", calendar], capture_output=True, text=True, check=True,
                          env={"TZ": "UTC", "PATH": os.environ["PATH"], "LC_ALL": "C"}).stdout
    day, clock = re.search(r"Next elapse: \w+ (\S+) (\S+) UTC", told).groups()
    return f"{day}T{clock}+00:00"


# ---- what the units and lines mean ----

@pytest.fixture
def unit_folder(opstower):
    """Units of a path with everything that must be escaped."""
    def make(*arguments, name="my e$nv %h.env"):
        folder = pathlib.Path(opstower.folder, "units")
        file = pathlib.Path(opstower.folder, name)
        file.write_text(ENV + "BACKUP_S3_BUCKET=b\n", encoding="utf-8")
        file.chmod(0o600)
        opstower("schedule", "install", "--systemd", "--env-file", str(file), "--unit-dir", str(folder), *arguments)
        return folder
    return make


@pytest.mark.parametrize("user", [[], ["--run-as", "backup"]])
def test_systemd_finds_nothing_wrong_with_the_units(unit_folder, user):
    found = sorted(map(str, unit_folder("--with-serve", *user).iterdir()))
    assert len(found) == 2 * len(NAMES) + 1
    result = subprocess.run(["systemd-analyze", "verify", *found], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("user,limit", [([], {"opstower-backup": 21, "opstower-verify": 21, "opstower-restore-test": 27,
                                              "opstower-drill": 27, "opstower-watch": 21, "opstower-serve": 21}),
                                        (["--run-as", "backup"], dict.fromkeys([*NAMES, "opstower-serve"], 16))])
def test_the_sandbox_is_tight(unit_folder, user, limit):
    """Exposure as systemd counts it, in tenths: under 50 is "OK", and most services of a distribution have over 90."""
    folder = unit_folder("--with-serve", *user)
    for name in limit:
        result = subprocess.run(["systemd-analyze", "security", "--offline=true", f"--threshold={limit[name]}",
                                 str(folder / f"{name}.service")], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout


def test_no_secret_and_no_shell_in_the_units(unit_folder):
    for path in unit_folder().iterdir():
        text = path.read_text(encoding="utf-8")
        assert SECRET not in text and "sh -c" not in text
        if path.suffix == ".service":
            assert re.search(r'^Environment="OPSTOWER_ENV_FILE=.*/my e\$nv %%h\.env"$', text, re.M), text
            assert f"SyslogIdentifier={path.stem}\n" in text and "ReadWritePaths=-/data/backups\n" in text
        else:
            assert "Persistent=true\n" in text and "RandomizedDelaySec=0\n" in text


def test_hooks_may_be_programs_that_compile_while_they_run(opstower):
    line = "MemoryDenyWriteExecute=yes\n"
    assert line in printed(opstower, "--systemd")["opstower-backup.service"]
    with_hook = printed(opstower, "--systemd", env_text=ENV + "HOOK_POST_BACKUP=/usr/bin/node /opt/tell.js\n")
    assert line not in with_hook["opstower-backup.service"] and "NoNewPrivileges=yes" in with_hook["opstower-backup.service"]


def test_the_drill_is_from_s3_where_there_is_a_bucket(opstower):
    local = printed(opstower, "--systemd")["opstower-drill.service"]
    assert " verify latest --full-test\n" in local
    there = printed(opstower, "--systemd", env_text=ENV + "BACKUP_S3_BUCKET=b\n")["opstower-drill.service"]
    assert " verify latest --full-test --from-s3\n" in there


def test_the_calendar_is_the_guides(opstower):
    """Each of the next runs that systemd itself counts out is one that the guide names."""
    texts = printed(opstower, "--systemd")
    runs = {}
    for name in NAMES:
        calendar = re.search(r"^OnCalendar=(.*)$", texts[name + ".timer"], re.M).group(1)
        told = subprocess.run(["systemd-analyze", "calendar", "--iterations=40", calendar], capture_output=True, text=True,
                              check=True, env={"TZ": "UTC", "PATH": os.environ["PATH"], "LC_ALL": "C"}).stdout
        found = re.findall(r": (\w{3} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", told)
        runs[name] = [time.strptime(text, "%a %Y-%m-%d %H:%M:%S") for text in found]
        assert len(runs[name]) == 40, told
    assert all(run.tm_min == 0 for run in runs["opstower-backup"])
    assert len({run.tm_hour for run in runs["opstower-backup"]}) == 24
    assert all(run.tm_min % 5 == 0 for run in runs["opstower-watch"])
    assert len({(run.tm_hour, run.tm_min) for run in runs["opstower-watch"]}) == 40
    assert all(run.tm_wday == 6 for name in NAMES[1:4] for run in runs[name])
    days = [time.mktime(run) / 86400 for run in runs["opstower-verify"]]
    assert all(round(b - a) == 7 for a, b in zip(days, days[1:]))
    assert all(run.tm_mday <= 7 for run in runs["opstower-restore-test"])
    assert len({(run.tm_year, run.tm_mon) for run in runs["opstower-restore-test"]}) == 40
    assert {run.tm_mon for run in runs["opstower-drill"]} == {1, 4, 7, 10}
    assert len({(run.tm_year, run.tm_mon) for run in runs["opstower-drill"]}) == 40


def test_cron_takes_the_lines(opstower, folder):
    """The real crontab reads them all, without the user's column that only /etc/cron.d has."""
    text = printed(opstower, "--cron")["opstower"].replace(" root ", " ")
    path = pathlib.Path(folder, "lines")
    path.write_text(text, encoding="utf-8")
    result = subprocess.run(["crontab", "-n", str(path)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    path.write_text(text.replace("30 2", "30 25"), encoding="utf-8")
    assert subprocess.run(["crontab", "-n", str(path)], capture_output=True, check=False).returncode != 0


def cron_commands(text):
    """The command of each job's line, as cron gives it to the shell."""
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", "PATH="))]
    return [line.split(" root ", 1)[1].replace("\\%", "%") for line in lines]


def test_cron_lines_run_the_guides_scripts_on_the_right_sundays(opstower, folder):
    """A shell runs each line, with a `date` that says Sunday or Monday, and a program that says what it was given."""
    name = "my e'nv % $HOME.env"
    pathlib.Path(folder, name).write_text(ENV, encoding="utf-8")
    text = opstower("schedule", "print", "--cron", "--unit-dir", folder, "--env-file", os.path.join(folder, name)).stdout
    bindir = pathlib.Path(folder, "bin")
    bindir.mkdir()
    script = '#!/bin/sh\necho "$* in $OPSTOWER_ENV_FILE"\n'
    jobs = ["backup", "verify latest", "verify latest --full-test", "verify latest --full-test", "schedule catch-up",
            "status --alert"]
    text = text.replace(f"{runner.binary()} s", f"{bindir}/say s")
    for day, expected in (("7", jobs), ("1", [jobs[0], jobs[1], *jobs[4:]])):
        said = []
        (bindir / "date").write_text(f"#!/bin/sh\necho {day}\n", encoding="utf-8")
        (bindir / "say").write_text(script, encoding="utf-8")
        for path in bindir.iterdir():
            path.chmod(0o755)
        for command in cron_commands(text):
            command = re.sub(r"OPSTOWER=\S+", f"OPSTOWER={bindir}/say", command)
            done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True,
                                  env={"PATH": f"{bindir}:/usr/bin:/bin"}, cwd="/")
            said += done.stdout.splitlines()
        where = f" --quiet in {folder}/{name}"
        assert said == [words + where for words in expected]


def test_a_service_of_root_has_the_rights_that_a_full_test_needs(opstower, db, unit_folder):
    """The restore test runs with just the capabilities of its unit, and fails without: the scratch server is not root's."""
    if os.geteuid() != 0:
        return     # then the unit has a user, and no capabilities are asked for
    database = db("odd.sql")
    backups.take(opstower, database)
    text = (unit_folder() / "opstower-restore-test.service").read_text(encoding="utf-8")
    allowed = re.search(r"^CapabilityBoundingSet=(.*)$", text, re.M).group(1).lower().replace("cap_", "").split()
    for names, code in ((allowed, 0), ([], None)):
        bounds = ",".join(["-all", *(f"+{name}" for name in names)])
        command = ["setpriv", "--no-new-privs", f"--bounding-set={bounds}", f"--inh-caps={bounds}",
                   runner.binary(), "verify", "latest", "--full-test"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=opstower.folder,
                              env=opstower.environment({"DATABASE_URL": database.url, "ASAN_OPTIONS": fakeroot.NO_LEAKS}))
        assert (done.returncode == 0) == (code == 0), done.stdout + done.stderr


# ---- what is refused ----

def test_jobs_need_a_file_that_names_a_database(opstower):
    result = opstower("schedule", "print", "--cron", env={"DATABASE_URL": "postgresql:///app"}, check=2)
    assert "there is no .env file" in backups.error_lines(result)[0]
    result = printed(opstower, env_text="DATABASE_NAME=app\nBACKUP_DIR=backups\n", check=2)
    assert "not an absolute path" in backups.error_lines(result)[0]
    result = printed(opstower, env_text="BACKUP_DIR=/data\n", check=2)
    assert "names no database" in backups.error_lines(result)[0]


@pytest.mark.parametrize("words,code,says", [
    (["print", "--cron", "--systemd"], 2, "exclude each other"),
    (["instal"], 2, "did you mean install"),
    (["print", "--run-as", "a b"], 2, "not the name of a user"),
    (["install", "--cron", "--run-as", "no-such-user"], 3, "there is no user"),
    (["print", "--config-dir", "x", "--all-databases"], 2, "exclude each other"),
])
def test_wrong_words(make_root, words, code, says):
    root = make_root()
    result = root("schedule", *words, check=code)
    assert says in backups.error_lines(result)[0]


def test_a_path_with_a_newline_is_refused(opstower):
    path = pathlib.Path(opstower.folder, "a\nb.env")
    path.write_text(ENV, encoding="utf-8")
    result = opstower("schedule", "print", "--env-file", str(path), "--unit-dir", opstower.folder, check=2)
    assert "control characters" in result.stderr


# ---- several databases ----

def test_jobs_for_several_databases(opstower, folder):
    several = pathlib.Path(folder, "db.d")
    several.mkdir()
    for name in ("one", "two"):
        (several / f"{name}.env").write_text(f"DATABASE_NAME={name}\nBACKUP_DIR=/data/{name}\n", encoding="utf-8")
    shown = opstower("schedule", "print", "--systemd", "--config-dir", str(several), "--unit-dir", folder).stdout
    assert f"backup --config-dir={several}\n" in shown and "OPSTOWER_ENV_FILE" not in shown
    assert "ReadWritePaths=-/data/one\nReadWritePaths=-/data/two\n" in shown
    shown = opstower("schedule", "print", "--cron", "--config-dir", str(several), "--unit-dir", folder).stdout
    assert f"{runner.binary()} schedule catch-up --config-dir={several} --quiet\n" in shown
    (several / "three.env").write_text("BACKUP_DIR=/data/three\n", encoding="utf-8")
    result = opstower("schedule", "print", "--config-dir", str(several), "--unit-dir", folder, check=2)
    assert "three.env names no database" in result.stderr
    shown = printed(opstower, "--systemd", "--all-databases")["opstower-verify.service"]
    assert " verify latest --all-databases\n" in shown


# ---- what cron has missed ----

@pytest.fixture
def late(opstower, db):
    """late(when, ...) runs `schedule catch-up` at that time (UTC), for a database with one backup. The first look was in
    March, after the drill's quarter had begun."""
    made = db("odd.sql")
    made.backup = backups.take(opstower, made)
    file = pathlib.Path(opstower.folder, "late.env")
    file.write_text(f"DATABASE_URL={made.url}\nBACKUP_DIR={opstower.backup_dir}\n", encoding="utf-8")
    file.chmod(0o600)

    def run(when, *words, **options):
        shift = timegm(time.strptime(when, "%Y-%m-%d %H:%M")) - time.time()
        return opstower("schedule", "catch-up", *words, "--env-file", str(file), env={**clock.shifted(shift), "TZ": "UTC"},
                        **options)
    run.backup = made.backup
    assert "Nothing to catch up" in run("2027-03-15 12:50").stdout
    return run


def acts(opstower, *names):
    """(act, job or whether it was a full test) of the journal's lines of these acts."""
    lines = (pathlib.Path(opstower.backup_dir) / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [(line["act"], line.get("job", line.get("full_test"))) for line in map(json.loads, lines) if line["act"] in names]


def test_a_missed_verification_is_caught_up_once(opstower, late):
    assert acts(opstower, "catch-up", "verify") == [("catch-up", None)]
    said = late("2027-03-24 08:50").stdout
    assert "Catching up opstower-verify, which was due at 2027-03-21T02:30:00" in said
    assert acts(opstower, "catch-up", "verify")[1:] == [("catch-up", "opstower-verify"), ("verify", False)]
    assert json.loads(late("2027-03-24 09:50", "--json").stdout) == {"caught_up": 0}
    assert json.loads(late("2027-04-02 09:50", "--json").stdout) == {"caught_up": 1}, "the next Sunday was missed too"


def test_all_that_was_missed_in_order_and_nothing_twice(opstower, late):
    """Five Sundays, a monthly test and a drill. Without a bucket the drill is the same as the test that has just run."""
    assert json.loads(late("2027-04-20 08:50", "--json").stdout) == {"caught_up": 2}
    assert acts(opstower, "catch-up", "verify")[1:] == [
        ("catch-up", "opstower-verify"), ("verify", False), ("catch-up", "opstower-restore-test"), ("verify", True)]


def test_a_job_that_fails_gives_its_code_and_is_not_begun_again(opstower, late):
    late.backup.path.write_bytes(late.backup.path.read_bytes()[:-100])
    result = late("2027-03-24 08:50", check=8)
    assert "at least one failed" in backups.error_lines(result)[-1] and len(backups.error_lines(result)) == 2
    assert "Nothing to catch up" in late("2027-03-24 09:50").stdout


def test_two_catch_ups_never_meet(opstower, late):
    path = os.path.join(opstower.backup_dir, ".catch-up.lock")
    with open(path, "a", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "at work" in backups.error_lines(late("2027-03-24 08:50", check=6))[0]


def test_nothing_is_caught_up_beside_a_verification_at_work(opstower, late):
    path = os.path.join(opstower.backup_dir, f".{late.backup.id}.inuse")
    with open(path, "w", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        said = late("2027-03-24 08:50").stdout
        assert "Not now, for a backup is being read" in said and acts(opstower, "verify") == []
    assert "Catching up opstower-verify" in late("2027-03-24 09:50").stdout


def test_catching_up_for_several_databases(opstower, db, folder):
    several = pathlib.Path(folder, "late.d")
    several.mkdir()
    for name in ("one", "two"):
        made = db(name=name)
        made.query("CREATE TABLE t AS SELECT 1 AS id")
        directory = pathlib.Path(folder, f"of-{name}")
        opstower("backup", "--local-only", env={"DATABASE_URL": made.url, "BACKUP_DIR": str(directory)})
        (several / f"{name}.env").write_text(f"DATABASE_URL={made.url}\nBACKUP_DIR={directory}\n", encoding="utf-8")
        (several / f"{name}.env").chmod(0o600)
    for when in ("2027-03-15 12:50", "2027-03-24 08:50"):
        shift = timegm(time.strptime(when, "%Y-%m-%d %H:%M")) - time.time()
        opstower("schedule", "catch-up", "--config-dir", str(several), env={**clock.shifted(shift), "TZ": "UTC"})
    for name, caught in (("one", 2), ("two", 0)):
        text = pathlib.Path(folder, f"of-{name}", "journal.jsonl").read_text(encoding="utf-8")
        assert text.count('"act":"verify"') == 1 and text.count('"act":"catch-up"') == caught, text
