"""Alerts from beginning to end: what is told, to whom, once; what waits when it cannot be sent; what no alert may break."""
import ctypes
import datetime
import fcntl
import json
import os
import pathlib
import re
import signal
import socket
import time

import jsonschema
import pytest

from lib import alertschemas, backups, disks, ports, sample
from lib.clock import HOUR, shifted
from lib.hookserver import HookServer
from lib.smtpserver import SmtpServer

SLACK, PAGERDUTY, HOOK, PING = "/services/T00000000/B00000000/aB3dE5gH7jK9mN1p", "/v2/enqueue", "/hook/9f8e7d6c5b4a", "/ping/0c0ffee0"
KEY = "0123456789abcdef0123456789ABCDEF"
DEAD = "postgresql://nobody@127.0.0.1:1/app"    # nobody listens there


@pytest.fixture
def hooks():
    with HookServer() as started:
        yield started


@pytest.fixture
def watched(opstower, hooks, folder):
    """The program with Slack, PagerDuty and a webhook."""
    os.mkdir(os.path.join(folder, "tmp"))
    opstower.env.update(SLACK_WEBHOOK_URL=hooks.url(SLACK), PAGERDUTY_SERVICE_KEY=KEY,
                        PAGERDUTY_EVENTS_URL=hooks.url(PAGERDUTY), ALERT_WEBHOOK_URL=hooks.url(HOOK),
                        ALERT_TIMEOUT="2", DATABASE_NAME="app", TMPDIR=os.path.join(folder, "tmp"))
    return opstower


def at(seconds, env=None):
    return {**shifted(seconds), **(env or {})}


def watch(opstower, when=0, env=None):
    """What the timer runs; any verdict is fine, an error is not."""
    result = opstower("status", "--alert", "--quiet", env=at(when, env), check=False)
    assert "[ERROR]" not in result.output and result.returncode in (0, 1, 2, 3), result
    return result


def told(hooks, name, database="app"):
    """[(state, severity)] that the webhook, which gets everything, was told of one trouble."""
    return [(post.json["state"], post.json["severity"]) for post in hooks.posts(HOOK)
            if post.json["key"].endswith(f"/{database}/{name}")]


def paged(hooks, name, database="app"):
    return [post.json["event_action"] for post in hooks.posts(PAGERDUTY)
            if post.json["dedup_key"].endswith(f"/{database}/{name}")]


def slacked(hooks, words):
    return [post.json["text"] for post in hooks.posts(SLACK) if words in post.json["text"]]


def state(opstower, **options):
    return json.loads(opstower("alert", "list", "--json", **options).stdout)


def journal(opstower, **wanted):
    lines = [json.loads(line) for line in (pathlib.Path(opstower.backup_dir) / "journal.jsonl").read_text().splitlines()]
    return [line for line in lines if all(line.get(key) == value for key, value in wanted.items())]


def take(opstower, database, when=0, env=None):
    """A backup of that time; the server, whose clock cannot be moved, has noted its own in the metadata."""
    backup = backups.take(opstower, database, env=at(when, env))
    meta = backup.meta
    then = datetime.datetime.fromisoformat(meta["snapshot_time"]) + datetime.timedelta(seconds=when)
    meta["snapshot_time"] = then.isoformat(timespec="seconds")
    backup.beside(".meta.json").write_text(json.dumps(meta), encoding="utf-8")
    return backup


# ---- the scenarios ----

def test_a_dead_scheduler_is_told_as_it_gets_worse_and_when_it_is_over(watched, hooks, db):
    database = db("odd.sql")
    watched.env["DATABASE_URL"] = database.url
    take(watched, database)
    for hours in (0.1, 1.9):
        watch(watched, hours * HOUR)
    assert told(hooks, "backup_age", database.name) == []
    for hours in (2.1, 2.2, 3, 3.9):
        watch(watched, hours * HOUR)
    assert told(hooks, "backup_age", database.name) == [("trigger", "warning")]
    assert paged(hooks, "backup_age", database.name) == []
    for hours in (4.1, 4.5, 5):
        watch(watched, hours * HOUR)
    assert told(hooks, "backup_age", database.name) == [("trigger", "warning"), ("trigger", "critical")]
    assert paged(hooks, "backup_age", database.name) == ["trigger"]
    assert [text.split(":")[0] for text in slacked(hooks, "Backup age")] == ["WARNING", "CRITICAL"]
    take(watched, database, 5 * HOUR)
    for hours in (5.1, 5.2):
        watch(watched, hours * HOUR)
    assert told(hooks, "backup_age", database.name)[2:] == [("resolve", "critical")]
    assert paged(hooks, "backup_age", database.name) == ["trigger", "resolve"]
    assert len(slacked(hooks, "Resolved: Backup age")) == 1
    for post in hooks.posts(PAGERDUTY):
        jsonschema.validate(post.json, alertschemas.PAGERDUTY)
    for post in hooks.posts(SLACK):
        jsonschema.validate(post.json, alertschemas.SLACK)


def test_backups_that_fail_for_two_days_are_told_once(watched, hooks, db):
    database = db("odd.sql")
    broken = {"DATABASE_URL": DEAD.replace("/app", f"/{database.name}"), "HEARTBEAT_URL": hooks.url(PING)}
    take(watched, database)
    for hour in range(1, 49):
        watched("backup", "--local-only", env=at(hour * HOUR, broken), check=5)
        watch(watched, hour * HOUR + 300, broken)
    assert told(hooks, "failed-backup", database.name) == [("trigger", "warning")]
    assert told(hooks, "backup_age", database.name) == [("trigger", "warning"), ("trigger", "critical")]
    assert paged(hooks, "failed-backup", database.name) == []
    assert len(hooks.posts(PING + "/start")) == len(hooks.posts(PING + "/fail")) == 48 and hooks.posts(PING) == []
    assert len(slacked(hooks, f"WARNING: Backup of {database.name} failed")) == 1
    take(watched, database, 49 * HOUR, {"HEARTBEAT_URL": hooks.url(PING)})
    watch(watched, 49 * HOUR + 300, {"DATABASE_URL": database.url})
    assert told(hooks, "failed-backup", database.name)[1:] == [("resolve", "warning")]
    assert told(hooks, "backup_age", database.name)[2:] == [("resolve", "critical")]
    assert len(hooks.posts(PING)) == 1
    line, = journal(watched, act="alert", channel="slack", key=hooks.posts(HOOK)[0].json["key"], state="trigger")
    assert line["result"] == "ok" and line["title"] == f"Backup of {database.name} failed"


