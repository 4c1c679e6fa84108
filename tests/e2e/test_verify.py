"""`opstower verify`: its checks and what it says of them, the full test, plain dumps of others, and what it leaves."""
import gzip
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

from conftest import create_database, drop_databases
from lib import backups, pgserver, runner
from lib.archive import Archive, copy_to
from lib.backups import error_lines, programs_with, take

TABLES = """
CREATE TABLE users (id int PRIMARY KEY, name text);
INSERT INTO users SELECT g, md5(g::text) FROM generate_series(1, 100) g;
CREATE TABLE bookings (id int PRIMARY KEY, user_id int REFERENCES users, note text DEFAULT 'none');
INSERT INTO bookings SELECT g, 1 + g % 100, repeat('note ', g % 5) FROM generate_series(1, 200) g;
CREATE INDEX bookings_user ON bookings (user_id);
CREATE TABLE nothing (id int);
CREATE SEQUENCE counter; SELECT setval('counter', 42);
SELECT lo_from_bytea(4711, 'a large object');
"""
CHECKS = ["File existence", "File readability", "File not empty", "Gzip integrity", "PostgreSQL dump validation",
          "Metadata file validation", "S3 backup verification", "Full restoration test"]


@pytest.fixture(scope="module")
def shelf(server):
    """Backups of several databases in one folder, taken once: shelf("small").backup, .database, .env."""
    folder = pgserver.temporary_folder("opstower-verify-")
    made = {}
    program = runner.Opstower(folder, {"PG_BINDIR": server.bindir})

    def fill(database, kind):
        if kind == "small":
            database.query(TABLES)
        elif kind == "sample":
            database.load(str(pathlib.Path(__file__).resolve().parents[2] / "demo" / "sample.sql"))
        elif kind != "empty":
            database.load({"latin1": "odd_latin1.sql", "tablespace": "odd_tablespace.sql", "odd": "odd.sql"}[kind])

    def get(kind):
        if kind not in made:
            options = {"encoding": "LATIN1", "locale": "C"} if kind == "latin1" else {}
            database = create_database(server, f"verify_{kind}", **options)
            made[kind] = database
            fill(database, kind)
            database.backup = take(program, database)
        return made[kind]
    yield get
    for database in made.values():
        drop_databases(server, database.name)
    if "tablespace" in made:
        server.query("DROP TABLESPACE odd_space")
    shutil.rmtree(folder)


@pytest.fixture
def small(shelf, opstower):
    """A copy of the small backup in this test's own folder; opstower's environment names its database."""
    opstower.env["DATABASE_URL"] = shelf("small").url
    return copy_to(shelf("small").backup, opstower.backup_dir, (".sql.gz", ".meta.json", ".globals.sql"))


def checks(result):
    """{check: state} as a person sees it."""
    return dict(re.findall(r"^\[INFO\] ([A-Z][A-Za-z0-9 ]+): (PASS|FAIL|NOT DONE)", result.stdout, re.M))


def state(*states):
    """Of the checks in their order; that of the copy in S3 may be left out, for here is none."""
    if len(states) == len(CHECKS) - 1:
        states = (*states[:-1], "NOT DONE", states[-1])
    return dict(zip(CHECKS, states))


# ---- the guide's lines -----------------------------------------------------------------------------------------------

def test_a_whole_backup_passes_every_check_with_a_line_each(opstower, small):
    result = opstower("verify", small.path)
    assert checks(result) == state("PASS", "PASS", "PASS", "PASS", "PASS", "PASS", "NOT DONE")
    assert list(checks(result)) == CHECKS, "in the guide's order"
    assert result.stdout.startswith("[INFO] OpsTower Backup Verification - Started\n")
    assert result.stdout.endswith("[INFO] OpsTower Backup Verification - Completed Successfully\n")
    assert result.stderr == "" and "3 tables, 300 rows" in result.stdout


def test_the_log_holds_the_same_lines_and_is_private(opstower, small):
    result = opstower("verify", small.path)
    logs = opstower.files("verification_*.log")
    assert len(logs) == 1 and re.fullmatch(r"verification_\d{8}_\d{6}\.log", logs[0])
    path = pathlib.Path(opstower.backup_dir) / logs[0]
    assert [line.split(" ", 1)[1] for line in path.read_text().splitlines()] == result.stdout.splitlines()
    assert backups.mode_of(path) == 0o600


def test_a_failure_is_in_the_log_with_its_error(opstower, small):
    small.path.write_bytes(small.path.read_bytes()[:-1000])
    opstower("verify", small.path, check=8)
    text = (pathlib.Path(opstower.backup_dir) / opstower.files("verification_*.log")[0]).read_text()
    assert "[ERROR] Backup file is corrupted (gzip test failed)" in text and "FAILED" in text


