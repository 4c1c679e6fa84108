"""One command for several databases: each has its own run, one that fails does not stop the others, and the exit code tells."""
import json
import os
import pathlib
import re
import signal
import time

import pytest

from lib import backups, clock, runner

SIDE_NAMES = ["app_restoring_20260101_000000", "app_replaced_20260101_000000", "opstower_test_123_4567"]    # of restores and full tests
ODD_NAMES = ["app", "app_test", "app_restoring", "app_replaced_2026", "opstower_test_", "a b", "it's \"quoted\"", "100%25", "größe-数据", "--force", "host=x dbname=y", "a/b"]


@pytest.fixture
def many(make_server):
    """A server of its own, so that all of its databases are the test's."""
    server = make_server()
    server.query("ALTER DATABASE template1 ALLOW_CONNECTIONS true")

    def make(*names):
        for name in names:
            quoted = name.replace('"', '""')
            server.query(f'CREATE DATABASE "{quoted}" TEMPLATE template0')
            server.query("CREATE TABLE mine (name text)", dbname=name)
            server.query("INSERT INTO mine VALUES (%s)", (name,), dbname=name)
        return server
    return make


def config(opstower, **files):
    """A folder of .env files: name -> text; what all need is put before."""
    folder = pathlib.Path(opstower.folder, "db.d")
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / f"{name}.env"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
    return str(folder)


def table(result):
    """The summary's rows as (label, result, id)."""
    lines = result.stdout.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("DATABASE "))
    rows = []
    for line in lines[head + 1:]:
        rows.append(re.match(r"(.+?) {2,}(ok|not run|failed \(\d+\)) +(?:-|[\d minhs]*s) +(.+)$", line).groups())
    return rows



def test_every_database_of_the_server_whatever_its_name(opstower, many):
    server = many(*ODD_NAMES)
    for name in ["shut", *SIDE_NAMES]:
        server.query(f"CREATE DATABASE {name} TEMPLATE template0")
    server.query("ALTER DATABASE shut ALLOW_CONNECTIONS false")
    url = server.url("app") + "&application_name=x%20y"
    result = opstower("backup", "--local-only", "--all-databases", env={"DATABASE_URL": url})
    assert all(f"Left out: database {name}, " in result.output for name in SIDE_NAMES)
    rows = table(result)
    assert [row[0] for row in rows] == sorted([*ODD_NAMES, "postgres"], key=str.encode)
    assert {row[1] for row in rows} == {"ok"}
    taken = backups.all_of(opstower)
    assert {backup.id for backup in taken} == {row[2] for row in rows}
    assert {backup.meta["database"] for backup in taken} == {*ODD_NAMES, "postgres"}
    for backup in taken:
        backup.assert_whole()
        if backup.meta["database"] != "postgres":
            assert f"\n{backup.meta['database']}\n".encode() in backup.text()
    verified = opstower("verify", "latest", "--all-databases", "--json", env={"DATABASE_URL": url})
    shown = json.loads(verified.stdout)
    assert {(each["label"], each["id"]) for each in shown} == {(row[0], row[2]) for row in rows}
    assert all(each["result"] == "ok" and each["code"] == 0 and each["output"]["passed"] for each in shown)


def test_database_option_wins_over_url_and_parts(opstower, many):
    server = many("one", "two")
    env = {"DATABASE_URL": server.url("one"), "DATABASE_NAME": "one", "PGDATABASE": "one"}
    opstower("backup", "--local-only", "--database", "two", env=env)
    assert [backup.meta["database"] for backup in backups.all_of(opstower)] == ["two"]
    assert json.loads(opstower("list", "--json", "--database", "one", env=env).stdout) == []
    assert json.loads(opstower("list", "--json", "--database=two", env=env).stdout)[0]["database"] == "two"


