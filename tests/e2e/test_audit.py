"""The record of all acts: what is in it, what becomes of one that was changed, and the system's log."""
import concurrent.futures
import csv
import datetime
import hashlib
import io
import json
import os
import pathlib
import random
import re
import shutil
import signal
import time

import pytest

from lib import backups, history, systemlogs
from lib.backups import error_lines, take
from lib.clock import HOUR, shifted

SMALL = "CREATE TABLE small (id int PRIMARY KEY, t text); INSERT INTO small SELECT g, md5(g::text) FROM generate_series(1, 50) g"
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"    # fails at once


@pytest.fixture
def small(db, opstower):
    made = db()
    made.query(SMALL)
    opstower.env["DATABASE_URL"] = made.url
    return made


@pytest.fixture
def there(opstower, small, s3, bucket):
    """opstower set up for a small database and a bucket."""
    opstower.env.update(s3.environment(bucket), BACKUP_S3_RETRY_TIME="2", BACKUP_S3_TIMEOUT="5")
    return opstower


def journal_of(opstower):
    return pathlib.Path(opstower.backup_dir) / "journal.jsonl"


def records(opstower):
    return [json.loads(line) for line in journal_of(opstower).read_text(encoding="utf-8").splitlines()]


def fail_once(opstower, check=5):
    return opstower("backup", "--quiet", env={"DATABASE_URL": NOWHERE}, check=check)


def findings(opstower, check=17):
    result = opstower("audit", "check", "--json", check=check)
    assert len(error_lines(result)) == (1 if check else 0), result
    return json.loads(result.stdout)["findings"]


# ---- what is recorded ------------------------------------------------------------------------------------------------

def test_every_act_is_a_line_with_its_facts(opstower, small):
    backup = take(opstower, small, "--tag", "v1")
    opstower("verify", "latest")
    opstower("restore", "latest", "--force", "--drop-replaced")
    fail_once(opstower)
    opstower("list")
    made, verified, restored, failed = records(opstower)
    assert [r["seq"] for r in records(opstower)] == [1, 2, 3, 4]
    assert (made["act"], made["result"], made["code"], made["tag"]) == ("backup", "ok", 0, "v1")
    assert (made["id"], made["database"], made["type"]) == (backup.id, small.name, "hourly")
    assert made["size"] == backup.path.stat().st_size and made["rows"] == 50
    assert set(made["phases"]) == {"dump", "verify"} and all(isinstance(v, float) for v in made["phases"].values())
    assert (verified["act"], verified["id"], verified["database"]) == ("verify", backup.id, small.name)
    assert verified["checks_failed"] == [] and verified["place"] == "local"
    assert (restored["act"], restored["id"], restored["database"]) == ("restore", backup.id, small.name)
    assert restored["place"] == "local" and restored["pre_restore_backup"].startswith(small.name)
    assert {"verify", "pre_backup", "load", "compare", "analyze", "swap"} <= set(restored["phases"])
    assert (failed["result"], failed["code"]) == ("failed", 5) and "cannot connect" in failed["error"]
    for record in records(opstower):
        assert record["host"] and record["version"] and record["who"] and record["pid"]
        assert abs(datetime.datetime.fromisoformat(record["time"]).timestamp() - time.time()) < 300
    assert opstower("audit", "check").stdout.endswith("Every line is as it was written, and in its place\n")