def test_a_clock_that_jumps_back_is_told_and_over(watched, hooks, db):
    database = db("odd.sql")
    watched.env["DATABASE_URL"] = database.url
    take(watched, database)
    for _ in range(2):
        watch(watched, -24 * HOUR)
    assert [s for s, _ in told(hooks, "clock", database.name)] == ["trigger"]
    for _ in range(2):
        watch(watched, 60)
    assert [s for s, _ in told(hooks, "clock", database.name)] == ["trigger", "resolve"]


def test_s3_that_is_down_is_told_once(watched, hooks, db, s3, bucket):
    """The backup is complete here and not in S3: exit code 15, one alert; the next upload ends it."""
    database = db("odd.sql")
    watched.env.update(s3.environment(bucket), BACKUP_S3_RETRY_TIME="1", BACKUP_S3_TIMEOUT="1", DATABASE_URL=database.url)
    watched("backup")
    port, claim = ports.claim()
    with claim:
        down = {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}"}
        for _ in range(3):
            time.sleep(1)
            watched("backup", env=down, check=15)
            watch(watched, 0, down)
    assert told(hooks, "failed-backup", database.name) == [("trigger", "warning")]
    assert slacked(hooks, "Backup of") == [f"WARNING: Backup of {database.name} is complete here, not in S3"]
    watched("backup")
    watch(watched)
    assert told(hooks, "failed-backup", database.name) == [("trigger", "warning"), ("resolve", "warning")]


def test_the_watch_tells_of_s3_that_is_down(watched, hooks, db, s3, bucket):
    database = db("odd.sql")
    watched.env.update(s3.environment(bucket), BACKUP_S3_RETRY_TIME="1", BACKUP_S3_TIMEOUT="1", DATABASE_URL=database.url)
    watched("backup")
    watch(watched)
    assert told(hooks, "s3_copies", database.name) == []
    port, claim = ports.claim()
    with claim:
        for _ in range(2):
            watch(watched, 0, {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}", "DATABASE_URL": DEAD.replace("/app", "/" + database.name)})
    watch(watched)
    watch(watched)
    assert [s for s, _ in told(hooks, "s3_copies", database.name)] == ["trigger", "resolve"]


def states(hooks, name, database):
    return [s for s, _ in told(hooks, name, database.name)]


def test_an_emptied_table_is_told_in_the_next_hour(watched, hooks, db):
    """Each table once, also while another one's loss is open; and the end, when the rows are back."""
    database = db()
    watched.env["DATABASE_URL"] = database.url
    for name in "ab":
        database.query(f"CREATE TABLE {name} AS SELECT generate_series(1, 1000) AS id")
    take(watched, database, -3 * HOUR)
    take(watched, database, -2 * HOUR)
    watch(watched)
    assert states(hooks, "row_loss", database) == []
    database.query("TRUNCATE a")
    take(watched, database, -HOUR)
    watch(watched)
    watch(watched)
    assert states(hooks, "row_loss", database) == ["trigger"] and len(slacked(hooks, "public.a lost rows: 1000 -")) == 1
    database.query("DROP TABLE b")
    take(watched, database, -1800)
    watch(watched)
    watch(watched)
    assert states(hooks, "row_loss", database) == ["trigger", "trigger"] and len(slacked(hooks, "public.b is gone")) == 1
    database.query("INSERT INTO a SELECT generate_series(1, 1000); CREATE TABLE b AS TABLE a")
    take(watched, database)
    watch(watched)
    watch(watched)
    assert states(hooks, "row_loss", database) == ["trigger", "trigger", "resolve"]


def test_size_that_jumps_up_and_down_is_told_and_over(watched, hooks, db):
    database = db()
    watched.env["DATABASE_URL"] = database.url
    noise = "(SELECT string_agg(md5(random()::text || g || i), '') FROM generate_series(1, 64) i)"
    database.query(f"CREATE TABLE t AS SELECT g, {noise} AS n FROM generate_series(1, 300) g")
    database.query("CREATE TABLE more (LIKE t)")
    for hour in range(8, 5, -1):
        take(watched, database, -hour * HOUR)
    watch(watched)
    assert states(hooks, "size_change", database) == []
    database.query("INSERT INTO more TABLE t")
    take(watched, database, -5 * HOUR)
    watch(watched)
    watch(watched)
    assert states(hooks, "size_change", database) == ["trigger"] and len(slacked(hooks, "WARNING: Backup size")) == 1
    database.query("TRUNCATE more")
    take(watched, database, -4 * HOUR)
    watch(watched)
    assert states(hooks, "size_change", database) == ["trigger", "resolve"]
    database.query("DELETE FROM t WHERE g > 100")
    take(watched, database, -3 * HOUR)
    watch(watched)
    watch(watched)
    database.query(f"INSERT INTO t SELECT g, {noise} FROM generate_series(101, 300) g")
    take(watched, database)
    watch(watched)
    assert states(hooks, "size_change", database) == ["trigger", "resolve"] * 2


def test_what_is_not_known_is_told_when_it_lasts(watched, hooks, db):
    """After the first backup there is nothing to compare with: no trouble yet. It is, if that stays so for a day."""
    database = db("odd.sql")
    watched.env["DATABASE_URL"] = database.url
    take(watched, database)
    for hours in (0, 1, 23):
        watch(watched, hours * HOUR)
    assert states(hooks, "size_change", database) == []
    watch(watched, 25 * HOUR)
    watch(watched, 26 * HOUR)
    assert states(hooks, "size_change", database) == ["trigger"]


def test_the_watch_works_with_the_database_down_and_nothing_there(watched, hooks):
    env = {"DATABASE_URL": DEAD}
    for _ in range(2):
        watch(watched, 0, env)
    assert told(hooks, "backup_age") == [("trigger", "critical")] and paged(hooks, "backup_age") == ["trigger"]


def opened(opstower):
    return {alert["name"] for alert in state(opstower)["open"]}


def checks(opstower, when=0):
    looked = json.loads(opstower("status", "--json", env=at(when), check=False).stdout)
    return {check["name"]: check for check in looked["checks"]}


def test_no_backup_at_all_is_one_alert(watched, hooks, db):
    """What cannot be judged without a backup is shown as bad, and told once there is one and it still is."""
    database = db("odd.sql")
    watched.env["DATABASE_URL"] = database.url
    os.makedirs(watched.backup_dir)
    for hours in (0, 2, 3):
        watch(watched, hours * HOUR)
    assert opened(watched) == {"backup_age"} and told(hooks, "backup_age", database.name) == [("trigger", "critical")]
    assert len(hooks.posts(HOOK)) == 1
    shown = checks(watched, 4 * HOUR)
    excused = {name for name, check in shown.items() if check.get("cause") == "backup_age"}
    assert excused == {"success_rate", "rpo", "size_change", "row_loss"}
    assert all(shown[name]["verdict"] in ("WARNING", "CRITICAL") for name in excused)
    take(watched, database, 4 * HOUR)
    watch(watched, 4 * HOUR)
    assert told(hooks, "backup_age", database.name)[1:] == [("resolve", "critical")]
    assert opened(watched) == set(), "what is not due yet is no trouble"
    assert not any("cause" in check for check in checks(watched, 4 * HOUR).values())
    watch(watched, 120 * 24 * HOUR)
    assert opened(watched) >= {"rto", "rto_predicted", "verification", "full_test", "drill"}


def test_backups_that_all_vanish_leave_other_trouble_as_it_was(watched, hooks, db):
    """It was told, is not told again or as over while it cannot be judged, and is told as over when it is."""
    database = db("odd.sql")
    watched.env["DATABASE_URL"] = database.url
    os.makedirs(watched.backup_dir)
    old = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 120 * 24 * HOUR))
    (pathlib.Path(watched.backup_dir) / "journal.jsonl").write_text(
        json.dumps({"act": "hold-add", "result": "ok", "code": 0, "database": database.name, "time": old}) + "\n", encoding="utf-8")
    backup = take(watched, database)
    watched("verify", "latest")
    watch(watched)
    before = opened(watched)
    assert before == {"rto", "rto_predicted", "full_test", "drill"}
    kept = [(path, path.read_bytes()) for path in backup.path.parent.glob(f"{backup.id}*")]
    for path, _ in kept:
        path.unlink()
    for hours in (0, 24 * 9):
        watch(watched, hours * HOUR)
    assert opened(watched) == before | {"backup_age", "success_rate"}
    assert told(hooks, "full_test", database.name) == [("trigger", "warning")] and told(hooks, "verification", database.name) == []
    for path, content in kept:
        path.write_bytes(content)
    with (pathlib.Path(watched.backup_dir) / "journal.jsonl").open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"act": "verify", "full_test": True, "result": "ok", "code": 0, "database": database.name,
                                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}) + "\n")
    watch(watched)
    assert told(hooks, "full_test", database.name) == [("trigger", "warning"), ("resolve", "warning")]
    assert told(hooks, "backup_age", database.name) == [("trigger", "critical"), ("resolve", "critical")]