def test_many_at_once_have_a_log_each(opstower, small):
    running = [opstower.popen("verify", small.path) for _ in range(12)]
    results = [process.communicate(timeout=60) + (process.returncode,) for process in running]
    assert [(code, err) for _, err, code in results] == [(0, b"")] * 12
    assert len(opstower.files("verification_*.log")) == 12
    assert small.meta["state"] == "verified"


def test_json_is_all_that_is_printed_and_complete(opstower, small):
    result = opstower("verify", small.path, "--json")
    said = json.loads(result.stdout)
    assert result.stderr == ""
    assert {key: said[key] for key in ("file", "passed", "has_proof", "tables", "rows")} == {
        "file": str(small.path), "passed": True, "has_proof": True, "tables": 3, "rows": 300}
    assert [check["name"] for check in said["checks"]] == CHECKS
    assert [check["result"] for check in said["checks"]] == ["PASS"] * 6 + ["NOT DONE"] * 2


def test_json_of_a_failure_names_the_failed_check(opstower, small):
    small.path.write_bytes(small.path.read_bytes()[:-1])
    result = opstower("verify", small.path, "--json", check=8)
    said = json.loads(result.stdout)
    assert said["passed"] is False
    assert [check["result"] for check in said["checks"]] == ["PASS"] * 3 + ["FAIL"]
    assert said["checks"][-1]["detail"]


def flipped(data):
    return data[:200] + bytes([data[200] ^ 4]) + data[201:]