def test_a_failed_check_is_named(opstower, small):
    backup = take(opstower, small)
    data = bytearray(backup.path.read_bytes())
    data[len(data) // 2] ^= 1
    backup.path.write_bytes(data)
    opstower("verify", "latest", check=8)
    record = records(opstower)[-1]
    assert record["result"] == "failed" and record["id"] == backup.id and record["checks_failed"], record


def test_tables_brought_back_are_recorded(opstower, small):
    take(opstower, small)
    opstower("restore", "latest", "--table", "public.small")
    record = records(opstower)[-1]
    assert (record["act"], record["only_tables"], record["database"]) == ("restore", "public.small", small.name)


def test_who_called_sudo_is_noted(opstower, small):
    take(opstower, small, env={"SUDO_USER": "alice"})
    assert records(opstower)[0]["sudo_user"] == "alice"
    take(opstower, small)
    assert "sudo_user" not in records(opstower)[1]


def test_no_secret_is_in_it(opstower):
    env = {"DATABASE_URL": "postgresql://u:geheim%21wort@127.0.0.1:1/x"}
    opstower("backup", env=env, check=5)
    text = journal_of(opstower).read_text(encoding="utf-8")
    assert "geheim" not in text and "cannot connect" in text


def test_metadata_says_where_the_journal_ended(opstower, small):
    assert take(opstower, small).meta["journal"] is None
    take(opstower, small)
    head = take(opstower, small).meta["journal"]
    assert head["seq"] == 2 and len(head["head"]) == len(head["id"]) == 64
    assert records(opstower)[2]["prev"] == head["head"] and records(opstower)[1]["prev"] == head["id"]


# ---- what cannot be recorded -----------------------------------------------------------------------------------------

def test_a_backup_that_cannot_be_recorded_is_there_and_fails(opstower, small):
    take(opstower, small)
    journal_of(opstower).rename(f"{opstower.folder}/kept")
    journal_of(opstower).mkdir()
    result = opstower("backup", check=14)
    assert len(error_lines(result)) == 1 and "all is done, but it could not be recorded" in error_lines(result)[0]
    assert len(backups.all_of(opstower)) == 2
    backups.assert_only_whole(opstower)
    result = opstower("verify", "latest")
    assert "[WARN] this could not be recorded in the journal" in result.stderr


if os.geteuid() == 0:
    def test_roots_journal_is_the_folders_owners(opstower):
        os.makedirs(opstower.backup_dir, 0o700)
        os.chown(opstower.backup_dir, 65534, 65534)
        fail_once(opstower)
        state = journal_of(opstower).stat()
        assert (state.st_uid, state.st_gid, state.st_mode & 0o777) == (65534, 65534, 0o600)

    def test_what_root_makes_is_the_folders_owners(opstower, small):
        """Backup, sidecars, logs and locks: that user's own runs must be able to use them."""
        os.makedirs(opstower.backup_dir, 0o700)
        os.chown(opstower.backup_dir, 65534, 65534)
        take(opstower, small)
        opstower("verify", "latest")
        owners = {path.name: path.lstat().st_uid for path in pathlib.Path(opstower.backup_dir).iterdir() if not path.is_symlink()}
        assert len(owners) >= 7 and set(owners.values()) == {65534}, owners


def test_a_full_disk_leaves_no_half_line(opstower, small):
    """The file may grow no further than a few bytes: the part of the line that went in is taken back."""
    take(opstower, small)
    text = journal_of(opstower).read_bytes()
    limit = len(text) + 100

    def no_growth():
        import resource     # pylint: disable=import-outside-toplevel
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    result = opstower("verify", "latest", preexec_fn=no_growth, check=False)
    assert "could not be recorded" in result.stderr, result
    assert journal_of(opstower).read_bytes() == text
    opstower("audit", "check")


@pytest.mark.parametrize("command", [("backup",), ("restore", "latest", "--force"), ("verify", "latest")])
def test_a_folder_that_cannot_be_is_said_once(opstower, small, folder, command):
    path = pathlib.Path(folder) / "a file"
    path.write_text("mine", encoding="utf-8")
    result = opstower(*command, env={"BACKUP_DIR": path / "below"}, check=False)
    assert result.returncode in (3, 10, 14) and len(error_lines(result)) == 1
    assert "recorded" not in result.output, result


def test_a_file_is_verified_where_there_is_no_folder(opstower, small, folder):
    backup = take(opstower, small)
    result = opstower("verify", backup.path, env={"BACKUP_DIR": f"{folder}/none"})
    assert "There will be no log" in result.stderr and "recorded" not in result.output


# ---- what was done to it afterwards ----------------------------------------------------------------------------------

@pytest.fixture
def written(opstower, small):
    """A journal of eight lines, the last of them known to a backup's metadata."""
    take(opstower, small)
    for _ in range(7):
        fail_once(opstower)
    take(opstower, small)
    text = journal_of(opstower).read_text(encoding="utf-8").splitlines(keepends=True)
    assert len(text) == 9
    return text


def edited(lines):
    lines[3] = lines[3].replace('"code":5', '"code":0')


def removed(lines):
    del lines[3]


def swapped(lines):
    lines[3], lines[4] = lines[4], lines[3]


def doubled(lines):
    lines.insert(3, lines[3])


def garbage(lines):
    lines[3] = "nothing\n"


def cut(lines):
    del lines[6:]


def emptied(lines):
    lines.clear()


CHANGES = [(edited, 4, "edited"), (removed, 4, "removed: seq 4 to 4"), (swapped, 4, "removed"), (doubled, 5, "out of order"),
           (garbage, 4, "edited"), (cut, None, "cut: seq 7 to 8"), (emptied, None, "the journal is gone")]


@pytest.mark.parametrize("change, line, what", CHANGES, ids=[change.__name__ for change, _, _ in CHANGES])
def test_what_was_changed_is_found_and_named(opstower, written, change, line, what):
    findings(opstower, check=0)
    lines = list(written)
    change(lines)
    journal_of(opstower).write_text("".join(lines), encoding="utf-8")
    first = findings(opstower)[0]
    assert first.get("line") == line and first["what"].startswith(what), first
    result = opstower("audit", "check", check=17)
    assert what in result.stdout and (line is None or f"line {line}, " in result.stdout)
    fail_once(opstower)     # the chain goes on, and does not heal
    assert what.split(":")[0] in json.dumps(findings(opstower)) or change is emptied


def test_a_journal_that_is_gone_or_begun_anew(opstower, written):
    journal_of(opstower).rename(f"{opstower.folder}/kept")
    assert findings(opstower)[0]["what"].startswith("the journal is gone")
    fail_once(opstower)
    assert findings(opstower)[0]["what"].startswith("another journal was here")
    shutil.rmtree(opstower.backup_dir)
    assert "nothing was recorded yet" in opstower("audit", "check", check=10).stderr


def test_status_sees_it(opstower, written):
    def journal_check():
        status = json.loads(opstower("status", "--json", check=False).stdout)
        (check,) = [check for check in status["checks"] if check["name"] == "journal"]
        return check["verdict"], check["value"]
    assert journal_check() == ("OK", "9 lines, each in its place")
    lines = list(written)
    edited(lines)
    journal_of(opstower).write_text("".join(lines), encoding="utf-8")
    verdict, value = journal_check()
    assert verdict == "CRITICAL" and value.startswith("line 4: edited")
    journal_of(opstower).unlink()
    verdict, value = journal_check()
    assert verdict == "CRITICAL" and "the journal is gone" in value


def test_a_torn_line_is_an_error_until_the_next_act(opstower, written):
    text = "".join(written)
    journal_of(opstower).write_text(text[:-20], encoding="utf-8")
    assert findings(opstower)[0]["what"].startswith("cut off: by a crash")
    assert "cannot be told apart" in findings(opstower)[0]["what"]
    fail_once(opstower)
    result = opstower("audit", "check")
    assert "line 9, torn: a crash cut it off" in result.stdout
    assert journal_of(opstower).read_text(encoding="utf-8").startswith(text[:-20] + "\n")


def test_twenty_at_once_with_kills_among_them(opstower, small):
    """Real runs, all writing into one journal; a quarter of them is killed at any moment."""
    take(opstower, small)
    random.seed(4)
    for _ in range(3):
        runs = [opstower.popen("backup", "--quiet", env={"DATABASE_URL": NOWHERE + str(i)}) for i in range(20)]
        for victim in runs[::4]:
            time.sleep(random.uniform(0, 0.1))
            victim.send_signal(signal.SIGKILL)
        assert all(run.wait(60) in (5, -signal.SIGKILL) for run in runs)
        for run in runs:
            run.stdout.close()
            run.stderr.close()
    assert findings(opstower, check=0) == []
    take(opstower, small)
    assert findings(opstower, check=0) == []
    assert 1 + 3 * 15 + 1 <= len(records(opstower)) <= 1 + 3 * 20 + 1
    assert [record["seq"] for record in records(opstower)] == list(range(1, len(records(opstower)) + 1))


# ---- export ----------------------------------------------------------------------------------------------------------

def test_export_as_json_and_csv(opstower, written):
    lines = [json.loads(line) for line in written]
    assert json.loads(opstower("audit", "export").stdout) == lines
    raw = opstower("audit", "export", "--format", "csv", text=False).stdout
    assert raw.count("\r\n") == 10
    rows = list(csv.DictReader(io.StringIO(raw, newline=""), strict=True))
    assert [int(row["seq"]) for row in rows] == [line["seq"] for line in lines]
    for row, line in zip(rows, lines):
        assert row["error"] == line.get("error", "") and row["act"] == line["act"] and row["sum"] == line["sum"]
        facts = json.loads(row["facts"])
        assert facts.items() <= line.items() and set(facts) | set(row) >= set(line)
    assert '\n' in rows[1]["error"] and '"' in rows[1]["error"], "what has to be quoted was among them"


def test_export_by_time(opstower, small):
    take(opstower, small)
    first = records(opstower)[0]["time"]
    time.sleep(1.1)
    take(opstower, small)
    second = records(opstower)[1]["time"]
    today, later = (datetime.datetime.fromisoformat(each).date() for each in (first, second))
    day = datetime.timedelta(days=1)

    def count(*words):
        return len(json.loads(opstower("audit", "export", *words).stdout))
    assert count("--since", today, "--until", later) == 2 and count("--since", later + day) == 0
    assert count("--until", today - day) == 0 and count("--since", today - day) == 2
    assert count("--since", second) == 1 and count("--until", second) == 1
    assert count("--since", second.replace("+00:00", "Z")) == 1


@pytest.mark.parametrize("words", [("--since", "yesterday"), ("--since", "2026-13-01"), ("--until", "2026-02-30"),
                                   ("--since", "2026-02-01", "--until", "2026-01-01"), ("--format", "xml"),
                                   ("--json", "--format", "csv"), ("--since", "20260101"), ("--since", "2026-01-01x")])
def test_wrong_words_are_said(opstower, words):
    result = opstower("audit", "export", *words, check=2)
    assert len(error_lines(result)) == 1 and result.stdout == ""


@pytest.mark.parametrize("words", [("chek",), (), ("check", "export"), ("check", "--since", "2026-01-01")])
def test_wrong_verbs_are_said(opstower, words):
    assert len(error_lines(opstower("audit", *words, check=2))) == 1


def test_export_of_a_broken_journal_says_so(opstower, written):
    lines = list(written)
    edited(lines)
    journal_of(opstower).write_text("".join(lines), encoding="utf-8")
    result = opstower("audit", "export", check=17)
    assert len(json.loads(result.stdout)) == 9 and len(error_lines(result)) == 1


# ---- the system's log ------------------------------------------------------------------------------------------------

@pytest.fixture
def rsyslog(folder):
    started = systemlogs.Rsyslog(os.path.join(folder))
    yield started
    started.stop()


@pytest.fixture
def journald(folder):
    started = systemlogs.Journald(folder)
    yield started
    started.stop()


def test_each_act_is_in_syslog_as_the_guide_greps_it(opstower, small, rsyslog, folder):
    systemlogs.run_with(folder, opstower, "backup", "--local-only")
    systemlogs.run_with(folder, opstower, "verify", "latest")
    systemlogs.run_with(folder, opstower, "restore", "latest", "--force", "--drop-replaced", "--no-pre-backup")
    systemlogs.run_with(folder, opstower, "backup", env={"DATABASE_URL": "postgresql://u:geheimwort@127.0.0.1:1/x"}, check=5)
    identity = records(opstower)[0]["id"]
    good, bad = rsyslog.grep("opstower-backup", 2)
    assert re.search(rf" opstower-backup\[\d+\]: backup ok: code=0 .*\bdatabase={small.name} .*\bid={identity} ", good)
    assert re.search(r" opstower-backup\[\d+\]: \[ERROR\] cannot connect .*\(backup failed: code=5 ", bad)
    assert "geheimwort" not in bad
    assert f"id={identity}" in rsyslog.grep("opstower-verify")[0]
    assert "restore ok: code=0" in rsyslog.grep("opstower-restore")[0]


def test_a_deletion_is_in_syslog_too(opstower, small, rsyslog, folder):
    source = take(opstower, small)
    old = history.put_here(opstower, source, small.name, 400)
    systemlogs.run_with(folder, opstower, "prune", "--apply", env={"BACKUP_KEEP_MIN": "1"})
    assert opstower.files(f"{old}*") == []
    (line,) = [line for line in rsyslog.grep(" opstower[") if "delete ok" in line]
    assert f"id={old}" in line and "place=local" in line


def test_what_cannot_be_recorded_is_in_syslog(opstower, small, rsyslog, folder):
    take(opstower, small)
    journal_of(opstower).unlink()
    journal_of(opstower).mkdir()
    systemlogs.run_with(folder, opstower, "verify", "latest")
    assert len(rsyslog.grep("opstower-verify")) == 1


def test_journald_gets_fields(opstower, small, journald, folder):
    systemlogs.run_with(folder, opstower, "backup", "--local-only")
    entry, record = journald.receive(), records(opstower)[0]
    assert entry["SYSLOG_IDENTIFIER"] == "opstower-backup" and entry["PRIORITY"] == "6"
    assert (entry["OPSTOWER_ACT"], entry["OPSTOWER_RESULT"], entry["OPSTOWER_CODE"]) == ("backup", "ok", "0")
    assert (entry["OPSTOWER_ID"], entry["OPSTOWER_SIZE"]) == (record["id"], str(record["size"]))
    assert entry["MESSAGE"].startswith("backup ok: ") and re.fullmatch("[0-9a-f]{32}", entry["MESSAGE_ID"])
    systemlogs.run_with(folder, opstower, "verify", "nothing", check=10)
    failed = journald.receive()
    assert (failed["SYSLOG_IDENTIFIER"], failed["PRIORITY"], failed["OPSTOWER_CODE"]) == ("opstower-verify", "3", "10")
    assert failed["MESSAGE"].startswith("[ERROR] ") and failed["MESSAGE_ID"] != entry["MESSAGE_ID"]


# ---- the copy in S3 --------------------------------------------------------------------------------------------------

def copied(s3, bucket):
    """The journal's text in the bucket, and its head."""
    objects = s3.objects(bucket, "database/journal/")
    segments = [objects[key] for key in sorted(objects) if key.endswith(".jsonl")]
    (head,) = [json.loads(objects[key]) for key in objects if key.endswith("/head.json")]
    return b"".join(segments), head


def test_the_journal_is_copied_after_each_act(there, s3, bucket):
    there("backup")
    there("verify", "latest")
    text, head = copied(s3, bucket)
    assert text == journal_of(there).read_bytes() and head["seq"] == 2
    assert "does" not in there("backup", "--local-only").stderr and copied(s3, bucket)[1]["seq"] == 2
    there("verify", "latest")
    assert copied(s3, bucket)[0] == journal_of(there).read_bytes()
    assert len(json.loads(there("list", "--json").stdout)) == 2, "it is no backup"
    result = there("audit", "check")
    assert "vouch for records up to 4 of 4" in result.stdout
    meta = [json.loads(data) for key, data in s3.objects(bucket).items() if key.endswith(".meta.json")]
    assert [m["journal"] for m in meta] == [None]


def test_a_long_journal_goes_up_in_segments(there, s3, bucket):
    for _ in range(205):
        there("backup", "--quiet", env={"DATABASE_URL": NOWHERE, "BACKUP_S3_BUCKET": None}, check=5)
    there("verify", "nothing", check=10)
    assert copied(s3, bucket)[0] == journal_of(there).read_bytes()
    (first,) = [key for key in s3.objects(bucket) if key.endswith("/000000001.jsonl")]
    assert len(s3.objects(bucket)[first].splitlines()) == 200
    s3.client().put_object(Bucket=bucket, Key=first, Body=b"as it was")
    there("verify", "nothing", check=10)
    assert s3.objects(bucket)[first] == b"as it was", "what is full does not go up again"
    (second,) = [key for key in s3.objects(bucket) if key.endswith("/000000201.jsonl")]
    assert s3.objects(bucket)[second].splitlines() == journal_of(there).read_bytes().splitlines()[200:]
    named = [(finding["seq"], finding["what"]) for finding in findings(there)]
    assert named == [(1, f"not as in s3://{bucket}/{first}: the copy was changed")]
    s3.client().put_object(Bucket=bucket, Key=first, Body=b"".join(journal_of(there).read_bytes().splitlines(True)[:200]))
    result = there("audit", "check")
    assert re.search(r"Held line by line against its copy in S3 \(2 objects, .*\), which is the same up to record 207", result.stdout), result
    s3.client().delete_object(Bucket=bucket, Key=first)
    named = [(finding["seq"], finding["what"]) for finding in findings(there)]
    assert named == [(1, f"missing in S3: s3://{bucket}/{first}, with seq 1 to 200")]


def test_s3_that_is_down_is_a_warning_and_made_up_for(there, s3, bucket):
    there("backup", "--local-only")
    away = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}
    result = there("verify", there.newest(), env=away, check=False)
    assert "[WARN] The journal's copy in S3 is not up to date" in result.stderr or result.returncode == 16, result
    there("verify", "latest")
    assert copied(s3, bucket)[0] == journal_of(there).read_bytes()
    there("audit", "check", env=away, check=16)
    there("audit", "check", "--local-only", env=away)


