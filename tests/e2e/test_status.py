"""`opstower status`: the right verdict for what goes wrong, on real backups; the clock of the program is moved."""
import datetime
import json
import os
import pathlib
import re
import stat
import subprocess

import pytest

from lib import backups, pgserver, ports
from lib.backups import moved, take
from lib.clock import HOUR, shifted

DAY = 24 * HOUR
FILL = """CREATE TABLE big (id int PRIMARY KEY, t text);
INSERT INTO big SELECT g, md5(g::text) FROM generate_series(1, 3000) g;
CREATE TABLE queue (id int PRIMARY KEY);
INSERT INTO queue SELECT g FROM generate_series(1, 10) g;
CREATE TABLE a (id int); INSERT INTO a SELECT generate_series(1, 400);
CREATE TABLE b (id int); INSERT INTO b SELECT generate_series(1, 500)"""


@pytest.fixture
def database(db, opstower):
    made = db()
    made.query(FILL)
    opstower.env["DATABASE_URL"] = made.url
    return made


def look(opstower, *words, at=0, env=None):
    """The checks by name, with "exit" and "verdict" of the whole; the clock is `at` seconds ahead."""
    result = opstower("status", "--json", *words, check=False, env={**(shifted(at) if at else {}), **(env or {})})
    assert backups.error_lines(result) == [], result
    told = json.loads(result.stdout)
    assert {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}[told["verdict"]] == result.returncode
    return {**{check["name"]: check for check in told["checks"]}, "verdict": told["verdict"], "all": told}


def verdicts(looked, *names):
    return tuple(looked[name]["verdict"] for name in names)


# ---- from nothing to all well ----------------------------------------------------------------------------------------

def test_a_database_that_was_never_backed_up_is_critical(opstower, database):
    """Once the first backup should have been there, for which a new folder has an hour; at once where there is no folder."""
    for at in (0, 2 * HOUR):
        looked = look(opstower, at=at)
        assert verdicts(looked, "backup_age", "success_rate", "rpo", "size_change", "row_loss") == ("CRITICAL",) * 5
        assert looked["backup_age"]["value"] == "there is no backup" and looked["verdict"] == "CRITICAL"
        assert all(check["advice"] for check in looked["all"]["checks"] if check["verdict"] != "OK")
        os.makedirs(opstower.backup_dir, exist_ok=True)
    assert looked["all"]["database"] == database.name


NEVER_RUN = ("verification", "full_test", "drill", "rto", "rto_predicted")


def test_what_is_not_due_yet_is_neither_good_nor_bad(opstower, database):
    """A new installation; and each thing is missed once its time is over, but not where it was tried in vain."""
    os.makedirs(opstower.backup_dir)
    new = look(opstower)
    assert set(verdicts(new, "backup_age", "success_rate", "rpo", "size_change", "row_loss")) == {"UNKNOWN"}
    assert new["backup_age"]["value"].startswith("no backup yet; the first is due by ")
    assert verdicts(look(opstower, at=20 * HOUR, env={"BACKUP_RPO_TARGET": "1440"}), "backup_age") == ("UNKNOWN",)
    assert verdicts(new, *NEVER_RUN) == ("OK",) * 5
    for name, when in (("verification", "Sun .* 02:30"), ("full_test", "Sun .* 03:30"), ("rto", "Sun .* 03:30")):
        assert re.fullmatch(f"not due yet, first on {when}", new[name]["value"])
    for days, due in ((7, 0), (9, 1), (37, 4), (101, 5)):
        assert verdicts(look(opstower, at=days * DAY), *NEVER_RUN).count("WARNING") == due, days
    opstower("backup", "--local-only", env={"DATABASE_PORT": "1", "DATABASE_HOST": "127.0.0.1", "DATABASE_URL": None,
                                            "DATABASE_NAME": database.name}, check=5)
    assert verdicts(look(opstower), "backup_age", "rpo") == ("CRITICAL",) * 2