def test_the_watch_of_all_databases_keeps_them_apart(watched, hooks, db):
    """Each has its own alerts; one that is fine does not end another's."""
    first, second = db("odd.sql"), db("odd.sql")
    take(watched, first, -3 * HOUR)
    take(watched, second, -HOUR)
    for _ in range(2):
        result = watched("status", "--alert", "--all", "--quiet", env={"DATABASE_NAME": None}, check=False)
        assert "[ERROR]" not in result.output
    assert told(hooks, "backup_age", first.name) == [("trigger", "warning")]
    assert told(hooks, "backup_age", second.name) == []
    take(watched, first)
    watched("status", "--alert", "--all", "--quiet", env={"DATABASE_NAME": None}, check=False)
    assert told(hooks, "backup_age", first.name) == [("trigger", "warning"), ("resolve", "warning")]


def test_what_is_not_known_yet_does_not_fail_the_watch(watched, db):
    """One backup, which nothing can be compared with, all of it tested."""
    database = db()
    watched.env["DATABASE_URL"] = database.url
    del watched.env["DATABASE_NAME"]
    take(watched, database)
    watched("verify", "latest", "--full-test")
    watched("status", check=3)
    watched("status", "--alert", check=1)
    watched("status", "--alert", env={"BACKUP_KEEP_MIN": "many"}, check=3)


def test_the_watch_without_channels_is_an_error(opstower):
    assert "--alert has nobody to tell" in opstower("status", "--alert", env={"DATABASE_URL": DEAD}, check=3).stderr


# ---- what is told where, and when again ----

def fail(opstower, when=0, check=5, env=None):
    return opstower("backup", "--local-only", env=at(when, {"DATABASE_URL": DEAD, **(env or {})}), check=check)


def test_levels(watched, hooks):
    fail(watched, env={"ALERT_SLACK_LEVEL": "critical", "ALERT_PAGERDUTY_LEVEL": "warning"})
    assert slacked(hooks, "") == [] and paged(hooks, "failed-backup") == ["trigger"]
    assert hooks.posts(PAGERDUTY)[0].json["payload"]["severity"] == "warning"
    fail(watched)
    assert len(slacked(hooks, "Backup of app failed")) == 1, "a channel that hears of it now is told now"
    assert paged(hooks, "failed-backup") == ["trigger", "resolve"], "below its level now, so it is over there"


def test_reminders_by_option_only(watched, hooks):
    for hour in range(0, 30):
        fail(watched, hour * HOUR + 60, env={"ALERT_REMINDER_HOURS": "12"})
    texts = slacked(hooks, "Backup of app failed")
    assert len(texts) == 3 and texts[1].startswith("WARNING: still, after 12 h") and "24 h" in texts[2] or "1 d" in texts[2]