def test_the_copy_shows_what_was_cut_or_made_anew(there, s3, bucket):
    for _ in range(4):
        fail_once(there)
    before = copied(s3, bucket)
    lines = journal_of(there).read_text(encoding="utf-8").splitlines(keepends=True)
    journal_of(there).write_text("".join(lines[:2]), encoding="utf-8")
    first = findings(there)[0]["what"]
    assert first.startswith("cut: seq 3 to 4") and f"s3://{bucket}/database/journal/" in first
    result = fail_once(there)
    assert "[WARN] The journal's copy in S3 is not up to date: the journal here does not go on from its copy" in result.stderr
    fail_once(there)
    assert copied(s3, bucket) == before, "the witness stays as it was"
    assert "replaced" in findings(there)[0]["what"]
    journal_of(there).unlink()
    assert findings(there)[0]["what"].startswith("the journal is gone")
    fail_once(there)
    assert findings(there)[0]["what"].startswith("another journal was here")


def copied_key(s3, bucket, end):
    (key,) = [key for key in s3.objects(bucket) if key.endswith(end) and "/journal/" in key]
    return key


def edited_copy(lines):
    lines[3] = lines[3].replace(b'"code":5', b'"code":0')


def removed_copy(lines):
    del lines[3]


def cut_copy(lines):
    del lines[4:]