@pytest.mark.parametrize("left", [0, 1000, -1])
def test_files_that_were_cut_are_no_backups(opstower, database, left):
    """The metadata still says that they are proven; the sizes do not. The older one counts while it is whole."""
    first, second = take(opstower, database), take(opstower, database)
    moved(first, -HOUR)
    os.truncate(second.path, left if left >= 0 else second.path.stat().st_size - 1)
    looked = look(opstower)
    assert first.name in looked["backup_age"]["value"] and second.id not in looked["backup_age"]["value"]
    assert looked["verification"]["verdict"] == "WARNING" and f"{second.id} is damaged" in looked["verification"]["value"]
    for path in pathlib.Path(opstower.backup_dir).glob("*.sql.gz"):
        os.truncate(path, 0)
    assert verdicts(look(opstower), "backup_age", "rpo") == ("CRITICAL",) * 2


def test_whoever_has_run_before_is_not_new(opstower, database):
    """All backups gone, the journal kept: not the first hour of anything."""
    backup = take(opstower, database)
    for path in backup.path.parent.glob(f"{backup.id}*"):
        path.unlink()
    assert verdicts(look(opstower), "backup_age", "rpo") == ("CRITICAL",) * 2


def test_all_is_well_only_after_everything_was_done(opstower, database, s3, bucket):
    opstower.env.update(s3.environment(bucket), BACKUP_S3_RETRY_TIME="3")
    opstower("backup")
    first = look(opstower)
    assert verdicts(first, "backup_age", "success_rate", "rpo", "s3_upload", "s3_copies", "clock") == ("OK",) * 6
    assert verdicts(first, "size_change", "row_loss") == ("UNKNOWN",) * 2
    assert verdicts(first, *NEVER_RUN) == ("OK",) * 5
    opstower("backup")
    opstower("verify", "latest", "--full-test", "--from-s3")
    looked = look(opstower)
    assert {check["name"]: check["value"] for check in looked["all"]["checks"]
            if check["verdict"] != "OK" and check["name"] not in ALLOWED} == {}
    assert 1800 <= looked["rto"]["number"] < 1800 + 60 and looked["rto_predicted"]["number"] >= 1800
    numbers = looked["all"]["numbers"]
    newest = opstower.newest().name.removesuffix(".sql.gz")
    assert newest in looked["backup_age"]["value"] and numbers["rows"] == 3910 and numbers["tables"] == 4
    assert numbers["local_backups"] == numbers["s3_backups"] == 2 and numbers["local_bytes"] == numbers["s3_bytes"] > 0


ALLOWED = ("disk_space",)   # of whoever runs the tests


# ---- what goes wrong -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("hours,age,rpo", [(0.9, "OK", "OK"), (1.9, "OK", "WARNING"), (2.1, "WARNING", "WARNING"),
                                           (3.9, "WARNING", "WARNING"), (5, "CRITICAL", "WARNING")])
def test_the_scheduler_is_dead(opstower, database, hours, age, rpo):
    take(opstower, database)
    looked = look(opstower, at=hours * HOUR)
    assert verdicts(looked, "backup_age", "rpo", "clock") == (age, rpo, "OK")
    assert abs(looked["backup_age"]["number"] - hours * HOUR) < 60
    missed = {0.9: 0, 1.9: 1, 2.1: 1, 3.9: 3, 5: 4}[hours]
    assert looked["success_rate"]["value"].endswith(f"1 good, 0 failed, {missed} missed")
    assert looked["success_rate"]["verdict"] == ("WARNING" if missed else "OK")
    if age != "OK":
        assert "schedule" in looked["backup_age"]["advice"]


def test_backups_fail_for_two_days(opstower, database):
    backup = take(opstower, database, env=shifted(-48 * HOUR))
    old = moved(backup, -48 * HOUR)
    nobody = f"postgresql://x@127.0.0.1:1/{database.name}"
    for hour in range(47, 0, -1):
        opstower("backup", check=5, env={"DATABASE_URL": nobody, **shifted(-hour * HOUR)})
    looked = look(opstower, env={"DATABASE_URL": nobody})
    assert verdicts(looked, "backup_age", "success_rate", "rpo") == ("CRITICAL", "WARNING", "WARNING")
    assert looked["success_rate"]["value"].endswith("1 good, 47 failed, 0 missed")
    assert "onnection" in looked["success_rate"]["advice"] and old.id in looked["backup_age"]["value"]
    take(opstower, database)
    assert verdicts(look(opstower), "backup_age", "success_rate") == ("OK", "WARNING")