def test_no_more_than_so_many_an_hour_and_the_rest_in_one(watched, hooks, db):
    """Beyond the limit people get one message with all titles; what is critical, and ends, come all the same; programs
    get each alert, later."""
    database = db("odd.sql")
    limits = {"ALERT_MAX_PER_HOUR": "2"}
    dead = {name: {**limits, "DATABASE_URL": DEAD.replace("/app", f"/{name}")} for name in [*"abcd", database.name]}
    for name in "abc":
        fail(watched, env=dead[name])
    assert len(hooks.posts(SLACK)) == len(hooks.posts(HOOK)) == 2
    fail(watched, env=dead["d"])
    assert len(hooks.posts(SLACK)) == 3 and len(hooks.posts(HOOK)) == 2
    assert hooks.posts(SLACK)[2].json["text"] == "WARNING: 2 more alerts than ALERT_MAX_PER_HOUR allows, in one message"
    digest = hooks.posts(SLACK)[2].body.decode()
    assert [f"Backup of {name} failed" in digest for name in "abcd"] == [False, False, True, True]
    watch(watched, 0, dead["d"])
    assert paged(hooks, "backup_age", "d") == ["trigger"] and len(slacked(hooks, "CRITICAL: Backup age")) == 1
    before = len(hooks.posts(SLACK))
    fail(watched, env=dead[database.name])
    assert len(hooks.posts(SLACK)) == before
    for hour in range(2, 6):
        fail(watched, hour * HOUR, env=dead["a"])
    assert sorted(post.json["key"].split("/")[-2] for post in hooks.posts(HOOK) if post.json["key"].endswith("failed-backup")) == sorted(
        [*"abcd", database.name])
    assert [len(slacked(hooks, f"Backup of {name} failed")) for name in "abcd"] == [1, 1, 0, 0]
    assert state(watched)["queue"] == []


def test_the_end_is_told_beyond_the_limit(watched, hooks, db):
    database = db("odd.sql")
    watched.env.update(DATABASE_URL=database.url, ALERT_MAX_PER_HOUR="1")
    fail(watched, env={"DATABASE_URL": DEAD.replace("/app", f"/{database.name}")})
    take(watched, database)
    assert told(hooks, "failed-backup", database.name) == [("trigger", "warning"), ("resolve", "warning")]


def test_what_a_person_sees_is_not_told(watched, hooks, db):
    database = db("odd.sql")
    watched.env["DATABASE_URL"] = database.url
    take(watched, database)
    watched("restore", "nonsense", check=10)
    watched("restore", "latest", check=12)
    watched("verify", "nonsense", check=10)
    assert hooks.all() == []


def test_a_run_that_meets_another_at_work_is_told_to_nobody(watched, hooks, db, folder):
    """No channel, no heartbeat, no hook for failures: by itself, and where several databases are backed up."""
    database = db("odd.sql")
    watched.env.update(DATABASE_URL=database.url, HEARTBEAT_URL=hooks.url(PING),
                       HOOK_ON_FAILURE=f"touch {folder}/failed")
    take(watched, database)
    hooks.forget()
    lock = os.path.join(watched.backup_dir, f".{database.name}.backup.lock")
    with open(lock, "r+", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for _ in range(2):
            watched("backup", "--local-only", check=6)
        assert hooks.all() == [] and not os.path.exists(f"{folder}/failed")
        assert [line["code"] for line in journal(watched, act="backup")] == [0, 6, 6]
        os.makedirs(f"{folder}/sets")
        pathlib.Path(folder, "sets/one.env").write_text(f"DATABASE_URL={database.url}\nBACKUP_DIR={watched.backup_dir}\n")
        os.chmod(f"{folder}/sets/one.env", 0o600)
        said = watched("backup", "--local-only", "--config-dir", f"{folder}/sets", check=6)
        assert "another run is at work on 1 of 1 databases" in said.stderr and "failed" not in said.output
        assert [post.path for post in hooks.all()] == [PING + "/start", PING + "/log"]
    assert opened(watched) == set()


def test_a_damaged_backup_is_critical(watched, hooks, db):
    database = db("odd.sql")
    watched.env["DATABASE_URL"] = database.url
    backup = take(watched, database)
    data = bytearray(backup.path.read_bytes())
    data[len(data) // 2] ^= 1
    backup.path.write_bytes(data)
    for _ in range(2):
        watched("verify", backup.path, check=8)
    assert told(hooks, "failed-verify", database.name) == [("trigger", "critical")]
    assert paged(hooks, "failed-verify", database.name) == ["trigger"]
    key, = [each["key"] for each in state(watched)["open"]]
    assert f"{key} is closed" in watched("alert", "close", key).stdout
    assert paged(hooks, "failed-verify", database.name) == ["trigger", "resolve"] and state(watched)["open"] == []


def test_a_terminated_backup_is_told(watched, hooks, db):
    database = db("odd.sql")
    bindir = backups.programs_with(watched.folder, database.server, pg_dump='#!/bin/bash\nnap 60\n')
    process = watched.popen("backup", "--local-only", env={"DATABASE_URL": database.url, "PG_BINDIR": bindir,
                                                          "HEARTBEAT_URL": hooks.url(PING)})
    deadline = time.monotonic() + 90
    while not hooks.posts(PING + "/start") and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=90)
    assert process.returncode == 143
    assert told(hooks, "failed-backup", database.name) == [("trigger", "warning")] and len(hooks.posts(PING + "/fail")) == 1


def test_a_restore_is_news_for_those_who_want_everything(watched, hooks, db):
    database = db("odd.sql")
    watched.env["DATABASE_URL"] = database.url
    backup = take(watched, database)
    watched("restore", "latest", "--force")
    post, = [post.json for post in hooks.posts()]
    assert (post["state"], post["severity"], post["title"]) == ("info", "info", f"Restore of {database.name} went well")
    assert post["facts"]["id"] == backup.id and post["facts"]["replaced"].startswith(database.name)


def test_mail_of_beginning_and_end_is_one_thread(watched, hooks, db):
    database = db("odd.sql")
    with SmtpServer() as smtp:
        watched.env.update(DATABASE_URL=database.url, ALERT_EMAIL="ops@opstower.com", SMTP_URL=smtp.url)
        fail(watched, env={"DATABASE_URL": DEAD.replace("/app", f"/{database.name}")})
        take(watched, database)
    first, last = [mail.message for mail in smtp.mails]
    assert first["Subject"] == f"[opstower {database.name}] WARNING: Backup of {database.name} failed"
    assert last["Subject"].startswith(f"[opstower {database.name}] Resolved: Backup of {database.name} went well (after ")
    assert first["References"] == last["References"] and first["Message-ID"] != last["Message-ID"]
    assert "Connection refused" in first.get_content() and "exit code: 5" in first.get_content()


def test_one_look_at_a_server_is_no_proof(watched, hooks, db, s3, bucket):
    """S3 that answers every other time is told to nobody; one that is down for two looks is, and its end after two."""
    database = db("odd.sql")
    watched.env.update(s3.environment(bucket), BACKUP_S3_RETRY_TIME="1", BACKUP_S3_TIMEOUT="1", DATABASE_URL=database.url)
    watched("backup", "--s3-only")
    port, claim = ports.claim()
    with claim:
        down = {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}"}
        for env in [{}, down] * 3:
            watch(watched, env=env)
        assert hooks.all() == []
        watch(watched, env=down)
        assert opened(watched) == {"s3_copies"}
        for env in [{}, down] * 2 + [{}, {}]:
            watch(watched, env=env)
    assert states(hooks, "s3_copies", database) == ["trigger", "resolve"] and opened(watched) == set()


@pytest.mark.parametrize("name", ["x" * 3000, "<!channel> & <@U0123>" * 40, "\N{PILE OF POO}" * 300, "a/b\n'\"\\", os.fsdecode(b"a\xff\xfe")])
def test_no_name_is_too_much_for_slack_and_pagerduty(watched, hooks, name):
    fail(watched, env={"DATABASE_URL": None, "DATABASE_HOST": "127.0.0.1", "DATABASE_PORT": "1", "DATABASE_NAME": name,
                       "ALERT_PAGERDUTY_LEVEL": "info"}, check=False)
    (slack,), (pagerduty,) = hooks.posts(SLACK), hooks.posts(PAGERDUTY)
    jsonschema.validate(slack.json, alertschemas.SLACK)
    jsonschema.validate(pagerduty.json, alertschemas.PAGERDUTY)
    assert "<!" not in slack.json["text"] and "<!" not in slack.json["attachments"][0]["blocks"][1]["text"]["text"]


def test_an_interrupt_ends_a_test(watched, hooks):
    hooks.plan(SLACK, "stall")
    process = watched.popen("alert", "test", env={"ALERT_TIMEOUT": "60"})
    deadline = time.monotonic() + 90
    while not hooks.all(SLACK) and time.monotonic() < deadline:
        time.sleep(0.02)
    started = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=90)
    assert process.returncode == 130 and time.monotonic() - started < 20