@pytest.mark.parametrize("change, seq, what", [(edited_copy, 4, "not as in {}: the copy was changed"),
                                               (removed_copy, 5, "not as in {}: the copy was changed"),
                                               (cut_copy, 5, "cut: seq 5 to 6 are missing at the end of {}")])
def test_each_line_of_the_copy_is_compared(there, s3, bucket, change, seq, what):
    for _ in range(6):
        fail_once(there)
    assert findings(there, check=0) == []
    key = copied_key(s3, bucket, ".jsonl")
    lines = s3.objects(bucket)[key].splitlines(True)
    change(lines)
    s3.client().put_object(Bucket=bucket, Key=key, Body=b"".join(lines))
    (found,) = findings(there)
    assert (found["seq"], found["what"]) == (seq, what.format(f"s3://{bucket}/{key}"))
    shown = json.loads(there("audit", "check", "--json", check=17).stdout)
    assert (shown["copied_parts_read"], shown["copied_bytes_read"]) == (1, len(b"".join(lines)))
    assert shown["copied_up_to_seq"] == (4 if change is cut_copy else 3)
    assert findings_of(there, "--local-only") == []


def findings_of(opstower, *words, check=0):
    return json.loads(opstower("audit", "check", "--json", *words, check=check).stdout)["findings"]