def test_settings_of_a_folder_are_each_their_own(opstower, many):
    server = many("one", "two")
    base = opstower.backup_dir
    folder = config(opstower, b_two=f"DATABASE_URL={server.url('two')}\nBACKUP_DIR={base}/2\nBACKUP_COMPRESS_LEVEL=9\n",
                    a_one=f"DATABASE_NAME=one\nDATABASE_HOST={server.socket}\nDATABASE_USER=postgres\nBACKUP_DIR={base}/1\n")
    pathlib.Path(folder, "not-one.env.bak").write_text("DATABASE_NAME=bak\n", encoding="utf-8")
    pathlib.Path(folder, ".hidden.env").write_text("DATABASE_NAME=hidden\n", encoding="utf-8")
    # What a shell may have exported for one database must not become all of them.
    env = {"DATABASE_URL": server.url("postgres"), "DATABASE_NAME": "postgres", "BACKUP_DIR": base}
    result = opstower("backup", "--local-only", "--config-dir", folder, "--tag", "t1", env=env)
    assert [row[:2] for row in table(result)] == [("a_one", "ok"), ("b_two", "ok")]
    one, two = ([*pathlib.Path(base, number).glob("*_2*.sql.gz")] for number in "12")
    assert len(one) == len(two) == 1
    assert backups.Backup(one[0]).meta["database"] == "one" and backups.Backup(two[0]).meta["database"] == "two"
    assert backups.Backup(two[0]).meta["tag"] == "t1"
    assert not pathlib.Path(base, "journal.jsonl").exists()
    journal = pathlib.Path(base, "2", "journal.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["act"] for line in journal] == ["backup"]


def test_one_that_fails_does_not_stop_the_others(opstower, many):
    server = many("good", "last")
    folder = config(opstower, a_gone=f"DATABASE_URL={server.url('gone')}\n", b_wrong="BACKUP_JOBS=many\n",
                    c_good=f"DATABASE_URL={server.url('good')}\n", d_last=f"DATABASE_URL={server.url('last')}\n")
    result = opstower("backup", "--local-only", "--config-dir", folder, check=5)
    assert [row[:2] for row in table(result)] == [("a_gone", "failed (5)"), ("b_wrong", "failed (2)"), ("c_good", "ok"),
                                                  ("d_last", "ok")]
    assert "2 of 4 databases failed: a_gone (exit code 5), b_wrong (exit code 2)" in backups.error_lines(result)[-1]
    assert len(backups.error_lines(result)) == 3
    os.unlink(os.path.join(folder, "a_gone.env"))
    shown = json.loads(opstower("backup", "--local-only", "--config-dir", folder, "--json", check=2).stdout)
    assert [each["result"] for each in shown] == ["failed", "ok", "ok"]
    assert "BACKUP_JOBS" in shown[0]["error"] and shown[1]["output"]["database"] == "good"


def test_databases_that_share_a_folder_are_kept_apart(opstower, many):
    """Names that begin alike, each with its own latest, list and retention."""
    server = many("app", "app_test", "app-2", "APP")
    env = {"DATABASE_URL": server.url("app")}
    opstower("backup", "--local-only", "--all-databases", env=env)
    opstower("backup", "--local-only", "--database", "app_test", env=env)
    for name, count in (("app", 1), ("app_test", 2), ("app-2", 1), ("APP", 1)):
        found = json.loads(opstower("list", "--json", "--database", name, env=env).stdout)
        assert [each["database"] for each in found] == [name] * count
        link = os.readlink(os.path.join(opstower.backup_dir, f"{name}_latest.sql.gz"))
        assert link == max(each["id"] for each in found) + ".sql.gz"


def test_prune_looks_at_each_database_alone(opstower, many):
    """One good backup stays of each, and the new ones of a database do not count for another whose name begins alike."""
    server = many("app", "app_test")
    env = {"DATABASE_URL": server.url("app"), "BACKUP_KEEP_MIN": "1"}
    for days in (64, 32):       # evenly, so that all time counts
        past = {**env, "BACKUP_RETENTION_DAYS": "3650", **clock.shifted(-days * 24 * clock.HOUR)}
        opstower("backup", "--local-only", "--all-databases", env=past)
    opstower("backup", "--local-only", "--database", "app", env={**env, "BACKUP_RETENTION_DAYS": "3650"})
    shown = {each["label"]: sorted(verdict["verdict"] for verdict in each["output"])
             for each in json.loads(opstower("prune", "--all-databases", "--json", env=env).stdout)}
    assert shown == {"app": ["delete", "delete", "keep"], "app_test": ["delete", "keep"], "postgres": ["delete", "keep"]}
    opstower("prune", "--all-databases", "--apply", env=env)
    assert sorted(backup.name for backup in backups.all_of(opstower)) == ["app", "app_test", "postgres"]


def test_sync_and_status(opstower, many, s3, bucket):
    server = many("one", "two")
    env = {**s3.environment(bucket), "DATABASE_URL": server.url("one")}
    opstower("backup", "--all-databases", "--local-only", env=env)
    for name in ("one", "two"):
        meta = next(b for b in backups.all_of(opstower) if b.meta["database"] == name)
        os.unlink(meta.path)
    opstower("backup", "--all-databases", env=env)
    result = opstower("sync", "--all-databases", env=env)
    assert [row[:2] for row in table(result)] == [("one", "ok"), ("postgres", "ok"), ("two", "ok")]
    keys = [key for key in s3.objects(bucket) if key.endswith(".sql.gz") and "/monthly/" not in key]
    assert len([key for key in keys if "/one_" in key]) == 1
    server.query('CREATE DATABASE never_backed_up')
    result = opstower("status", "--all-databases", "--json", env=env, check=3)
    shown = {each["label"]: each["code"] for each in json.loads(result.stdout)}
    assert shown["never_backed_up"] == 3 and set(shown) == {"one", "two", "postgres", "never_backed_up"}


def test_an_interrupt_ends_the_run_at_work_and_starts_no_other(opstower, many):
    server = many("one", "two")
    blocker = server.connect("one")
    blocker.autocommit = False
    blocker.cursor().execute("LOCK TABLE mine IN ACCESS EXCLUSIVE MODE")
    env = {"DATABASE_URL": server.url("one"), "BACKUP_LOCK_TIMEOUT": "60"}
    process = opstower.popen("backup", "--local-only", "--all-databases", env=env)
    deadline = time.monotonic() + 90
    while not server.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=90)
    blocker.close()
    result = runner.Result([], process.returncode, stdout.decode(), stderr.decode())
    assert process.returncode == 143, result
    assert [row[:2] for row in table(result)] == [("one", "failed (143)"), ("postgres", "not run"), ("two", "not run")]
    assert backups.all_of(opstower) == [] and backups.unfinished(opstower) == []
    backups.wait_until_gone(server)