def test_status_needs_no_database(opstower, database):
    take(opstower, database)
    nobody = f"postgresql://x@127.0.0.1:1/{database.name}"
    assert verdicts(look(opstower, env={"DATABASE_URL": nobody}), "backup_age", "success_rate") == ("OK", "OK")


def test_s3_is_down(opstower, database, s3, bucket):
    opstower.env.update(s3.environment(bucket), BACKUP_S3_RETRY_TIME="1")
    opstower("backup")
    down = s3.environment(bucket, "http://127.0.0.1:1")
    looked = look(opstower, env=down)
    assert verdicts(looked, "s3_copies", "s3_upload", "backup_age") == ("WARNING", "OK", "OK")
    assert "127.0.0.1" in looked["s3_copies"]["value"] and "bucket check" in looked["s3_copies"]["advice"]
    opstower("backup", check=15, env=down)
    looked = look(opstower, env=down)
    assert verdicts(looked, "s3_copies", "s3_upload", "backup_age", "success_rate") == ("WARNING", "WARNING", "OK", "OK")
    assert looked["all"]["numbers"]["pending_copies"] == 1 and looked["s3_upload"]["number"] == 50
    assert look(opstower, "--local-only", env=down)["s3_copies"]["verdict"] == "UNKNOWN"
    opstower("sync")
    assert verdicts(look(opstower), "s3_copies", "s3_upload") == ("OK", "OK")


def test_backups_in_s3_only_are_not_seen_while_s3_is_down(opstower, database, s3, bucket):
    opstower.env.update(s3.environment(bucket), BACKUP_S3_RETRY_TIME="1")
    opstower("backup", "--s3-only")
    assert verdicts(look(opstower), "backup_age", "s3_upload", "s3_copies") == ("OK",) * 3
    looked = look(opstower, env=s3.environment(bucket, "http://127.0.0.1:1"))
    assert verdicts(looked, "backup_age", "s3_copies", "success_rate") == ("UNKNOWN", "WARNING", "OK")
    assert looked["backup_age"]["value"].startswith("S3 was not seen; by the journal the newest good backup is ")
    assert verdicts(looked, "rpo", "size_change", "row_loss", "s3_upload") == ("UNKNOWN",) * 4
    away = s3.environment(bucket, "http://127.0.0.1:1")
    assert look(opstower, at=3 * HOUR, env=away)["backup_age"]["verdict"] == "WARNING"
    assert look(opstower, at=5 * HOUR, env=away)["backup_age"]["verdict"] == "CRITICAL"
    (pathlib.Path(opstower.backup_dir) / "journal.jsonl").unlink()
    old = look(opstower, at=2 * HOUR, env=away)["backup_age"]
    assert (old["verdict"], old["value"]) == ("CRITICAL", "there is no backup here, and S3 was not seen")


def test_a_restore_beside_the_live_database_measures_the_rto(opstower, database):
    take(opstower, database)
    assert look(opstower)["rto"]["value"].startswith("not due yet")
    assert look(opstower, at=37 * DAY)["rto"]["value"] == "never measured"
    opstower("restore", "latest", "--target-db", database.name + "_beside", "--force")
    looked = look(opstower)
    assert verdicts(looked, "rto", "rto_predicted") == ("OK", "OK") and "restore of" in looked["rto"]["value"]


def test_a_journal_that_cannot_be_read_is_not_ok(opstower, database):
    take(opstower, database)
    journal = pathlib.Path(opstower.backup_dir) / "journal.jsonl"
    journal.unlink()
    journal.mkdir()
    looked = look(opstower)
    assert looked["success_rate"]["verdict"] == "CRITICAL" and "cannot be read" in looked["success_rate"]["value"]


def test_a_copy_in_s3_is_gone(opstower, database, s3, bucket):
    opstower.env.update(s3.environment(bucket), BACKUP_S3_RETRY_TIME="1")
    opstower("backup")
    assert look(opstower)["s3_copies"]["verdict"] == "OK"
    s3.empty(bucket)
    looked = look(opstower)
    assert looked["s3_copies"]["verdict"] == "CRITICAL" and "(missing)" in looked["s3_copies"]["value"]
    assert look(opstower, env={"BACKUP_S3_BUCKET": None})["s3_upload"]["verdict"] == "WARNING"