def test_the_copy_has_what_was_changed_here(there, s3, bucket):
    """Even where somebody has made the copy's head agree."""
    for _ in range(6):
        fail_once(there)
    text = journal_of(there).read_bytes()
    key, head = copied_key(s3, bucket, ".jsonl"), copied_key(s3, bucket, "head.json")
    lines = text.splitlines(True)
    edited_copy(lines)
    journal_of(there).write_bytes(b"".join(lines))
    chain, compared = findings(there)
    assert chain["what"].startswith("edited") and (compared["line"], compared["seq"]) == (4, 4)
    assert compared["what"] == f"not as in s3://{bucket}/{key}: it was changed here, and the copy is as it was written"
    # The end is cut off, and the head says so too.
    lines = text.splitlines(True)[:4]
    journal_of(there).write_bytes(b"".join(lines))
    changed = {**json.loads(s3.objects(bucket)[head]), "seq": 4, "head": hashlib.sha256(lines[3][:-1]).hexdigest()}
    s3.client().put_object(Bucket=bucket, Key=head, Body=json.dumps(changed).encode())
    (found,) = findings(there)
    assert (found["seq"], found["what"]) == (5, f"missing here: s3://{bucket}/{key} has it")
    # And then made anew, by who knows how.
    for _ in range(2):
        fail_once(there, check=5)
    s3.client().put_object(Bucket=bucket, Key=key, Body=text)
    (found,) = findings(there)
    assert found["seq"] == 5 and found["what"].endswith("one of the two was written anew, and the chain does not tell which")


