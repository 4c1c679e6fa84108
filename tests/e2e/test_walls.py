"""What a full test runs is the backup's own code: functions in constraints, defaults, indexes, triggers. Nothing of this
machine is within its reach, and backups of nobody knows whom are not taken by what runs by itself."""
import os
import pathlib
import shutil

import pytest

from lib.backups import error_lines, take

# What the code tries, as SQL; {open} is a folder where everybody may write, {data} production's, {socket} its socket's.
ATTEMPTS = {
    "program": "COPY (SELECT 1) TO PROGRAM 'touch {open}/program'",
    "output of a program": "COPY pg_temp.got FROM PROGRAM 'id'",
    "file for everybody": "COPY (SELECT 1) TO '{open}/file'",
    "file in the data of production": "COPY (SELECT 1) TO '{data}/was_here'",
    "secret": "SELECT pg_read_file('{open}/secret')",
    "environment": "SELECT pg_read_binary_file('/proc/self/environ')",
    "processes": "SELECT count(*) FROM pg_ls_dir('/proc')",
    "socket": "SELECT pg_stat_file('{socket}')",
    "folders of the host": "SELECT pg_ls_dir('/root') UNION SELECT pg_ls_dir('/home') UNION SELECT pg_ls_dir('/run')",
    "folder of programs": "COPY (SELECT 1) TO '/usr/was_here'",
    "root folder": "COPY (SELECT 1) TO '/was_here'",
}
WHERE = {
    "check": "CREATE TABLE t (n int CHECK (attempt(n)))",
    "index": "CREATE TABLE t (n int); CREATE INDEX ON t (attempt(n))",
    "trigger": "CREATE TABLE t (n int); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
               " 'BEGIN PERFORM public.attempt(1); RETURN new; END'; CREATE TRIGGER t BEFORE INSERT ON t"
               " FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE t ENABLE ALWAYS TRIGGER t",
    "generated": "CREATE TABLE t (n int, g boolean GENERATED ALWAYS AS (attempt(n)) STORED)",
}


def code(server, place):
    """A function that, in a test, tries everything, and complains of what it reached."""
    tries = "".join(f"""
        BEGIN EXECUTE $try${sql.format(open=place, data=server.data, socket=server.socket)}$try$;
          reached := reached || ' [{name}]'; EXCEPTION WHEN OTHERS THEN NULL; END;""" for name, sql in ATTEMPTS.items() if os.environ.get("ONLY", name) == name)
    return f"""CREATE FUNCTION attempt(int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $f$ BEGIN
        RETURN current_database() NOT LIKE 'opstower_test_%' OR public.try_all(); END $f$;
      CREATE FUNCTION try_all() RETURNS boolean VOLATILE LANGUAGE plpgsql AS $f$ DECLARE reached text := ''; BEGIN
        BEGIN CREATE TEMP TABLE IF NOT EXISTS got (t text); EXCEPTION WHEN OTHERS THEN NULL; END; {tries}
        IF reached <> '' THEN RAISE EXCEPTION 'REACHED%', reached; END IF;
        RETURN true; END $f$;"""


@pytest.fixture
def place(folder):
    """Where everybody may write; with a secret that everybody may read."""
    os.chmod(folder, 0o755)
    path = pathlib.Path(folder) / "open"
    path.mkdir()
    path.chmod(0o777)
    (path / "secret").write_text("for us", encoding="utf-8")
    (path / "secret").chmod(0o644)
    return path


@pytest.mark.parametrize("where", WHERE)
def test_a_backups_code_reaches_nothing(opstower, db, server, place, where):
    made = db()
    made.query(code(server, place) + WHERE[where] + "; INSERT INTO t (n) VALUES (1)")
    backup = take(opstower, made)
    result = opstower("verify", backup.path, "--full-test", env={"DATABASE_URL": made.url}, check=False)
    assert "REACHED" not in result.output, result
    assert result.returncode == 0, result
    assert os.listdir(place) == ["secret"] and not os.path.exists(os.path.join(server.data, "was_here"))


def become_nobody():
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


def test_nor_where_an_ordinary_user_tests(opstower, db, server, place):
    made = db()
    made.query(code(server, place) + WHERE["check"] + "; INSERT INTO t (n) VALUES (1)")
    backup = take(opstower, made)
    if os.geteuid() == 0:
        for path in [opstower.backup_dir, *pathlib.Path(opstower.backup_dir).iterdir()]:
            os.chown(path, 65534, 65534)
    os.chmod(opstower.folder, 0o755)
    tmp = pathlib.Path(opstower.folder) / "tmp-of-all"
    tmp.mkdir()
    tmp.chmod(0o1777)
    result = opstower("verify", backup.path, "--full-test", env={"BACKUP_TMPDIR": str(tmp), "DATABASE_URL": made.url},
                      check=False, preexec_fn=become_nobody)
    assert result.returncode == 0 and "REACHED" not in result.output, result


def planted(backup, target, metadata):
    """Somebody's file under a name that a backup could have; with metadata that is another backup's, or none."""
    shutil.copy(backup.path, target)
    if metadata:
        shutil.copy(backup.beside(".meta.json"), str(target).replace(".sql.gz", ".meta.json"))
    return pathlib.Path(target)


@pytest.mark.parametrize("metadata", [False, True])
def test_a_file_without_metadata_of_ours_is_tested_only_by_its_name(opstower, db, metadata):
    made = db()
    made.query("CREATE TABLE t AS SELECT 1 AS n")
    backup = take(opstower, made)
    opstower.env["DATABASE_URL"] = made.url
    target = os.path.join(opstower.backup_dir, f"{backup.name}_20260101_000000.sql.gz")
    file = planted(backup, target, metadata)
    result = opstower("verify", "latest")
    assert f"/{backup.path.name}" in result.stdout and "1 file is in" in result.output
    for path in (backup.path, backup.beside(".meta.json")):
        path.unlink()
    for words in (["latest"], ["latest-good"], ["latest", "--full-test"]):
        (line,) = error_lines(opstower("verify", *words, check=10))
        assert "metadata of ours" in line and "name the file" in line
    result = opstower("verify", str(file), check=False)
    assert f"/{file.name}" in result.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
@pytest.mark.parametrize("name", ["journal.jsonl", "alerts.json", ".alerts.lock", ".metadata.lock", ".{name}.backup.lock"])
def test_root_follows_no_link_of_another_user(opstower, db, folder, name):
    made = db()
    target = pathlib.Path(folder) / "roots"
    target.write_text("root's\n", encoding="utf-8")
    link = pathlib.Path(opstower.backup_dir) / name.format(name=made.name)
    link.parent.mkdir(mode=0o700, exist_ok=True)
    link.symlink_to(target)
    os.chown(link, 65534, 65534, follow_symlinks=False)
    opstower("backup", "--local-only", env={"DATABASE_URL": made.url}, check=False)
    assert target.read_text(encoding="utf-8") == "root's\n" and target.stat().st_uid == 0


def test_a_link_of_ones_own_is_followed(opstower, db, folder):
    """A journal that its owner keeps on another disk."""
    made = db()
    elsewhere = pathlib.Path(folder) / "elsewhere.jsonl"
    elsewhere.touch(mode=0o600)
    link = pathlib.Path(opstower.backup_dir) / "journal.jsonl"
    link.parent.mkdir(mode=0o700, exist_ok=True)
    link.symlink_to(elsewhere)
    opstower("backup", "--local-only", env={"DATABASE_URL": made.url})
    assert link.is_symlink() and '"act":"backup"' in elsewhere.read_text(encoding="utf-8")