def test_credentials_are_refused(opstower, database, s3, bucket):
    opstower.env.update(s3.environment(bucket), BACKUP_S3_RETRY_TIME="1", AWS_SECRET_ACCESS_KEY="a-wrong-secret")
    take(opstower, database)
    result = opstower("status", "--json", check=2)
    check = {each["name"]: each for each in json.loads(result.stdout)["checks"]}["s3_copies"]
    assert check["verdict"] == "WARNING" and " 403 " in check["value"]
    assert "a-wrong-secret" not in result.output


@pytest.mark.parametrize("sql,verdict,told", [
    ("DELETE FROM big", "CRITICAL", "public.big lost rows: 3000 -> 0"),
    ("DELETE FROM big WHERE id <= 901", "CRITICAL", "public.big lost rows: 3000 -> 2099"),
    ("DELETE FROM big WHERE id <= 900", "OK", "at most 30.0 % fewer rows"),
    ("DROP TABLE big", "CRITICAL", "public.big is gone: 3000 -> 0"),
    ("DELETE FROM queue", "WARNING", "public.queue lost rows: 10 -> 0"),
])
def test_rows_are_deleted(opstower, database, sql, verdict, told):
    moved(take(opstower, database), -HOUR)
    database.query(sql)
    take(opstower, database)
    looked = look(opstower)
    assert looked["row_loss"]["verdict"] == verdict and told in looked["row_loss"]["value"], looked["row_loss"]
    take(opstower, database)   # the next hour: nothing more was lost, and it is still told
    assert look(opstower)["row_loss"]["verdict"] == verdict
    assert look(opstower, env={"BACKUP_ROW_LOSS_IGNORE": "queue,public.big"})["row_loss"]["verdict"] == "OK"


@pytest.mark.parametrize("sql,verdict", [
    ("INSERT INTO big SELECT g, md5(g::text) FROM generate_series(3001, 9000) g", "WARNING"),
    ("DELETE FROM big WHERE id > 500", "WARNING"),
    ("INSERT INTO big SELECT g, md5(g::text) FROM generate_series(3001, 3100) g", "OK"),
])
def test_the_size_jumps(opstower, database, sql, verdict):
    for hours in (3, 2, 1):
        moved(take(opstower, database), -hours * HOUR)
    database.query(sql)
    take(opstower, database)
    looked = look(opstower)["size_change"]
    assert looked["verdict"] == verdict and (looked["number"] > 0) == sql.startswith("INSERT")


def test_the_clock_was_ahead(opstower, database):
    moved(take(opstower, database), -HOUR)
    future = moved(take(opstower, database, env=shifted(3 * HOUR)), 3 * HOUR)
    looked = look(opstower)
    assert verdicts(looked, "clock", "backup_age") == ("WARNING", "OK")
    assert "ahead" in looked["clock"]["value"] and abs(looked["backup_age"]["number"] - HOUR) < 60
    assert future.id not in looked["backup_age"]["value"]
    assert look(opstower, at=4 * HOUR)["clock"]["verdict"] == "OK"