def test_an_audit_while_others_write_finds_nothing(there):
    fail_once(there)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: [fail_once(there) for _ in range(12)])
        while not writing.done():
            assert findings(there, check=0) == []
        writing.result()


def test_a_host_that_may_only_read_is_warned_once_a_day(there, s3, bucket):
    there("backup")
    now = datetime.datetime.now(datetime.timezone.utc)
    noon = (now.replace(hour=12, minute=0, second=0, microsecond=0) + datetime.timedelta(days=1) - now).total_seconds()
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    reader = {"BACKUP_DIR": f"{there.folder}/reader", "TZ": "UTC"}
    os.mkdir(reader["BACKUP_DIR"])

    def verify(hours):
        result = there("verify", "latest", "--from-s3", env={**reader, **shifted(noon + hours * HOUR)})
        (line,) = [line for line in result.output.splitlines() if "The journal's copy in S3 is not up to date" in line]
        assert ": 403" in line
        return line[:6]
    try:
        assert [verify(hours) for hours in (0, 1, 2, 24, 25)] == ["[WARN]", "[INFO]", "[INFO]", "[WARN]", "[INFO]"]
    finally:
        s3.client().delete_bucket_policy(Bucket=bucket)
    assert "There is no copy of it in S3" in there("audit", "check", env=reader).stdout