def test_several_databases_are_one_heartbeat(watched, hooks, db, folder):
    """A good backup does not hide another one's failure; each failure is told by its own run."""
    good, config = db("odd.sql"), os.path.join(folder, "conf")
    os.mkdir(config)
    files = {"a": DEAD.replace("/app", "/broken"), "b": good.url}
    for name, url in files.items():
        pathlib.Path(config, f"{name}.env").write_text(f"DATABASE_URL={url}\n")
    pathlib.Path(config, "b.env").write_text(f"DATABASE_URL={good.url}\nHEARTBEAT_URL={hooks.url('/own')}\n")
    env = {"HEARTBEAT_URL": hooks.url(PING), "DATABASE_NAME": None}
    watched("backup", "--local-only", "--config-dir", config, env=env, check=5)
    assert [post.path for post in hooks.posts() if PING in post.path] == [PING + "/start", PING + "/fail"]
    assert [post.path for post in hooks.posts() if "/own" in post.path] == ["/own/start", "/own"], "its own is its own"
    assert told(hooks, "failed-backup", "broken") == [("trigger", "warning")]
    assert told(hooks, "failed-backup", good.name) == []
    os.unlink(os.path.join(config, "a.env"))
    time.sleep(1)
    watched("backup", "--local-only", "--config-dir", config, env=env)
    assert [post.path for post in hooks.posts() if PING in post.path][2:] == [PING + "/start", PING]


def test_a_server_whose_databases_cannot_be_found(watched, hooks, db):
    env = {"HEARTBEAT_URL": hooks.url(PING), "DATABASE_NAME": None}
    for _ in range(2):
        watched("backup", "--local-only", "--all-databases", env={**env, "DATABASE_URL": DEAD}, check=5)
    posts = [post.json for post in hooks.posts(HOOK)]
    assert [(post["state"], post["title"], post["database"]) for post in posts] == [("trigger", "Backups failed", None)]
    assert [post.path for post in hooks.posts() if PING in post.path] == [PING + "/start", PING + "/fail"] * 2


# ---- what cannot be sent ----

def test_no_alert_makes_a_good_backup_a_failure(watched, hooks, db):
    database = db("odd.sql")
    watched.env["DATABASE_URL"] = database.url
    fail(watched, env={"DATABASE_URL": DEAD.replace("/app", f"/{database.name}")})
    for path in (SLACK, PAGERDUTY, HOOK, PING, PING + "/start"):
        hooks.plan(path, 500)
    said = watched("backup", "--local-only", env={"HEARTBEAT_URL": hooks.url(PING)})
    assert "[WARN] An alert waits, as it could not be sent by slack: Slack answered 500" in said.stderr
    assert "[WARN] The heartbeat was not taken" in said.stderr
    backups.assert_only_whole(watched)


@pytest.mark.parametrize("answer, headers, pause", [
    (500, {}, 60), (503, {"Retry-After": "3000"}, 3000), (429, {"Retry-After": "240"}, 240), ("stall", {}, 60), ("close", {}, 60),
    (404, {}, 3600),
])
def test_what_could_not_be_sent_waits_and_is_sent_once(watched, hooks, answer, headers, pause):
    hooks.plan(SLACK, answer, times=1, headers=headers)
    fail(watched)
    waits, = state(watched)["queue"]
    assert waits["channel"] == "slack" and waits["tries"] == 1 and waits["error"]
    assert abs(waits["next_try"] - time.time() - pause) < 10
    fail(watched, pause - 15)
    assert slacked(hooks, "") == []
    for later in (15, 30, 45):
        fail(watched, pause + later)
    assert len(slacked(hooks, "Backup of app failed")) == 1 and len(hooks.all(SLACK)) == 2
    assert state(watched)["queue"] == []
    lines = [line["result"] for line in journal(watched, act="alert", channel="slack")]
    assert lines == ["failed", "ok"]