def test_damage_is_told(opstower, database):
    backup = take(opstower, database)
    opstower("verify", "latest")
    assert look(opstower)["verification"]["verdict"] == "OK"
    data = bytearray(backup.path.read_bytes())
    data[len(data) // 2] ^= 1
    backup.path.write_bytes(data)
    opstower("verify", "latest", check=8)
    looked = look(opstower)
    assert verdicts(looked, "verification", "backup_age") == ("CRITICAL", "CRITICAL")
    assert backup.id in looked["verification"]["value"]


def test_a_file_that_is_nobodys_backup_is_not_our_damage(opstower, database, folder):
    backup = take(opstower, database)
    opstower("verify", "latest")
    stray = pathlib.Path(folder, "stray.sql.gz")
    stray.write_bytes(backup.path.read_bytes()[:-100])
    opstower("verify", stray, check=8)
    assert look(opstower)["verification"]["verdict"] == "OK"


# Valid JSON of the wrong kind in every field that a check reads.
ODD = [{"tables": 5}, {"tables": [5, {"schema": 1}, {"schema": "a", "name": "b", "rows": "many"}, None]},
       {"s3": "uploaded"}, {"s3": {"state": 7}}, {"s3": []}, {"snapshot_time": "yesterday"}, {"date": ""},
       {"snapshot_time": "9999-12-31T23:59:59+00:00"}, {"uncompressed_size": 2 ** 62}, {"rows": 2 ** 62},
       {"hold": 3}, {"hold": {"reason": 1, "until": {}}}, {"type": None}, {"compress_level": None}, {"log": None}]
ODD_LINES = ["[]", "7", '{"act": 5, "time": 5}', '{"act": "backup", "time": "never"}', '{"act": "verify", "code": "x"}',
             '{"act": "restore", "result": "ok", "time": "2026-01-01T00:00:00Z", "phases": 5, "duration_seconds": -1}',
             '{"act": "restore", "result": "ok", "time": "2026-01-01T00:00:00Z", "phases": {"a": "b"}, "id": 5}', "{", "\0"]


@pytest.mark.parametrize("changed", ODD, ids=str)
def test_metadata_of_an_odd_kind_ends_no_look(opstower, database, changed):
    moved(take(opstower, database), -HOUR)
    backup = take(opstower, database)
    backup.beside(".meta.json").write_text(json.dumps({**backup.meta, **changed}), encoding="utf-8")
    for form in ("--json", "--nagios", "--prometheus", "--quiet"):
        assert opstower("status", form, check=False).returncode in (0, 1, 2, 3)


def test_lines_of_an_odd_kind_end_no_look(opstower, database):
    take(opstower, database)
    journal = pathlib.Path(opstower.backup_dir) / "journal.jsonl"
    journal.write_text("\n".join(ODD_LINES) + "\n" + journal.read_text(encoding="utf-8"), encoding="utf-8")
    looked = look(opstower)
    assert looked["backup_age"]["verdict"] == "OK" and looked["success_rate"]["number"] == 100


# ---- limits of one's own ---------------------------------------------------------------------------------------------

def test_daily_backups_are_no_fault_where_they_are_meant(opstower, database):
    take(opstower, database)
    daily = {"BACKUP_RPO_TARGET": "1440"}
    assert verdicts(look(opstower, at=26 * HOUR, env=daily), "backup_age", "success_rate") == ("OK", "OK")
    looked = look(opstower, at=25 * HOUR, env={**daily, "BACKUP_S3_BUCKET": None})
    assert verdicts(looked, "backup_age", "rpo", "success_rate") == ("OK",) * 3, "the night on which clocks are put back"
    assert look(opstower, at=49 * HOUR, env=daily)["backup_age"]["verdict"] == "WARNING"
    assert look(opstower, at=97 * HOUR, env=daily)["backup_age"]["verdict"] == "CRITICAL"
    own = {"BACKUP_AGE_WARNING": "30", "BACKUP_AGE_CRITICAL": "40"}
    assert look(opstower, at=35 * 60, env=own)["backup_age"]["verdict"] == "WARNING"
    assert look(opstower, at=45 * 60, env=own)["backup_age"]["verdict"] == "CRITICAL"


def test_other_databases_are_not_ours(opstower, database, db):
    other = db(name=database.name + "_2")
    other.query(FILL)
    take(opstower, other)
    late = shifted(3 * HOUR)
    assert look(opstower, at=3 * HOUR)["backup_age"]["verdict"] == "CRITICAL"
    opstower("status", "--json", env={"DATABASE_URL": other.url, **late}, check=1)
    told = json.loads(opstower("status", "--json", "--all", env=late, check=2).stdout)
    assert [each["database"] for each in told] == [database.name, other.name]
    text = opstower("status", "--all", env=late, check=2).stdout
    assert f"Backups of {database.name}: CRITICAL" in text and f"Backups of {other.name}: WARNING" in text
    text = opstower("status", "--all", env={"DATABASE_URL": None, **late}, check=1).stdout
    assert text.startswith(f"Backups of {other.name}: WARNING")


# ---- how it is told --------------------------------------------------------------------------------------------------

def test_the_table(opstower, database):
    moved(take(opstower, database), -3 * HOUR)
    lines = opstower("status", check=1).stdout.splitlines()
    assert lines[0] == f"Backups of {database.name}: WARNING" and lines[1] == ""
    checks = [line for line in lines[2:] if not line.startswith(" ")]
    assert all(re.match(r"(OK|WARNING|CRITICAL|UNKNOWN) +[A-Z].*  ", line) for line in checks) and len(checks) > 10
    column = checks[0].index("Backup age")
    assert {line[column - 1] for line in checks} == {" "} and all(line[column] != " " for line in checks)
    assert all(line.strip().startswith("-> ") for line in lines[2:] if line.startswith(" "))
    assert opstower("status", "--quiet", check=1).output == ""


PERF = re.compile(r"'([^'=]+)'=(-?[0-9.]+(?:e[+-]?\d+)?)(s|B|%|)((?:;(?:-?[0-9.]*:?[0-9.]*))*)$")


def test_the_line_of_a_plugin(opstower, database):
    moved(take(opstower, database), -3 * HOUR)
    result = opstower("status", "--nagios", check=1)
    assert result.stdout.count("\n") == 1
    text, _, performance = result.stdout.strip().partition("|")
    assert text.startswith(f"OPSTOWER WARNING - backups of {database.name}; ") and "Backup age: 3 h" in text
    found = {}
    for word in re.findall(r"'[^']*'=\S+", performance):
        name, number, unit, limits = PERF.match(word).groups()
        found[name] = (float(number), unit, limits)
    assert found["backup_age"][1:] == ("s", ";7200;14400") and found["success_rate"] == (100, "%", ";95:;")
    assert len(re.findall(r"'[^']*'=", performance)) == len(found) >= 4


@pytest.mark.parametrize("words,env,told", [
    (["--nagos"], {}, "did you mean --nagios"),
    (["one"], {}, "one word too many"),
    (["--json", "--nagios"], {}, "exclude each other"),
    ([], {"BACKUP_AGE_WARNING": "soon"}, "BACKUP_AGE_WARNING"),
    ([], {"BACKUP_DIRR": "x"}, "unknown variable BACKUP_DIRR"),
    ([], {"ALERT_EMIAL": "x"}, "unknown variable ALERT_EMIAL in the environment; did you mean ALERT_EMAIL?"),
    (["--env-file=none"], {}, "cannot open none"),
    (["--output=/nonexistent/x"], {}, "/nonexistent"),
])
def test_a_look_that_fails_is_unknown_not_a_warning(opstower, database, words, env, told):
    result = opstower("status", *words, env=env, check=3)
    assert len(backups.error_lines(result)) == 1 and told in backups.error_lines(result)[0]


def test_a_folder_that_cannot_be_read_is_unknown(opstower, database):
    assert database
    path = pathlib.Path(opstower.folder) / "file"
    path.write_text("no folder", encoding="utf-8")
    result = opstower("status", env={"BACKUP_DIR": path}, check=3)
    assert str(path) in backups.error_lines(result)[0] and result.stdout == ""
    result = opstower("status", stdout=os.open("/dev/full", os.O_WRONLY), check=3)
    assert "stdout" in result.stderr


def test_output_goes_to_a_file_in_one_step(opstower, database):
    moved(take(opstower, database), -3 * HOUR)
    folder = pathlib.Path(opstower.folder) / "textfiles"
    folder.mkdir()
    for form in ("--prometheus", "--json"):
        result = opstower("status", form, "--output", folder / "opstower.prom", check=1)
        assert result.output == "" and [path.name for path in folder.iterdir()] == ["opstower.prom"]
        assert stat.S_IMODE((folder / "opstower.prom").stat().st_mode) == 0o644
    assert json.loads((folder / "opstower.prom").read_text(encoding="utf-8"))["database"] == database.name


def test_status_changes_nothing(opstower, database):
    take(opstower, database)
    before = {name: os.stat(os.path.join(opstower.backup_dir, name)).st_mtime_ns for name in os.listdir(opstower.backup_dir)}
    look(opstower)
    after = {name: os.stat(os.path.join(opstower.backup_dir, name)).st_mtime_ns for name in os.listdir(opstower.backup_dir)}
    assert before == after


# ---- certificates and holds ------------------------------------------------------------------------------------------


def test_the_certificate_of_s3_ends(opstower, database, s3, bucket):
    opstower.env.update(s3.environment(bucket, s3.endpoint_tls), BACKUP_S3_RETRY_TIME="2")
    take(opstower, database)
    looked = look(opstower)
    assert verdicts(looked, "certificates", "credentials", "database") == ("OK", "OK", "OK")
    assert abs(looked["certificates"]["number"] - 3650 * DAY) < DAY
    assert look(opstower, at=3640 * DAY)["certificates"]["verdict"] == "WARNING"
    assert look(opstower, at=3649 * DAY)["certificates"]["verdict"] == "CRITICAL"
    ended = look(opstower, at=3652 * DAY)
    assert "ended" in ended["certificates"]["value"] and ended["s3_copies"]["verdict"] == "WARNING"
    nowhere = look(opstower, env=s3.environment(bucket, "https://127.0.0.1:1"))
    assert nowhere["certificates"]["verdict"] == "UNKNOWN"
    token = look(opstower, env={"AWS_SESSION_TOKEN": "short-lived"})
    assert token["credentials"]["verdict"] == "WARNING"


class TlsServer(pgserver.Server):
    """A server that answers on TCP too, with a certificate of ten days."""

    def __init__(self):
        self.port, self.claim = ports.claim()
        super().__init__({"listen_addresses": "127.0.0.1", "port": str(self.port), "ssl": "on"})

    def remove(self):
        super().remove()
        self.claim.close()

    def initdb(self):
        super().initdb()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "10", "-subj", "/CN=db", "-keyout", "server.key", "-out", "server.crt"],
                       cwd=self.data, check=True, capture_output=True)
        owner = os.stat(self.data)
        for name in ("server.key", "server.crt"):
            os.chmod(os.path.join(self.data, name), 0o600)
            os.chown(os.path.join(self.data, name), owner.st_uid, owner.st_gid)
        with open(os.path.join(self.data, "pg_hba.conf"), "a", encoding="utf-8") as file:
            file.write("host all all 127.0.0.1/32 trust\n")

    def connect(self, dbname="postgres", **options):
        return super().connect(dbname, port=self.port, **options)