def test_no_password_in_any_argument(opstower, many, folder):
    """Every command line of the runs and of what they start, as ps shows it."""
    server = many("one")
    real = os.path.join(server.bindir, "pg_dump")
    spy = backups.programs_with(folder, server, pg_dump=f'ps -eo args >> "{folder}/ps"\nexec "{real}" "$@"\n')
    url = server.url("one", password="s3cret-pass")
    opstower("backup", "--local-only", "--all-databases", env={"DATABASE_URL": url, "PG_BINDIR": spy})
    seen = pathlib.Path(folder, "ps").read_text(encoding="utf-8", errors="replace")
    assert "--database=one" in seen and "s3cret-pass" not in seen


@pytest.mark.parametrize("words,says", [
    (["backup", "--all-databases", "--config-dir", "x"], "exclude each other"),
    (["backup", "--all-databases", "--database", "x"], "--database does not go with"),
    (["sync", "--all-databases", "--all"], "--all does not go with"),
    (["verify", "x.sql.gz", "--all-databases"], "takes \"latest\" or \"latest-good\" only"),
    (["restore", "latest", "--all-databases"], "is an option of"),
    (["backup", "--config-dir", "nowhere"], "cannot read the folder"),
    (["status", "--all-databases", "--nagios"], "tell of one run"),
])
def test_wrong_words(opstower, words, says):
    result = opstower(*words, env={"DATABASE_URL": "postgresql:///x"}, check=False)
    assert result.returncode in (2, 3) and says in backups.error_lines(result)[0], result


def test_an_empty_folder_is_an_error_and_not_success(opstower, folder):
    os.mkdir(os.path.join(folder, "empty"))
    result = opstower("backup", "--config-dir", os.path.join(folder, "empty"), check=2)
    assert "holds no file named *.env" in backups.error_lines(result)[0]


def test_a_server_that_is_not_there_is_an_error(opstower, folder):
    result = opstower("backup", "--all-databases", env={"DATABASE_URL": f"postgresql:///x?host={folder}"}, check=5)
    assert len(backups.error_lines(result)) == 1 and "DATABASE " not in result.stdout