@pytest.mark.parametrize("refusal, pause", [({"DATA": "452 try later"}, 60), ({"RCPT": "451 greylisted"}, 60),
                                            ({"RCPT": "550 no such user"}, 3600)])
def test_mail_that_could_not_be_sent_waits_and_is_sent_once(watched, hooks, refusal, pause):
    with SmtpServer() as smtp:
        smtp.refuse = refusal
        watched.env.update(ALERT_EMAIL="ops@opstower.com", SMTP_URL=smtp.url)
        fail(watched)
        waits, = state(watched)["queue"]
        assert waits["channel"] == "email" and list(refusal.values())[0] in waits["error"]
        assert abs(waits["next_try"] - time.time() - pause) < 10
        smtp.refuse = {}
        for later in (-15, 15, 30):
            fail(watched, pause + later)
    assert len(smtp.mails) == 1 and len(slacked(hooks, "Backup of app failed")) == 1


def mailed(smtp, address):
    return [mail.message["Subject"].split("] ")[1] for mail in smtp.mails if address in mail.receivers]


def test_who_was_put_off_gets_the_mail_later_and_alone(watched, db):
    """Nobody gets anything twice; who has the end needs the beginning no more; the check tells of who is refused for good."""
    database = db("odd.sql")
    broken = {"DATABASE_URL": DEAD.replace("/app", f"/{database.name}")}
    with SmtpServer() as smtp:
        watched.env.update(ALERT_EMAIL="ops@example.org,slow@example.org,gone@example.org", ALERT_EMAIL_FROM="a@example.org",
                           SMTP_URL=smtp.url, DATABASE_URL=database.url, SLACK_WEBHOOK_URL=None,
                           PAGERDUTY_SERVICE_KEY=None, ALERT_WEBHOOK_URL=None)
        smtp.refuse = {"RCPT slow@example.org": "450 greylisted", "RCPT gone@example.org": "550 no such user"}
        said = fail(watched, env=broken)
        assert "not to slow@example.org (450 greylisted), gone@example.org (550 no such user)" in said.stderr
        assert len(mailed(smtp, "ops@example.org")) == 1 and mailed(smtp, "slow@example.org") == []
        check = checks(watched)["alerts"]
        assert check["verdict"] == "WARNING" and "refused: gone@example.org (550 no such user)" in check["value"]
        del smtp.refuse["RCPT slow@example.org"]
        watched("alert", "list")
        fail(watched, 30, env=broken)
        fail(watched, 100, env=broken)
        fail(watched, 200, env=broken)
        assert len(mailed(smtp, "ops@example.org")) == len(mailed(smtp, "slow@example.org")) == 1
        assert state(watched)["queue"] == []
        smtp.refuse["RCPT slow@example.org"] = "450 greylisted"
        take(watched, database, 300)
        del smtp.refuse["RCPT slow@example.org"]
        fail(watched, 310, env=broken)
        take(watched, database, 2 * HOUR)
        assert [line.split(":")[0] for line in mailed(smtp, "ops@example.org")] == ["WARNING", "Resolved"] * 2
        assert [line.split(":")[0] for line in mailed(smtp, "slow@example.org")] == ["WARNING"] * 2 + ["Resolved"]
        assert state(watched)["queue"] == []
        smtp.refuse.clear()
        fail(watched, 3 * HOUR, env=broken)
        assert checks(watched, 3 * HOUR)["alerts"]["value"] == "all sent"