def test_the_certificate_of_the_database_ends(opstower):
    with TlsServer() as server:
        url = f"postgresql://postgres@127.0.0.1:{server.port}/postgres?sslmode="
        opstower("backup", env={"DATABASE_URL": url + "require"})
        looked = look(opstower, env={"DATABASE_URL": url + "require"})
        assert verdicts(looked, "certificates", "database") == ("WARNING", "OK"), looked["certificates"]
        assert abs(looked["certificates"]["number"] - 10 * DAY) < HOUR
        assert "database server" in looked["certificates"]["value"]
        later = look(opstower, at=8 * DAY, env={"DATABASE_URL": url + "require"})
        assert later["certificates"]["verdict"] == "CRITICAL"
        assert "certificates" not in look(opstower, env={"DATABASE_URL": url + "disable"})


def test_a_hold_ends_soon(opstower, database):
    backup = take(opstower, database)
    assert "holds" not in look(opstower)
    until = (datetime.datetime.now() + datetime.timedelta(days=9)).date().isoformat()
    opstower("hold", "add", backup.id, "--reason", "audit", "--until", until)
    assert look(opstower)["holds"]["verdict"] == "OK"
    soon = look(opstower, at=4 * DAY)["holds"]
    assert soon["verdict"] == "WARNING" and backup.id in soon["value"] and "audit" in soon["advice"]
    assert "holds" not in look(opstower, at=11 * DAY)


def test_rows_recovered_beside_the_live_ones_are_no_growth_and_no_loss(opstower, database):
    """restore --table leaves a schema in the database, which is backed up with it and dropped some day."""
    database.query("CREATE TABLE noise AS SELECT g, md5(random()::text) AS a FROM generate_series(1, 9000) g")
    first = take(opstower, database)
    opstower("restore", "latest", "--table", "noise", "--table", "big")
    with_rows = take(opstower, database)
    assert with_rows.meta["recovered_size"] > 9000 * 33 and first.meta["recovered_size"] == 0
    assert with_rows.path.stat().st_size > 1.5 * first.path.stat().st_size
    assert verdicts(look(opstower), "size_change", "row_loss") == ("OK", "OK")
    schema = database.value("SELECT nspname FROM pg_namespace WHERE nspname ~ '^recovered_'")
    database.query(f"DROP SCHEMA {schema} CASCADE")
    take(opstower, database)
    assert verdicts(look(opstower), "size_change", "row_loss") == ("OK", "OK")