FAILURES = {
    "a bit flipped": (flipped, state("PASS", "PASS", "PASS", "FAIL"), "(gzip test failed)", 8),
    "cut": (lambda data: data[:-2000], state("PASS", "PASS", "PASS", "FAIL"), "(gzip test failed)", 8),
    "emptied": (lambda data: b"", state("PASS", "PASS", "FAIL"), "(the file is empty)", 8),
    "gzip of something else": (lambda data: gzip.compress(b"hello\n"), state("PASS", "PASS", "PASS", "PASS", "FAIL"),
                               "(dump validation failed)", 8),
    "no gzip at all": (lambda data: b"hello\n", state("PASS", "PASS", "PASS", "NOT DONE", "FAIL"),
                       "(dump validation failed)", 8),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failed_check_is_the_last_line_and_has_the_guides_error(opstower, small, kind):
    change, states, words, code = FAILURES[kind]
    small.path.write_bytes(change(small.path.read_bytes()))
    result = opstower("verify", small.path, check=code)
    assert checks(result) == states
    errors = error_lines(result)
    assert len(errors) == 1 and errors[0].startswith(f"[ERROR] Backup file is corrupted {words}")
    assert result.stdout.endswith("[INFO] OpsTower Backup Verification - FAILED\n")


def test_a_file_that_may_not_be_read_is_said(opstower, small, as_nobody):
    os.chmod(opstower.folder, 0o755)
    os.chmod(opstower.backup_dir, 0o755)
    os.chmod(small.path, 0)
    os.makedirs(os.path.join(opstower.folder, "mine"))
    os.chmod(os.path.join(opstower.folder, "mine"), 0o777)
    result = as_nobody("verify", small.path, env={"BACKUP_DIR": os.path.join(opstower.folder, "mine")}, check=14)
    assert checks(result) == state("PASS", "FAIL")
    assert "Permission denied" in error_lines(result)[0]


@pytest.fixture
def as_nobody(opstower):
    """Runs opstower as an ordinary user: as ourselves, or as nobody if we are root."""
    def run(*arguments, **options):
        if os.geteuid() == 0:
            options["preexec_fn"] = lambda: (os.setgroups([]), os.setgid(65534), os.setuid(65534))
        return opstower(*arguments, **options)
    return run


# ---- what to verify --------------------------------------------------------------------------------------------------

WAYS = {
    "latest": lambda b: "latest",
    "the id": lambda b: b.id,
    "the timestamp": lambda b: b.timestamp,
    "the path": lambda b: b.path,
    "the file's name": lambda b: b.path.name,
    "the link's path": lambda b: b.path.parent / f"{b.name}_latest.sql.gz",
    "the link's name": lambda b: f"{b.name}_latest.sql.gz",
    "a relative path": lambda b: f"backups/{b.path.name}",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_backup_is_found_by(opstower, small, way):
    os.symlink(small.path.name, small.path.parent / f"{small.name}_latest.sql.gz")
    result = opstower("verify", WAYS[way](small))
    assert f"Verifying backup: {small.path}\n" in result.stdout
    assert checks(result)["Metadata file validation"] == "PASS", "of the file itself, not of the link"


def test_latest_is_the_newest_that_is_not_a_pre_restore_one(opstower, shelf):
    kept = []
    for kind in ("hourly", "manual", "pre-restore"):
        kept.append(take(opstower, shelf("small"), "--type", kind))
    result = opstower("verify", "latest", env={"DATABASE_URL": shelf("small").url})
    assert f"Verifying backup: {kept[1].path}\n" in result.stdout


def test_a_database_whose_name_begins_alike_is_not_latest(opstower, small):
    newer = small.path.with_name(f"{small.name}_copy_29990101_000000.sql.gz")
    shutil.copy(small.path, newer)
    assert f"Verifying backup: {small.path}\n" in opstower("verify", "latest").stdout


@pytest.mark.parametrize("what", ["latest", "29990101_000000", "nothing_20260101_000000", "/nonexistent/x.sql.gz", "", "."])
def test_what_is_not_there_is_said_with_code_10(opstower, small, what):
    small.path.unlink()
    result = opstower("verify", what, check=10)
    assert len(error_lines(result)) == 1 and result.stdout == ""


def test_a_link_that_leads_nowhere_is_not_found(opstower, small):
    link = small.path.parent / f"{small.name}_latest.sql.gz"
    os.symlink(small.path.name, link)
    small.path.unlink()
    opstower("verify", link, check=10)


@pytest.mark.parametrize("arguments", [(), ("a", "b"), ("latest", "--no-such-option")])
def test_wrong_usage_is_code_2(opstower, arguments):
    assert len(error_lines(opstower("verify", *arguments, check=2))) == 1


# ---- metadata and state ----------------------------------------------------------------------------------------------

def test_missing_metadata_is_said_and_no_failure(opstower, small):
    small.beside(".meta.json").unlink()
    result = opstower("verify", small.path)
    assert checks(result)["Metadata file validation"] == "NOT DONE"
    assert "there is none beside the file" in result.stdout
    assert not small.beside(".meta.json").exists()


def test_what_was_found_is_kept_in_the_metadata(opstower, small):
    before = small.meta
    opstower("verify", small.path)
    after = small.meta
    assert after["state"] == "verified" and after["verified_at"] >= before["verified_at"]
    assert {k: v for k, v in after.items() if k != "verified_at"} == {k: v for k, v in before.items() if k != "verified_at"}
    assert list(after) == list(before)


def test_damage_is_kept_as_failed_and_a_good_copy_heals_it(opstower, small):
    whole = small.path.read_bytes()
    small.path.write_bytes(flipped(whole))
    opstower("verify", small.path, check=8)
    assert small.meta["state"] == "failed"
    assert "failed" in opstower("list").stdout
    small.path.write_bytes(whole)
    opstower("verify", small.path)
    assert small.meta["state"] == "verified"


def test_a_full_test_makes_it_proven_and_a_plain_look_keeps_it_so(opstower, small):
    assert small.meta["proven_at"] is None
    opstower("verify", small.path, "--full-test")
    proven = small.meta["proven_at"]
    assert small.meta["state"] == "proven" and proven
    assert re.search(rf"^{small.id} .* proven +local$", opstower("list").stdout, re.M)
    opstower("verify", small.path)
    assert (small.meta["state"], small.meta["proven_at"]) == ("proven", proven)


def test_a_folder_that_cannot_be_written_is_said_and_no_failure(opstower, small, as_nobody):
    os.chmod(opstower.folder, 0o755)
    os.chmod(opstower.backup_dir, 0o555)
    for name in os.listdir(opstower.backup_dir):
        os.chmod(os.path.join(opstower.backup_dir, name), 0o444)
    result = as_nobody("verify", small.path)
    assert "There will be no log" in result.stderr and "The outcome is not kept" in result.stderr


# ---- the full test ---------------------------------------------------------------------------------------------------

def processes_of(folders):
    """Processes that name one of the folders on their command line."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if any(folder in line for folder in folders):
            found.append(line)
    return found


def eventually(condition, seconds=60, step=0.02):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(step)


@pytest.fixture
def scratch(folder):
    """A folder for scratch servers of this test alone: what is in it afterwards was left behind."""
    path = os.path.join(folder, "tmp")
    os.makedirs(path)
    os.chmod(path, 0o1777)
    return path


def assert_nothing_left(scratch):
    assert os.listdir(scratch) == []
    eventually(lambda: not processes_of([scratch]))


@pytest.mark.parametrize("kind", ["sample", "odd", "latin1", "empty", pytest.param("tablespace", marks=pytest.mark.long)])
def test_a_full_test_proves(opstower, shelf, scratch, kind):
    backup = copy_to(shelf(kind).backup, opstower.backup_dir)
    result = opstower("verify", backup.path, "--full-test", "--tmp-dir", scratch, env={"DATABASE_URL": shelf(kind).url})
    assert checks(result)["Full restoration test"] == "PASS" and result.stderr == ""
    assert "every row, every sequence, every statement, every object that the backup holds; left out: nothing" in result.stdout
    assert backup.meta["state"] == "proven"
    assert_nothing_left(scratch)


def test_a_full_test_works_as_an_ordinary_user(opstower, small, as_nobody, scratch):
    os.chmod(opstower.folder, 0o755)
    for path in [opstower.backup_dir, *pathlib.Path(opstower.backup_dir).iterdir()]:
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
    result = as_nobody("verify", small.path, "--full-test", env={"BACKUP_TMPDIR": scratch})
    assert checks(result)["Full restoration test"] == "PASS"
    assert small.meta["state"] == "proven"
    assert_nothing_left(scratch)


def test_a_full_test_connects_nowhere_but_to_its_own_server(opstower, small, scratch):
    """The person's PG* variables and the database's URL must not lead the test to another server."""
    env = {"DATABASE_URL": "postgresql://nobody@192.0.2.1:1/" + small.name, "PGHOST": "192.0.2.1", "PGPORT": "1",
           "PGUSER": "nobody", "PGDATABASE": "nothing", "PGOPTIONS": "-c default_transaction_read_only=on",
           "PGSERVICE": "", "PGSSLMODE": "disable"}
    opstower("verify", small.path, "--full-test", "--tmp-dir", scratch, env=env, timeout=60)
    assert_nothing_left(scratch)


def change_row(archive):
    member = archive.members_of("users")[0]
    statement, rows, end = member.copy
    rows[41] = rows[41].replace(b"42\t", b"42\tx", 1)
    member.text = statement + b"".join(rows) + end


def change_row_and_its_proof(archive):
    change_row(archive)
    archive.prove("users")


def lose_row(archive):
    member = archive.members_of("bookings")[0]
    statement, rows, end = member.copy
    member.text, member.rows = statement + b"".join(rows[1:]) + end, len(rows) - 1


def lose_all_rows(archive):
    member = archive.members_of("bookings")[0]
    statement, _, end = member.copy
    member.text, member.rows = statement + end, 0


def lose_member(archive):
    archive.members.remove(archive.members_of("bookings")[0])


def double_member(archive):
    at = archive.members.index(archive.members_of("bookings")[0])
    archive.members.insert(at, archive.members[at])


def swap_two_tables_rows(archive):
    for member in archive.members_of("users"):
        member.text = member.text.replace(b"COPY public.users (id, name)", b"COPY public.bookings (id, note)", 1)


# Each writes a file that is right in every size, CRC and digest, with metadata that fits: what is wrong is the content.
LIES = {"a row is another": change_row, "a row is lost": lose_row, "a table's rows are lost": lose_all_rows,
        "a member is lost": lose_member, "a member is there twice": double_member,
        "rows are those of another table": swap_two_tables_rows}


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_is_consistent_but_not_with_its_proof_is_noticed(opstower, small, lie):
    archive = Archive(small.path)
    LIES[lie](archive)
    archive.save(small.path, meta_from=small)
    result = opstower("verify", small.path, check=8)
    assert checks(result)["PostgreSQL dump validation"] == "FAIL"
    assert small.meta["state"] == "failed"


def test_the_rewriter_makes_files_that_pass(opstower, small, scratch):
    """Or else the tests around it would notice nothing but its own mistakes."""
    before = small.path.read_bytes()
    archive = Archive(small.path)
    change_row_and_its_proof(archive)
    archive.save(small.path, meta_from=small)
    assert small.path.read_bytes() != before
    opstower("verify", small.path, "--full-test", "--tmp-dir", scratch)
    assert small.meta["state"] == "proven"


def a_rule_that_eats_rows(archive):
    """In the table of contents and in the text alike: only the restored rows can show it."""
    index = b"CREATE INDEX bookings_user ON public.bookings USING btree (user_id);"
    eater = b"DELETE FROM public.bookings WHERE id = 7;".ljust(len(index))
    archive.edit_toc(index, eater)
    archive.edit("tail", index, eater)


# The file agrees with its own proof, and yet what it restores to does not: only a test restore can tell.
WRONG_RESULTS = {
    "a row goes while it is restored": (a_rule_that_eats_rows, 9),
}


def break_foreign_key(archive):
    member = archive.members_of("bookings")[0]
    statement, rows, end = member.copy
    rows[0] = rows[0].replace(b"\t2\t", b"\t777\t", 1)
    member.text = statement + b"".join(rows) + end
    archive.prove("bookings")


def test_a_full_test_tells_what_a_restore_will_leave_out(opstower, small, scratch):
    archive = Archive(small.path)
    break_foreign_key(archive)
    archive.save(small.path, meta_from=small)
    opstower("verify", small.path)
    result = opstower("verify", small.path, "--full-test", "--tmp-dir", scratch, check=18)
    assert "Full restoration test: WARN" in result.stdout and "FAILED" not in result.stdout
    assert "not damaged" in error_lines(result)[0] and "bookings_user_id_fkey is NOT VALID" in error_lines(result)[0]
    assert small.meta["state"] == "verified"
    assert_nothing_left(scratch)


@pytest.mark.parametrize("kind", WRONG_RESULTS)
def test_a_full_test_notices_that(opstower, small, scratch, kind):
    change, code = WRONG_RESULTS[kind]
    archive = Archive(small.path)
    change(archive)
    archive.save(small.path, meta_from=small)
    opstower("verify", small.path)
    result = opstower("verify", small.path, "--full-test", "--tmp-dir", scratch, check=code)
    assert checks(result)["Full restoration test"] == "FAIL" and len(error_lines(result)) == 1
    assert small.meta["state"] != "proven"
    assert_nothing_left(scratch)


# ---- the file's own text ---------------------------------------------------------------------------------------------

INDEX = b"CREATE INDEX bookings_user ON public.bookings USING btree (user_id);\n"

# The file agrees with its proof and restores to what the proof says, for a restore goes by the table of contents. But
# what psql would make of the file's text is something else.
OTHER_TEXT = {
    "a default is another": (lambda a: a.edit("head", b"DEFAULT 'none'::text", b"DEFAULT 'nine'::text"),
                             "of its head is \"    note text DEFAULT 'nine'::text\""),
    "the head has a statement more": (lambda a: a.edit("head", b"SET lc_monetary", b"CREATE TABLE x ();\nSET lc_monetary"),
                                      "of its head is \"CREATE TABLE x ();\", not \"SET lc_monetary"),
    "the head is longer": (lambda a: a.edit("head", b"SET datestyle = 'ISO';\n\n", b"SET datestyle = 'ISO';\n\nVACUUM;\n"),
                           "of its head is \"VACUUM;\", not \"\""),
    "nothing is restricted": (lambda a: a.edit("head", re.search(rb"\\restrict .*\n", head_of(a))[0], b"\n"),
                              "of its head is \"\", not \"\\restrict "),
    "an index is gone": (lambda a: a.edit("tail", INDEX, b""), "of its tail is \"\", not \"CREATE INDEX bookings_user"),
    "another key ends the restriction": (lambda a: a.edit("tail", b"\\unrestrict ", b"\\unrestrict x"),
                                         "of its tail is \"\\unrestrict x"),
    "a sequence is further": (lambda a: a.edit("sequences", b", 42, true", b", 43, true"), "43, true);\", not"),
    "the sequences are gone": (lambda a: a.members.remove(next(m for m in a.members if m.kind == "sequences")),
                               "of its sequences is \"\", not \"SELECT pg_catalog.setval"),
    "a table's rows were never there": (lambda a: a.drop_rows("bookings"), "rows of 2 tables"),
    "large objects were never there": (lambda a: a.drop_large_objects(), "large objects"),
}


def head_of(archive):
    return archive.members[0].text


@pytest.mark.parametrize("kind", OTHER_TEXT)
def test_a_full_test_notices_that_psql_would_make_something_else(opstower, small, scratch, kind):
    change, words = OTHER_TEXT[kind]
    archive = Archive(small.path)
    change(archive)
    archive.save(small.path, meta_from=small)
    opstower("verify", small.path)
    result = opstower("verify", small.path, "--full-test", "--tmp-dir", scratch, check=9)
    assert checks(result)["Full restoration test"] == "FAIL"
    assert len(error_lines(result)) == 1 and words in error_lines(result)[0], result
    assert small.meta["state"] == "failed"
    assert_nothing_left(scratch)


def test_a_full_test_notices_swapped_columns(opstower, db, scratch):
    """Loaded and read again by the same words, the rows look right."""
    database = db()
    database.query("CREATE TABLE pairs (a int, b int); INSERT INTO pairs VALUES (1, 2)")
    backup = take(opstower, database)
    archive = Archive(backup.path)
    table, member = archive.tables[0], archive.members_of("pairs")[0]
    table["copy"] = table["copy"].replace("(a, b)", "(b, a)")
    table["columns"].reverse()
    member.text = member.text.replace(b"(a, b)", b"(b, a)")
    archive.save(backup.path, meta_from=backup)
    opstower("verify", backup.path)
    result = opstower("verify", backup.path, "--full-test", "--tmp-dir", scratch, check=9)
    assert "public.pairs" in error_lines(result)[0]


@pytest.mark.parametrize("wrote", [None, "15.0"])
def test_text_of_another_pg_restore_is_judged_only_if_it_is_the_same(opstower, small, scratch, wrote):
    """What another version words in another way is no damage; what it words alike is as good as ours."""
    archive = Archive(small.path)
    archive.set_fact("pg_restore_version", wrote)
    archive.save(small.path, meta_from=small)
    result = opstower("verify", small.path, "--full-test", "--tmp-dir", scratch)
    assert "every statement" in result.stdout
    archive.edit("head", b"DEFAULT 'none'::text", b"DEFAULT 'nine'::text")
    archive.save(small.path, meta_from=small)
    result = opstower("verify", small.path, "--full-test", "--tmp-dir", scratch)
    line = next(line for line in result.stdout.splitlines() if line.startswith("[INFO] Full restoration test: PASS"))
    assert "every statement" not in line and "every object" in line and "statements could not be compared" in line
    assert (wrote or "does not say which pg_restore") in line and "of its head is \"    note text DEFAULT 'nine'::text\"" in line
    archive.edit("sequences", b", 42, true", b", 43, true")
    archive.save(small.path, meta_from=small)
    opstower("verify", small.path, "--full-test", "--tmp-dir", scratch, check=9)


def test_without_server_programs_the_full_test_says_what_is_missing(opstower, small, server, folder, scratch):
    clients = programs_with(folder, server, initdb=None, postgres=None)
    result = opstower("verify", small.path, "--full-test", "--tmp-dir", scratch, env={"PG_BINDIR": clients}, check=3)
    assert "initdb" in error_lines(result)[0] and "--test-url" in error_lines(result)[0]
    assert small.meta["state"] == "verified", "not done is not failed"
    assert_nothing_left(scratch)


BROKEN = {
    "initdb fails": {"initdb": "echo 'initdb: error: no luck' >&2; exit 1"},
    "the server does not start": {"postgres": "echo 'FATAL:  no luck' >&2; exit 1"},
    "the server ends at once": {"postgres": "exit 0"},
    "pg_restore fails": {"pg_restore": "echo 'pg_restore: error: no luck' >&2; exit 1"},
    "pg_restore is killed": {"pg_restore": "kill -9 $$"},
    "pg_dump fails": {"pg_dump": "echo 'pg_dump: error: no luck' >&2; exit 1"},
}


@pytest.mark.parametrize("how", [how if how in ("initdb fails", "the server does not start", "pg_restore fails") else
                                 pytest.param(how, marks=pytest.mark.long) for how in BROKEN])
def test_a_full_test_that_cannot_be_done_is_a_failure_and_leaves_nothing(opstower, small, server, folder, scratch, how):
    bindir = programs_with(folder, server, **BROKEN[how])
    result = opstower("verify", small.path, "--full-test", "--tmp-dir", scratch, env={"PG_BINDIR": bindir}, check=False)
    assert result.returncode not in (0, 8, 9), result
    assert checks(result)["Full restoration test"] == "FAIL" and len(error_lines(result)) == 1
    assert how.endswith(("at once", "killed")) or "no luck" in error_lines(result)[0]
    assert small.meta["state"] == "verified", "the backup is not to blame"
    assert_nothing_left(scratch)


# Short sleeps: what is left of a killed script is gone at once.
SLOW = {"pg_restore": 'case "$*" in *--verbose*post-data*) for i in {1..300}; do sleep 0.1; done;; esac; exec "{real}" "$@"'}


def slow_full_test(opstower, small, server, folder, scratch, *more):
    """A full test that has come to its slow part: the process."""
    bindir = programs_with(folder, server, **SLOW)
    process = opstower.popen("verify", small.path, "--full-test", "--tmp-dir", scratch, *more, env={"PG_BINDIR": bindir})
    eventually(lambda: any("--section=post-data" in line for line in processes_of([bindir])))
    return process


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_full_test_that_is_interrupted_leaves_nothing(opstower, small, server, folder, scratch, number, code):
    process = slow_full_test(opstower, small, server, folder, scratch)
    assert len(os.listdir(scratch)) == 1
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == code
    assert_nothing_left(scratch)
    assert small.meta["state"] == "verified"


def test_the_next_run_clears_what_a_killed_one_left(opstower, small, server, folder, scratch):
    process = slow_full_test(opstower, small, server, folder, scratch)
    process.kill()
    process.communicate(timeout=60)
    assert len(os.listdir(scratch)) == 1
    eventually(lambda: not [line for line in processes_of([scratch]) if "postgres" in line])
    opstower("verify", small.path, "--full-test", "--tmp-dir", scratch)
    assert_nothing_left(scratch)


def test_a_full_test_does_not_disturb_another_one(opstower, small, server, folder, scratch):
    process = slow_full_test(opstower, small, server, folder, scratch)
    opstower("verify", small.path, "--full-test", "--tmp-dir", scratch)
    assert process.poll() is None and len(os.listdir(scratch)) == 1
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert_nothing_left(scratch)


def test_others_folders_of_a_similar_name_stay(opstower, small, scratch):
    for name in ("opstower-scratchy", "opstower-other", "scratch"):
        os.makedirs(os.path.join(scratch, name))
    opstower("verify", small.path, "--full-test", "--tmp-dir", scratch)
    assert sorted(os.listdir(scratch)) == ["opstower-other", "opstower-scratchy", "scratch"]


# ---- on a server that somebody names -----------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def other_server():
    with pgserver.Server() as started:
        yield started


def contents_of(server):
    return (server.databases(), server.query("SELECT rolname FROM pg_roles ORDER BY 1"))


@pytest.mark.parametrize("kind", ["odd", "latin1"])
def test_a_full_test_on_a_named_server_leaves_neither_database_nor_role(opstower, shelf, other_server, scratch, kind):
    backup = copy_to(shelf(kind).backup, opstower.backup_dir)
    before = contents_of(other_server)
    result = opstower("verify", backup.path, "--full-test", "--test-url", other_server.url(), "--tmp-dir", scratch,
                      env={"DATABASE_URL": shelf(kind).url})
    assert checks(result)["Full restoration test"] == "PASS"
    assert contents_of(other_server) == before
    assert backup.meta["state"] == "proven" and os.listdir(scratch) == []


def test_a_failed_or_interrupted_test_on_a_named_server_leaves_nothing_either(opstower, shelf, other_server, folder, scratch):
    backup = copy_to(shelf("odd").backup, opstower.backup_dir)
    before = contents_of(other_server)
    url = ("--test-url", other_server.url())
    failing = programs_with(folder, other_server, pg_restore="case \"$*\" in *--verbose*post-data*) exit 1;; esac; exec {real} \"$@\"")
    result = opstower("verify", backup.path, "--full-test", *url, env={"PG_BINDIR": failing}, check=False)
    assert result.returncode not in (0, 8, 9)
    assert contents_of(other_server) == before
    process = slow_full_test(opstower, backup, other_server, folder, scratch, *url)
    assert contents_of(other_server) != before
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert contents_of(other_server) == before


def test_the_next_run_clears_what_a_killed_one_left_on_a_named_server(opstower, shelf, other_server, folder, scratch):
    backup = copy_to(shelf("odd").backup, opstower.backup_dir)
    before = contents_of(other_server)
    process = slow_full_test(opstower, backup, other_server, folder, scratch, "--test-url", other_server.url())
    process.kill()
    process.communicate(timeout=60)
    assert contents_of(other_server)[0] != before[0]
    opstower("verify", backup.path, "--full-test", "--test-url", other_server.url())
    assert contents_of(other_server) == before


def test_a_named_server_that_does_not_answer_is_said(opstower, small, folder):
    result = opstower("verify", small.path, "--full-test", "--test-url", f"postgresql:///x?host={folder}", check=5)
    assert small.meta["state"] == "verified" and len(error_lines(result)) == 1


# ---- plain dumps of others -----------------------------------------------------------------------------------------------

def pg_dump(database, *options):
    return subprocess.run([pgserver.program("pg_dump"), *options, "-d", database.url], check=True, capture_output=True).stdout


def plain_file(opstower, name, data):
    os.makedirs(opstower.backup_dir, exist_ok=True)
    path = pathlib.Path(opstower.backup_dir) / name
    path.write_bytes(data)
    return path


PLAIN = {
    "pg_dump | gzip": ("dump.sql.gz", lambda db: gzip.compress(pg_dump(db)), "PASS"),
    "a .sql file": ("dump.sql", pg_dump, "NOT DONE"),
    "--inserts": ("dump.sql.gz", lambda db: gzip.compress(pg_dump(db, "--inserts")), "PASS"),
    "--create --clean": ("dump.sql.gz", lambda db: gzip.compress(pg_dump(db, "-C", "-c", "--if-exists")), "PASS"),
    "--schema-only": ("dump.sql", lambda db: pg_dump(db, "-s"), "NOT DONE"),
    "--no-owner": ("dump.sql", lambda db: pg_dump(db, "-O", "-x"), "NOT DONE"),
    "several gzip members": ("dump.sql.gz", lambda db: gzip.compress(pg_dump(db)[:999]) + gzip.compress(pg_dump(db)[999:]), "PASS"),
    "lines end as on Windows": ("dump.sql", lambda db: re.sub(rb"(?m)^(--.*)$", rb"\1\r", pg_dump(db, "--inserts")), "NOT DONE"),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_a_plain_dump_is_verified_as_far_as_it_can_show(opstower, shelf, kind):
    name, make, zipped = PLAIN[kind]
    if kind == "several gzip members":
        text = pg_dump(shelf("small"))
        data = gzip.compress(text[:999]) + gzip.compress(text[999:])
    else:
        data = make(shelf("small"))
    path = plain_file(opstower, name, data)
    result = opstower("verify", path)
    assert checks(result) == state("PASS", "PASS", "PASS", zipped, "PASS", "NOT DONE", "NOT DONE")
    assert "as far as it can show" in result.stdout and "no proof" in result.stdout
    assert json.loads(opstower("verify", path, "--json").stdout)["has_proof"] is False
    assert opstower.files("*.meta.json") == []


@pytest.mark.parametrize("kind", [kind for kind in PLAIN if "several" not in kind and "Windows" not in kind])
@pytest.mark.parametrize("where", ["in the header", "in the middle", "in the rows", "before the last line"])
def test_a_cut_plain_dump_fails(opstower, shelf, kind, where):
    name, make, _ = PLAIN[kind]
    data = make(shelf("small"))
    text = gzip.decompress(data) if name.endswith(".gz") else data
    rows = text.find(b"\n50\t") if b"\n50\t" in text else text.find(b"CREATE TABLE")
    at = {"in the header": 20, "in the middle": len(text) // 2, "in the rows": rows + 5,
          "before the last line": text.rindex(b"--\n-- PostgreSQL database dump complete")}[where]
    for cut in {text[:at], text[:text.index(b"\n", at - 1) + 1]}:
        path = plain_file(opstower, name, gzip.compress(cut) if name.endswith(".gz") else cut)
        assert checks(opstower("verify", path, check=8))["PostgreSQL dump validation"] == "FAIL"


def test_a_dump_cut_behind_a_line_that_only_looks_like_the_last_one_fails(opstower, shelf):
    """A function's body in odd.sql holds the last line of a dump, and COPY statements."""
    text = pg_dump(shelf("odd"))
    fake = text.index(b"-- PostgreSQL database dump complete\n") + len(b"-- PostgreSQL database dump complete\n--\n")
    assert fake < len(text) - 1000
    opstower("verify", plain_file(opstower, "cut.sql", text[:fake]), check=8)
    opstower("verify", plain_file(opstower, "whole.sql", text))


FULL_PLAIN = {
    "small": ("small", ()), "small as inserts": ("small", ("--inserts",)), "sample": ("sample", ()),
    "odd": ("odd", ()), "latin1": ("latin1", ()), "empty": ("empty", ()), "schema only": ("small", ("-s",)),
}


@pytest.mark.parametrize("kind", FULL_PLAIN)
def test_a_full_test_of_a_plain_dump(opstower, shelf, scratch, kind):
    which, options = FULL_PLAIN[kind]
    path = plain_file(opstower, "dump.sql.gz", gzip.compress(pg_dump(shelf(which), *options)))
    result = opstower("verify", path, "--full-test", "--tmp-dir", scratch)
    assert checks(result)["Full restoration test"] == "PASS"
    assert "restored without an error" in result.stdout
    assert_nothing_left(scratch)


def test_a_full_test_of_a_plain_dump_creates_its_roles_and_removes_them(opstower, db, server, other_server, scratch):
    server.query('CREATE ROLE "Plain ""Owner"" é"; CREATE ROLE plain_reader')
    try:
        database = db()
        database.query('CREATE TABLE t (id int); ALTER TABLE t OWNER TO "Plain ""Owner"" é";'
                       'GRANT SELECT ON t TO plain_reader WITH GRANT OPTION; INSERT INTO t VALUES (1)')
        path = plain_file(opstower, "dump.sql", pg_dump(database))
        before = contents_of(other_server)
        opstower("verify", path, "--full-test", "--test-url", other_server.url())
        assert contents_of(other_server) == before
        opstower("verify", path, "--full-test", "--tmp-dir", scratch)
        drop_databases(server, database.name)
    finally:
        server.query('DROP ROLE "Plain ""Owner"" é"; DROP ROLE plain_reader')


@pytest.mark.parametrize("sql", [b"SELECT pg_catalog.setval('public.nowhere', 1);", b"INSERT INTO public.nowhere VALUES (1);",
                                 b"CREATE no SQL at all;",
                                 b"COPY public.users (id) FROM stdin;\nx\n\\.\n"])
def test_a_full_test_of_a_plain_dump_fails_on_an_sql_error(opstower, shelf, scratch, sql):
    text = pg_dump(shelf("small"))
    at = text.index(b"--\n-- PostgreSQL database dump complete")
    path = plain_file(opstower, "dump.sql", text[:at] + sql + b"\n" + text[at:])
    opstower("verify", path)
    result = opstower("verify", path, "--full-test", "--tmp-dir", scratch, check=False)
    assert result.returncode not in (0, 10) and checks(result)["Full restoration test"] == "FAIL"
    assert "ERROR:" in error_lines(result)[0], "what the server said"
    assert_nothing_left(scratch)


def test_a_full_test_of_a_plain_dump_stays_in_its_database(opstower, shelf, other_server, db):
    """`pg_dump -C -c` drops, creates and connects to the database by its own name: that one must not be touched."""
    database = db(on=other_server, name="verify_small")
    database.query("CREATE TABLE precious (id int); INSERT INTO precious VALUES (1)")
    before = other_server.databases()
    path = plain_file(opstower, "dump.sql", pg_dump(shelf("small"), "-C", "-c", "--if-exists"))
    opstower("verify", path, "--full-test", "--test-url", other_server.url(), check=False)
    assert database.value("SELECT count(*) FROM precious") == 1
    assert other_server.databases() == before