def test_a_mail_server_that_says_nothing(watched):
    """It costs no more than the time limit, and an interrupt does not wait for that."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        watched.env.update(ALERT_EMAIL="ops@opstower.com", SMTP_URL=f"smtp://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        assert "timed out" in watched("alert", "test", "email", env={"ALERT_TIMEOUT": "1"}, check=1).stderr
        assert time.monotonic() - started < 9, "not the ten seconds of the standard"
        process = watched.popen("alert", "test", "email", env={"ALERT_TIMEOUT": "60"})
        silent.accept()[0].close()
        waiting = silent.accept()[0]
        started = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        process.communicate(timeout=90)
        waiting.close()
        assert process.returncode == 143 and time.monotonic() - started < 20


def test_what_waits_is_a_check(watched, hooks):
    hooks.plan(SLACK, 500)
    fail(watched)
    env = {"DATABASE_URL": DEAD}
    for when, verdict in ((600, "OK"), (960, "WARNING")):
        checks = json.loads(watched("status", "--json", env=at(when, env), check=2).stdout)["checks"]
        check, = [each for each in checks if each["name"] == "alerts"]
        assert check["verdict"] == verdict and "slack" in check["value"], check
    assert "Slack answered 500" in check["advice"]
    watch(watched, 1000, env)
    assert told(hooks, "alerts") == [("trigger", "warning")], "the others hear of it"
    hooks.plan(SLACK, 200)
    watch(watched, 3 * HOUR, env)
    watch(watched, 3 * HOUR + 60, env)
    assert told(hooks, "alerts") == [("trigger", "warning"), ("resolve", "warning")]
    assert len(slacked(hooks, "Backup of app failed")) == 1


def test_the_end_does_not_overtake_the_beginning(watched, hooks, db):
    database = db("odd.sql")
    hooks.plan(SLACK, 429, times=1, headers={"Retry-After": "1800"})
    fail(watched, env={"DATABASE_URL": DEAD.replace("/app", f"/{database.name}")})
    take(watched, database)
    assert slacked(hooks, "") == []
    watch(watched, HOUR, {"DATABASE_URL": database.url})
    assert [text.split(":")[0] for text in slacked(hooks, f"Backup of {database.name}")] == ["WARNING", "Resolved"]


def test_a_clock_that_was_wrong_keeps_nothing_back(watched, hooks):
    hooks.plan(SLACK, 500)
    fail(watched, 365 * 24 * HOUR)
    hooks.plan(SLACK, 200)
    fail(watched)
    assert len(slacked(hooks, "Backup of app failed")) == 1


def test_many_at_once_send_each_alert_once(watched, hooks):
    hooks.plan(HOOK, 500)
    hooks.plan(SLACK, 500)
    for number in range(6):
        fail(watched, env={"DATABASE_URL": DEAD.replace("/app", f"/db{number}")})
    hooks.forget()
    processes = [watched.popen("status", "--alert", "--quiet", env=at(3 * HOUR, {"DATABASE_URL": DEAD})) for _ in range(8)]
    for process in processes:
        process.communicate(timeout=120)
    keys = [post.json["key"] for post in hooks.posts(HOOK)]
    assert len(keys) == len(set(keys)) and [key for key in keys if "/db" in key] and len([k for k in keys if "/db" in k]) == 6
    assert len(slacked(hooks, "Backup of db")) == 6 and state(watched)["queue"] == []


def test_a_sender_that_was_killed(watched, hooks):
    """What it had claimed is sent by another run, once the claim has run out."""
    hooks.plan(SLACK, "stall")
    process = watched.popen("backup", "--local-only", env={"DATABASE_URL": DEAD, "ALERT_TIMEOUT": "60"})
    deadline = time.monotonic() + 90
    while not hooks.all(SLACK) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    hooks.plan(SLACK, 200)
    fail(watched, 60)
    assert slacked(hooks, "") == []
    fail(watched, 700)
    assert len(slacked(hooks, "Backup of app failed")) == 1


def called(name):
    """For a child: a host of that name, as each pod has its own."""
    def enter():
        new_names = 0x04000000
        if ctypes.CDLL(None).unshare(new_names) == 0:
            socket.sethostname(name)
    return enter


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may call a host otherwise")
@pytest.mark.parametrize("bucket_is_set", [False, True])
def test_the_end_has_the_key_of_the_beginning_on_whatever_host(watched, hooks, db, bucket_is_set):
    database = db("odd.sql")
    watched.env.update(DATABASE_URL=database.url, BACKUP_S3_BUCKET="some-bucket" if bucket_is_set else None)
    broken = {"DATABASE_URL": DEAD.replace("/app", f"/{database.name}")}
    watched("backup", "--local-only", env=broken, check=5, preexec_fn=called("pod-1-abc"))
    watched("backup", "--local-only", preexec_fn=called("pod-2-def"))
    begin, end = hooks.posts(HOOK)
    source = "some-bucket" if bucket_is_set else "pod-1-abc"
    assert begin.json["key"] == end.json["key"] == f"opstower/{source}/{database.name}/failed-backup"
    assert (begin.json["host"], end.json["host"]) == ("pod-1-abc", "pod-2-def")


def test_a_watch_of_several_where_some_have_no_channel(watched, hooks, db, folder):
    """Those that have one are told of, the others are looked at; without any it is an error, which is said once."""
    first, second = db("odd.sql"), db("odd.sql")
    channel = f"ALERT_WEBHOOK_URL={hooks.url(HOOK)}\n"
    watched.env.update(SLACK_WEBHOOK_URL=None, PAGERDUTY_SERVICE_KEY=None, ALERT_WEBHOOK_URL=None, DATABASE_NAME=None)
    os.makedirs(f"{folder}/sets")
    files = [pathlib.Path(folder, f"sets/{name}.env") for name in "ab"]
    for path, database in zip(files, (first, second)):
        path.write_text(f"DATABASE_URL={database.url}\nBACKUP_DIR={watched.backup_dir}\n")
        path.chmod(0o600)
    words = ("status", "--alert", "--config-dir", f"{folder}/sets", "--local-only", "--quiet")
    none = watched(*words, check=3)
    assert len(backups.error_lines(none)) == 1 and "nobody to tell of any database" in none.stderr
    files[0].write_text(files[0].read_text() + channel)
    some = watched(*words, env=shifted(3 * HOUR), check=2)
    assert "[ERROR]" not in some.output
    assert told(hooks, "backup_age", first.name) == [("trigger", "critical")] and told(hooks, "backup_age", second.name) == []


# ---- runs that cannot begin ----

GOOD = "SLACK_WEBHOOK_URL={slack}\nHEARTBEAT_URL={ping}\nDATABASE_URL={url}\nBACKUP_DIR={dir}\n"


SPOILED = {
    "a wrong value": lambda path: path.write_text(path.read_text() + "BACKUP_RETENTION_DAYS=thirty\n"),
    "an unknown name": lambda path: path.write_text(path.read_text() + "BACKUP_RETENTOIN_DAYS=30\n"),
    "a value of alerts": lambda path: path.write_text("ALERT_MAX_PER_HOUR=many\n" + path.read_text()),
    "an open quote": lambda path: path.write_text("BACKUP_TAG='x\n" + path.read_text()),
    "no line": lambda path: path.write_text(path.read_text() + "what is this\n"),
    "two ways to read it": lambda path: path.write_text(re.sub("DATABASE_URL=.*", "DATABASE_URL=postgresql://u:p@ss@h/app", path.read_text())),
    "gone": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "others may write it": lambda path: path.chmod(0o666),
}


@pytest.mark.parametrize("how", sample.every(2, SPOILED))
def test_settings_that_cannot_be_used_are_told(opstower, hooks, db, folder, how):
    """By backup and watch, once, to the channels that are left, or to those of the last good run; and when it is over."""
    database = db("odd.sql")
    path = pathlib.Path(folder, "job.env")
    text = GOOD.format(slack=hooks.url(SLACK), ping=hooks.url(PING), url=database.url, dir=opstower.backup_dir)
    path.write_text(text)
    path.chmod(0o600)
    opstower.env.update(OPSTOWER_ENV_FILE=str(path), BACKUP_DIR=None, TMPDIR=folder)
    opstower("backup", "--local-only")
    assert [post.path for post in hooks.all()] == [PING + "/start", PING]
    hooks.forget()
    SPOILED[how](path)
    for _ in range(2):
        result = opstower("backup", "--local-only", check=False)
        assert result.returncode in (2, 12, 14) and len(backups.error_lines(result)) == 1
        assert opstower("status", "--alert", "--quiet", check=False).returncode == 3
    assert [post.path for post in hooks.posts() if post.path != SLACK] == [PING + "/fail"] * 2
    assert len(slacked(hooks, "Backup of")) == len(slacked(hooks, "Status of")) == 1 and "p@ss" not in repr(hooks.all())
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    opstower("backup", "--local-only")
    opstower("status", "--alert", "--quiet", check=False)
    assert [line.split(":")[0] for line in slacked(hooks, "Backup of") + slacked(hooks, "Status of")] == ["WARNING", "Resolved"] * 2
    kept = list(pathlib.Path(folder, "state/opstower").iterdir())
    assert [backups.mode_of(each) for each in kept] == [0o600] and database.url not in kept[0].read_text()


def test_words_that_are_wrong_are_told_where_no_person_sees_it(watched, hooks):
    watched("backup", "--local-onyl", check=2)
    watched("status", "--alert", "--josn", check=3)
    assert len(slacked(hooks, "Backup of app failed")) == len(slacked(hooks, "Status of app failed")) == 1
    hooks.forget()
    watched("status", "--josn", check=3)
    watched("verify", "--josn", check=2)
    assert hooks.all() == []


# ---- the file ----

def fill(watched, count, **item):
    """A queue of so many that wait for the webhook."""
    path = pathlib.Path(watched.backup_dir) / "alerts.json"
    root = json.loads(path.read_text())
    now = int(time.time())
    root["queue"] = [{"id": f"x{i}", "channel": "webhook", "key": f"opstower/h/db{i}/backup_age", "state": 0, "severity": 2,
                      "title": "old", "text": "", "when": now, "host": "h", "tries": 1, "next_try": now - 1,
                      "claimed_until": 0, **item} for i in range(count)]
    path.write_text(json.dumps(root))


def test_the_file_is_private_and_bounded(watched, hooks):
    for path in (SLACK, PAGERDUTY, HOOK):
        hooks.plan(path, 500)
    fail(watched)
    path = pathlib.Path(watched.backup_dir) / "alerts.json"
    assert backups.mode_of(path) == 0o600
    fill(watched, 1999)
    for name in ("x", "y"):
        fail(watched, env={"DATABASE_URL": DEAD.replace("/app", f"/{name}")})
    found = state(watched)
    assert len(found["queue"]) == 2000 and found["dropped"] == 3 and path.stat().st_size < 4 << 20
    assert "3 alerts were dropped" in watched("alert", "list").stderr
    check = checks(watched)["alerts"]
    assert check["verdict"] == "WARNING" and "3 were dropped, as too many waited" in check["value"]


@pytest.mark.parametrize("waiting", sample.every(4, [200, 1, 1999, 2000]))
def test_what_finds_no_place_is_told_when_there_is_one(watched, hooks, db, waiting):
    """However many wait: what is still bad is sent in the end, once, and what is over is not taken for told."""
    database = db("odd.sql")
    broken = {"DATABASE_URL": DEAD.replace("/app", f"/{database.name}")}
    watched.env.update(SLACK_WEBHOOK_URL=None, PAGERDUTY_SERVICE_KEY=None, ALERT_MAX_PER_HOUR="1000")
    hooks.plan(HOOK, 500)
    fail(watched)
    fill(watched, waiting)
    fail(watched, env=broken)
    if waiting == 2000:   # it was dropped; the channel has taken the others meanwhile
        assert state(watched)["dropped"] == 1
        fill(watched, 1)
    hooks.plan(HOOK, 200)
    fail(watched, HOUR, env=broken)
    fail(watched, HOUR + 60, env=broken)
    assert told(hooks, "failed-backup", database.name) == [("trigger", "warning")]
    take(watched, database, 2 * HOUR)
    assert told(hooks, "failed-backup", database.name) == [("trigger", "warning"), ("resolve", "warning")]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2}', '{"format": 1, "open": [], "queue": {}, "sent": 1}',
                                     '{"format":1,"serial":1,"open":{"app/failed-backup":7},"unknown":{"x":[]},"queue":[1,{"id":5}],"sent":{"slack":{}}}',
                                     "\0" * 100])
def test_a_file_that_cannot_be_understood(watched, hooks, content):
    os.makedirs(watched.backup_dir)
    path = pathlib.Path(watched.backup_dir) / "alerts.json"
    path.write_text(content)
    fail(watched)
    fail(watched)
    assert len(slacked(hooks, "Backup of app failed")) == 1
    assert json.loads(path.read_text())["format"] == 1


def test_a_folder_that_cannot_be_used(watched, hooks, folder):
    """Told once all the same: the state lies in the temporary folder meanwhile."""
    pathlib.Path(folder, "file").write_text("")
    env = {"BACKUP_DIR": os.path.join(folder, "file", "backups")}
    for _ in range(3):
        fail(watched, env=env, check=3)
    assert len(slacked(hooks, "Backup of app failed")) == 1
    spare, = pathlib.Path(folder, "tmp").glob("opstower-alerts-*.json")
    assert backups.mode_of(spare) == 0o600 and KEY not in spare.read_text()


if disks.CAN_MOUNT:
    def test_a_full_disk(watched, hooks, db, folder):
        database = db("odd.sql")
        watched.env["DATABASE_URL"] = database.url
        os.makedirs(watched.backup_dir)
        disk = disks.Disk(watched.backup_dir, 40)
        try:
            disk.fill(0)
            for _ in range(3):
                watched("backup", "--local-only", check=4)
            assert len(slacked(hooks, f"Backup of {database.name} failed")) == 1
            assert len(list(pathlib.Path(folder, "tmp").glob("opstower-alerts-*.json"))) == 1
            disk.free()
            watched("backup", "--local-only")
            assert len(slacked(hooks, f"Resolved: Backup of {database.name} went well")) == 1
            assert list(pathlib.Path(folder, "tmp").glob("opstower-alerts-*.json")) == []
            assert (pathlib.Path(watched.backup_dir) / "alerts.json").exists()
        finally:
            disk.unmount()
