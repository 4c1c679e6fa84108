"""`opstower backup`: its files, what is in them, what it needs, what it says, and what it never does."""
import glob
import gzip
import io
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import threading
import time
import urllib.parse

import psycopg2
import pytest

from conftest import create_database, drop_databases
from lib import backups, oracle, pgserver, runner
from lib.backups import error_lines, mode_of, programs_with, take

SMALL = "CREATE TABLE small (id int PRIMARY KEY, t text); INSERT INTO small SELECT g, md5(g::text) FROM generate_series(1, 50) g"


@pytest.fixture
def small(db):
    """A database with one table of 50 rows."""
    database = db()
    database.query(SMALL)
    return database


def eventually(condition, seconds=60, step=0.02):
    """The first true value of condition(); fails after that many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(step)


# ---- files, lines, metadata ----------------------------------------------------------------------------------------

def test_files_are_named_and_protected_as_the_guide_says(opstower, small):
    backup = take(opstower, small)
    assert backup.name == small.name
    assert opstower.files("[!.]*") == sorted([f"{backup.id}.sql.gz", f"{backup.id}.meta.json", f"{backup.id}.globals.sql",
                                              f"backup_{backup.timestamp}.log", f"{small.name}_latest.sql.gz", "journal.jsonl"])
    latest = os.path.join(opstower.backup_dir, f"{small.name}_latest.sql.gz")
    assert os.readlink(latest) == f"{backup.id}.sql.gz"
    assert mode_of(opstower.backup_dir) == 0o700
    for name in os.listdir(opstower.backup_dir):
        path = os.path.join(opstower.backup_dir, name)
        assert os.path.islink(path) or mode_of(path) == 0o600, name
    assert backups.unfinished(opstower) == []


def test_files_stay_protected_under_a_generous_umask(opstower, small):
    take(opstower, small, preexec_fn=lambda: os.umask(0))
    modes = {mode_of(path) for path in pathlib.Path(opstower.backup_dir).iterdir() if not path.is_symlink()}
    assert (mode_of(opstower.backup_dir), modes) == (0o700, {0o600})


GUIDE_LINES = [
    r"\[INFO\] OpsTower Database Backup - Started",
    r"\[INFO\] Checking prerequisites\.\.\.",
    r"\[INFO\] Starting database backup\.\.\.",
    r"\[INFO\] Dumping database to: {dir}/{id}\.sql(\.gz)?",
    r"\[INFO\] Backup size: [0-9.]+[KMGT]?",
    r"\[INFO\] Compressing backup\.\.\..*",
    r"\[INFO\] Compressed size: [0-9.]+[KMGT]?",
    r"\[INFO\] Creating backup metadata\.\.\.",
    r"\[INFO\] Verifying backup integrity\.\.\.",
    r"\[INFO\] Backup file integrity verified \(gzip test passed\)",
    r"\[INFO\] OpsTower Database Backup - Completed Successfully",
    r"\[INFO\] Duration: \d+ seconds",
]


def test_lines_of_the_guide_come_in_its_order_on_stdout_and_in_the_log(opstower, small):
    result = opstower("backup", "--local-only", env={"DATABASE_URL": small.url})
    backup = backups.all_of(opstower)[0]
    assert result.stderr == ""
    lines, log = iter(result.stdout.splitlines()), iter(backup.log.splitlines())
    for pattern in GUIDE_LINES:
        pattern = pattern.replace("{dir}", re.escape(opstower.backup_dir)).replace("{id}", re.escape(backup.id))
        assert any(re.fullmatch(pattern, line) for line in lines), f"not printed, or not in order: {pattern}"
        assert any(re.fullmatch(r"\d{4}-\d\d-\d\dT[0-9:]{8}[+-]\d\d:\d\d " + pattern, line) for line in log), pattern


def test_quiet_prints_nothing_and_json_prints_only_json(opstower, small):
    assert opstower("backup", "--quiet", env={"DATABASE_URL": small.url}).output == ""
    result = opstower("backup", "--json", env={"DATABASE_URL": small.url})
    said = json.loads(result.stdout)
    assert result.stderr == "" and os.path.exists(said["file"]) and said["rows"] == 50


ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d"
GUIDE_FIELDS = {"timestamp": str, "date": str, "database": str, "host": str, "port": int, "backup_file": str,
                "backup_size": str, "database_size": str, "table_count": int, "compression": str,
                "postgresql_version": str, "backup_script_version": str, "retention_days": int}


def test_metadata_has_the_fields_of_the_guide_first_with_their_types(opstower, server, small):
    backup = take(opstower, small, "--type", "pre-deployment", "--tag", "release 1.0 \"x\"",
                  env={"BACKUP_RETENTION_DAYS": "17", "TZ": "Asia/Manila"})
    meta = backup.meta
    assert {key: type(meta[key]) for key in list(meta)[:len(GUIDE_FIELDS)]} == GUIDE_FIELDS
    assert list(meta)[:len(GUIDE_FIELDS)] == list(GUIDE_FIELDS)
    assert (meta["timestamp"], meta["backup_file"]) == (backup.timestamp, backup.path.name)
    assert re.fullmatch(ISO, meta["date"]) and meta["date"].endswith("+08:00")
    assert meta["database"] == small.name and meta["host"] == server.socket and meta["port"] == 5432
    assert (meta["table_count"], meta["compression"], meta["retention_days"]) == (1, "gzip", 17)
    assert re.fullmatch(r"\d+ (bytes|kB|MB|GB)", meta["database_size"])
    assert meta["postgresql_version"].startswith("PostgreSQL 15.") and meta["backup_script_version"] == "1.0.0"
    assert (meta["type"], meta["tag"], meta["state"]) == ("pre-deployment", 'release 1.0 "x"', "verified")
    assert meta["uncompressed_size"] <= len(backup.text())
    assert re.fullmatch(ISO, meta["snapshot_time"]) and re.fullmatch(ISO, meta["verified_at"])
    assert meta["facts"]["encoding"] == "UTF8" and meta["facts"]["owner"] == "postgres"
    backup.assert_whole()


def test_roles_are_kept_beside_without_passwords(opstower, server, small):
    server.query("CREATE ROLE globals_keeper LOGIN PASSWORD 'geheim-42'")
    try:
        text = take(opstower, small).beside(".globals.sql").read_text(encoding="utf-8")
        assert "CREATE ROLE globals_keeper" in text and "SCRAM" not in text and "geheim" not in text
        assert not take(opstower, small, "--no-globals").beside(".globals.sql").exists()
    finally:
        server.query("DROP ROLE globals_keeper")


def test_a_terminal_gets_a_progress_line_and_a_pipe_none(opstower, server, small, folder):
    slow = programs_with(folder, server, pg_dumpall='nap 1; exec "{real}" "$@"')
    here, there = os.openpty()
    process = opstower.popen("backup", env={"DATABASE_URL": small.url, "PG_BINDIR": slow, "TERM": "xterm"}, stdout=there)
    os.close(there)
    seen = b""
    try:
        while chunk := os.read(here, 65536):
            seen += chunk
    except OSError:
        pass  # how a terminal ends
    os.close(here)
    assert process.wait(30) == 0
    assert re.search(rb"\rdumping: |\x1b\[Kdumping: |dumping: [^\n]*tables 1/1", seen), seen
    assert b"\r" not in opstower("backup", env={"DATABASE_URL": small.url}).stdout.encode()


def test_a_full_stdout_is_an_error(opstower, small):
    with open("/dev/full", "wb") as full:
        result = opstower("backup", env={"DATABASE_URL": small.url}, stdout=full, check=14)
    assert "cannot write to stdout" in result.stderr
    backups.assert_only_whole(opstower)


# ---- what is in the file -------------------------------------------------------------------------------------------

# Text that is no UTF-8 and that SQL_ASCII takes as it is; a table and a column named so too.
SQL_ASCII = rb"""
CREATE TABLE bytes (id int PRIMARY KEY, t text);
INSERT INTO bytes VALUES (1, E'\351\350'), (2, E'tab\011 \377\376'), (3, '\.'), (4, NULL), (5, '');
CREATE TABLE "t""" + b"\xe9" + rb"""" ("c""" + b"\xff" + rb"""" text);
INSERT INTO "t""" + b"\xe9" + rb"""" VALUES ('""" + b"\xe4" + rb"""');
COMMENT ON TABLE bytes IS '""" + b"\xfc" + rb"""';
"""
SOURCES = {"sample": {}, "odd": {}, "latin1": {"encoding": "LATIN1", "locale": "C"},
           "sql_ascii": {"encoding": "SQL_ASCII", "locale": "C"}, "empty": {}}


@pytest.fixture(scope="module")
def sources(server):
    """The databases that are backed up again and again; made once, and only those that a test asks for."""
    made = {}

    def get(kind):
        if kind not in made:
            made[kind] = create_database(server, f"backupsource_{kind}", **SOURCES[kind])
            if kind == "sample":
                made[kind].load(str(pathlib.Path(__file__).resolve().parents[2] / "demo" / "sample.sql"))
            elif kind == "sql_ascii":
                made[kind].psql("-f", "-", input=SQL_ASCII)
            elif kind != "empty":
                made[kind].load({"odd": "odd.sql", "latin1": "odd_latin1.sql"}[kind])
        return made[kind]
    yield get
    for database in made.values():
        drop_databases(server, database.name)


WAYS = {"fast, 2 jobs": ("--jobs", 2), "fast, 4 jobs": ("--compress-level", "fast", "--jobs", 4),
        "level 1, 1 job": ("--compress-level", 1, "--jobs", 1), "level 6, 4 jobs": ("--compress-level", 6, "--jobs", 4),
        "level 12, 2 jobs": ("--compress-level", 12, "--jobs", 2)}


def assert_same_bytes(source, target):
    """As oracle.assert_same, for a database whose text has no encoding: pg_dump's own output, rows and all."""
    dumps = [subprocess.run([pgserver.program("pg_dump"), "-d", each.url], capture_output=True, check=True,
                            env=oracle.clean_environment()).stdout for each in (source, target)]
    clean = [re.sub(rb"\\(un)?restrict \S+\n", b"", dump) for dump in dumps]
    assert clean[0] == clean[1]


def some_ways():
    """The odd database in every way, the others in every other way; the rest is for the long run."""
    pairs = [(kind, way) for kind in SOURCES for way in WAYS]
    return [pair if i % (2 if pair[0] == "odd" else 4) == 0 else pytest.param(*pair, marks=pytest.mark.long)
            for i, pair in enumerate(pairs)]


@pytest.mark.parametrize("kind, way", some_ways())
def test_stock_tools_restore_it_to_the_same_database(opstower, sources, db, kind, way):
    source, target = sources(kind), db(**SOURCES[kind])
    backup = take(opstower, source, *WAYS[way])
    backup.assert_whole()
    assert backup.meta["compress_level"] == {"fast": "fast", "leve": way.split(",")[0][6:]}[way[:4]]
    backups.restore_with_stock_tools(backup, target.url)
    if kind == "sql_ascii":
        assert_same_bytes(source, target)
    else:
        oracle.assert_same(source.url, target.url)


def test_higher_levels_make_smaller_files(opstower, sources):
    sizes = [take(opstower, sources("sample"), "--compress-level", level).path.stat().st_size
             for level in ("fast", 1, 6, 12)]
    assert sizes[0] > sizes[2] > sizes[3] and sizes[1] > sizes[2], sizes


# What pg_dump would read: ordinary tables, not those that an extension makes for itself; and extensions' row filters.
DUMPED_TABLES = """
SELECT n.nspname, c.relname, coalesce(array(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid
         AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum), '{}')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid WHERE d.objid = c.oid
    AND d.classid = 'pg_class'::regclass AND d.deptype = 'e' AND c.oid <> ALL (coalesce(e.extconfig, '{}')))
"""
FILTERS = {("odd_config", "setting"): " WHERE NOT builtin"}
AS_PG_DUMP = """SET datestyle = ISO; SET intervalstyle = postgres; SET extra_float_digits = 3; SET timezone = 'UTC';
SET bytea_output = hex; SET lc_monetary = 'C'; SET search_path = ''; SET row_security = off"""


def independent_proof(database):
    """{(schema, name): (rows, fingerprint)} by one plain COPY of each table."""
    connection = psycopg2.connect(database.url)
    found = {}
    with connection.cursor() as cursor:
        cursor.execute(DUMPED_TABLES)
        tables = cursor.fetchall()
        cursor.execute(AS_PG_DUMP)
        connection.set_client_encoding(cursor.connection.get_parameter_status("server_encoding"))
        for schema, name, columns in tables:
            quote = lambda word: '"' + word.replace('"', '""') + '"'  # pylint: disable=unnecessary-lambda-assignment
            buffer = io.BytesIO()
            cursor.copy_expert(f"COPY (SELECT {', '.join(map(quote, columns))} FROM ONLY {quote(schema)}.{quote(name)}"
                               f"{FILTERS.get((schema, name), '')}) TO STDOUT", buffer)
            lines = [line + b"\n" for line in buffer.getvalue().split(b"\n")[:-1]]
            found[schema, name] = (len(lines), backups.row_fingerprint(lines))
    connection.close()
    return found


@pytest.mark.parametrize("kind", ["sample", "odd", "latin1", "empty"])
def test_counts_and_fingerprints_are_those_of_an_independent_count(opstower, sources, kind):
    source = sources(kind)
    meta = take(opstower, source).meta
    said = {(table["schema"], table["name"]): (table["rows"], table["fingerprint"]) for table in meta["tables"]}
    counted = independent_proof(source)
    assert said == counted
    assert len(said) == len(meta["tables"])
    assert meta["rows"] == sum(rows for rows, _ in counted.values())
    assert kind == "empty" or meta["rows"] > 1000


def test_the_file_alone_holds_the_same_proof_as_its_metadata(opstower, sources):
    backup = take(opstower, sources("sample"))
    contents = b"\n".join(backup.contents()).decode()
    for table in backup.meta["tables"]:
        assert table["fingerprint"] in contents


def test_several_gzip_members_read_as_one_by_every_reader(opstower, sources):
    backup = take(opstower, sources("sample"), "--jobs", 2)
    data = backup.path.read_bytes()
    members = [line for line in backup.contents() if line.startswith(b"member ")]
    assert len(members) > 5
    for member in members:
        offset, size, plain = map(int, member.split()[2:5])
        assert len(gzip.decompress(data[offset:offset + size])) == plain
    by_gunzip = subprocess.run(["gunzip", "-c", str(backup.path)], capture_output=True, check=True).stdout
    assert by_gunzip == backup.text() == gzip.decompress(data)
    zcat = subprocess.run(["python3", "-c", "import sys, zlib\nd = open(sys.argv[1], 'rb').read()\n"
                           "while d:\n o = zlib.decompressobj(31)\n sys.stdout.buffer.write(o.decompress(d))\n"
                           " d = o.unused_data", str(backup.path)], capture_output=True, check=True).stdout
    assert zcat == by_gunzip


@pytest.mark.parametrize("kind", ["sample", "odd", "empty"])
def test_one_restrict_pair_spans_the_whole_text(opstower, sources, kind):
    lines = take(opstower, sources(kind)).text().split(b"\n")
    opened = [line for line in lines if line.startswith(b"\\restrict ") and line != b"\\restrict abc"]
    closed = [line for line in lines if line.startswith(b"\\unrestrict ") and line != b"\\unrestrict abc"]  # odd.sql's
    assert len(opened) == len(closed) == 1 and opened[0].split()[1] == closed[0].split()[1]
    first_statement = next(i for i, line in enumerate(lines) if line and not line.startswith((b"--", b"\\")))
    assert lines.index(opened[0]) < first_statement
    after = lines[lines.index(closed[0]) + 1:]
    assert all(not line or line.startswith(b"--") for line in after)


BIG = """
CREATE TABLE big (id int PRIMARY KEY, filler text);
INSERT INTO big SELECT g, repeat(md5(g::text), 12) FROM generate_series(1, 130000) g;
DELETE FROM big WHERE id BETWEEN 20000 AND 60000 OR id > 125000;
ALTER TABLE big ADD COLUMN wide text; ALTER TABLE big ALTER COLUMN wide SET STORAGE EXTERNAL;
UPDATE big SET wide = repeat(md5(id::text), 500) WHERE id % 150 = 0;
CREATE TABLE only_toast (id int, body text); ALTER TABLE only_toast ALTER COLUMN body SET STORAGE EXTERNAL;
INSERT INTO only_toast SELECT g, repeat(md5(g::text), 20000) FROM generate_series(1, 40) g;
CREATE TABLE all_deleted AS SELECT * FROM big WHERE id < 20000; DELETE FROM all_deleted;
"""


def test_a_big_table_is_cut_into_ranges_of_pages_and_no_row_is_lost_or_doubled(make_server, opstower, db):
    server = make_server({"log_statement": "all", "autovacuum": "off"})
    source, target = db(on=server), db(on=server)
    source.query(BIG)
    source.query("VACUUM (TRUNCATE off) big")
    backup = take(opstower, source, "--jobs", 4)
    ranges = re.findall(r"FROM ONLY public\.(\w+) WHERE ctid >= '\((\d+),0\)'(?: AND ctid < '\((\d+),0\)')?",
                        server.log().replace('"', ""))
    cut = sorted((int(first), int(end) if end else None) for table, first, end in ranges if table == "big")
    assert len(cut) >= 4 and cut[0][0] == 0 and cut[-1][1] is None
    assert [end for _, end in cut[:-1]] == [first for first, _ in cut[1:]]
    tables = {table["name"]: (table["rows"], table["fingerprint"]) for table in backup.meta["tables"]}
    assert tables == {name: proof for (_, name), proof in independent_proof(source).items()}
    assert (tables["big"][0], tables["only_toast"][0], tables["all_deleted"][0]) == (84999, 40, 0)
    backups.restore_with_stock_tools(backup, target.url)
    oracle.assert_same(source.url, target.url)


# ---- names ---------------------------------------------------------------------------------------------------------

NAMES = {"spaces": " two  words ", "quotes": "it's \"quoted\"", "slash": "../../up/and\\away", "percent": "50%2Foff",
         "leading dot": ".hidden", "only dots": "..", "non-ASCII": "bücher_日本", "a conninfo": "dbname=postgres user=nobody",
         "a URL": "postgresql://nowhere/other", "a newline": "new\nline", "an option": "--force", "a star": "*",
         "like a backup": "app_20260101_000000", "latest": "app_latest", "long": "ü" * 31 + "x", "dollar": "$(touch x)`id`"}


@pytest.mark.parametrize("kind", NAMES)
def test_any_database_name_stays_within_the_folder_and_is_restorable(opstower, db, folder, kind):
    source, target = db(name=NAMES[kind]), db()
    source.query(SMALL)
    before = os.listdir(folder)
    backup = take(opstower, source)
    assert [name for name in os.listdir(folder) if name not in before] == ["backups"]
    assert glob.glob("/tmp/up*") == [] and glob.glob("/up*") == []
    assert all(not entry.is_dir() for entry in os.scandir(opstower.backup_dir))
    assert backup.meta["database"] == NAMES[kind]
    assert backup.path.name.isprintable() and not backup.path.name.startswith(".")
    assert os.path.realpath(os.path.join(opstower.backup_dir, f"{backup.name}_latest.sql.gz")) == str(backup.path)
    backups.restore_with_stock_tools(backup, target.url)
    oracle.assert_same(source.url, target.url)
    take(opstower, source)  # with the first one there


def test_names_that_differ_only_in_escaping_do_not_share_files(opstower, db):
    for name in ("a/b", "a%2Fb", "a%252Fb", "A/B"):
        database = db(name=name)
        database.query(SMALL)
        take(opstower, database)
    names = {backup.name: backup.meta["database"] for backup in backups.all_of(opstower)}
    assert sorted(names.values()) == ["A/B", "a%252Fb", "a%2Fb", "a/b"]


# ---- where the database is -----------------------------------------------------------------------------------------

PASSWORD = "p@ss:w/rd?#%20 'q\\ß"


@pytest.fixture(scope="module")
def locked():
    """Such a server, with a role and a database of 50 rows."""
    with pgserver.TcpServer() as started:
        started.query("CREATE ROLE keeper LOGIN PASSWORD %s; GRANT pg_read_all_data TO keeper", (PASSWORD,))
        started.query("CREATE DATABASE locked_db TEMPLATE template0")
        started.query(SMALL, dbname="locked_db")
        yield started


def locked_url(locked, password=PASSWORD, query=""):
    return f"postgresql://keeper:{urllib.parse.quote(password, safe='')}@127.0.0.1:{locked.port}/locked_db{query}"


def parts(locked, **changes):
    every = {"DATABASE_HOST": "127.0.0.1", "DATABASE_PORT": locked.port, "DATABASE_NAME": "locked_db",
             "DATABASE_USER": "keeper", "DATABASE_PASSWORD": PASSWORD}
    return {**every, **changes}


CONNECTIONS = {
    "a URL with a percent-encoded password": lambda s: {"DATABASE_URL": locked_url(s)},
    "a URL with parameters": lambda s: {"DATABASE_URL": locked_url(s, query="?sslmode=disable&connect_timeout=5")},
    "parts only": parts,
    "parts filling what the URL lacks": lambda s: parts(s, DATABASE_URL=f"postgresql://keeper@:{s.port}/"),
    "a URL that wins over wrong parts": lambda s: parts(s, DATABASE_URL=locked_url(s), DATABASE_HOST="192.0.2.1",
                                                        DATABASE_PORT="1", DATABASE_NAME="wrong", DATABASE_USER="wrong",
                                                        DATABASE_PASSWORD="wrong"),
    "libpq's own variables": lambda s: {"PGHOST": "127.0.0.1", "PGPORT": s.port, "PGDATABASE": "locked_db",
                                        "PGUSER": "keeper", "PGPASSWORD": PASSWORD},
    "a conninfo string": lambda s: {"DATABASE_URL": f"host=127.0.0.1 port={s.port} dbname=locked_db user=keeper "
                                                    "password='" + PASSWORD.replace("\\", "\\\\").replace("'", "\\'") + "'"},
}


@pytest.mark.parametrize("way", CONNECTIONS)
def test_connects_with(opstower, locked, way):
    opstower("backup", env=CONNECTIONS[way](locked))
    meta = backups.all_of(opstower)[0].meta
    assert (meta["database"], meta["host"], meta["port"], meta["rows"]) == ("locked_db", "127.0.0.1", locked.port, 50)


def test_connects_with_a_pgpass_file(opstower, locked):
    path = os.path.join(opstower.env["HOME"], ".pgpass")
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    pathlib.Path(path).write_text(f"127.0.0.1:{locked.port}:*:keeper:{escaped}\n", encoding="utf-8")
    os.chmod(path, 0o600)
    opstower("backup", env=parts(locked, DATABASE_PASSWORD=None))


def test_sslmode_of_the_url_is_obeyed_by_us_and_by_our_children(opstower, locked):
    result = opstower("backup", env={"DATABASE_URL": locked_url(locked, query="?sslmode=require")}, check=5)
    assert "SSL" in error_lines(result)[0]


def dotenv(locked, backup_dir):
    value = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
    return f"""\
# the guide's file, as people write it
export DATABASE_HOST=127.0.0.1   # a comment
DATABASE_PORT = {locked.port}
DATABASE_NAME='locked_db'\r
DATABASE_USER="keeper"
DATABASE_PASSWORD="{value}"

BACKUP_DIR={backup_dir}
BACKUP_RETENTION_DAYS=12
UNRELATED=1
"""


@pytest.mark.parametrize("how", ["./.env", "--env-file"])
def test_reads_a_dotenv_file(opstower, locked, folder, how):
    elsewhere = os.path.join(folder, "from dotenv")
    path = pathlib.Path(folder) / (".env" if how == "./.env" else "settings.txt")
    path.write_text(dotenv(locked, f'"{elsewhere}"'), encoding="utf-8", newline="")
    path.chmod(0o600)
    result = opstower("backup", *([] if how == "./.env" else ["--env-file", path]), env={"BACKUP_DIR": None})
    assert result.stderr == ""
    meta = json.loads(pathlib.Path(glob.glob(f"{elsewhere}/*.meta.json")[0]).read_text(encoding="utf-8"))
    assert (meta["database"], meta["retention_days"]) == ("locked_db", 12)


def test_warns_of_a_dotenv_file_that_others_can_read(opstower, locked, folder):
    path = pathlib.Path(folder) / ".env"
    path.write_text(dotenv(locked, opstower.backup_dir), encoding="utf-8")
    path.chmod(0o644)
    result = opstower("backup")
    assert "[WARN] .env holds a password and other users can read it" in result.stderr


def everything_written(opstower):
    """All bytes that a run left in its folder, file names included."""
    found = b""
    for path in pathlib.Path(opstower.backup_dir).rglob("*"):
        found += path.name.encode() + b"\n"
        if path.is_file():
            found += gzip.open(path).read() if path.name.endswith(".sql.gz") else path.read_bytes()
    return found


def spellings(secret):
    return [secret.encode(), urllib.parse.quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode()]


def test_wrong_password_is_said_as_in_the_guide_and_not_shown(opstower, locked):
    wrong = "Wrong:Secret/4711@x"
    for env in ({"DATABASE_URL": locked_url(locked, wrong)}, parts(locked, DATABASE_PASSWORD=wrong)):
        result = opstower("backup", env=env, check=5)
        lines = error_lines(result)
        assert len(lines) == 1 and lines[0].startswith("[ERROR] psql: FATAL: password authentication failed"), result
        for spelling in spellings(wrong):
            assert spelling not in result.output.encode() and spelling not in everything_written(opstower)
    assert backups.all_of(opstower) == [] and backups.unfinished(opstower) == []


def command_lines():
    found = set()
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            found.add(pathlib.Path(path).read_bytes())
        except OSError:
            pass
    return found


@pytest.mark.parametrize("way", ["a URL with a percent-encoded password", "parts only", "a conninfo string"])
def test_the_password_is_nowhere_to_be_seen(opstower, locked, folder, server, way):
    looks = pathlib.Path(folder) / "looks"      # a child stays until it has been looked at from beginning to end
    looks.write_text("0", encoding="ascii")
    seen_twice = f'n=$(cat "{looks}"); until [ $(cat "{looks}") -gt $((n + 1)) ]; do nap 0.02; done'
    script = f'"{{real}}" "$@"; code=$?; {seen_twice}; exit $code'
    slow = programs_with(folder, server, pg_dump=script, pg_dumpall=script)
    process = opstower.popen("backup", env={**CONNECTIONS[way](locked), "PG_BINDIR": slow})
    seen, number = set(), 0
    while process.poll() is None:
        seen |= command_lines()
        number += 1
        looks.with_name("next").write_text(str(number), encoding="ascii")
        looks.with_name("next").rename(looks)
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    ours = [line for line in seen if b"locked_db" in line and b"pg_dump" in line]
    assert any(b"pg_dumpall" in line for line in ours) and any(b"--snapshot" in line for line in ours)
    for spelling in spellings(PASSWORD):
        assert not [line for line in seen if spelling in line and b"opstower" not in line.split(b"\0")[0]]
        assert spelling not in stdout + stderr + everything_written(opstower)


# ---- prerequisites -------------------------------------------------------------------------------------------------

def assert_nothing_made(opstower, result, *words):
    assert len(error_lines(result)) == 1, result
    for word in words:
        assert word in error_lines(result)[0], result
    assert backups.all_of(opstower) == [] and backups.unfinished(opstower) == []
    assert opstower.files("*_latest*") == []


def test_a_server_that_does_not_run_is_said(opstower, folder):
    os.makedirs(f"{folder}/nosocket")
    for url in (f"postgresql:///x?host={folder}/nosocket", "postgresql://u@127.0.0.1:1/x"):
        result = opstower("backup", env={"DATABASE_URL": url}, check=5)
        assert_nothing_made(opstower, result, "Is the server running")


def test_a_database_that_does_not_exist_is_said(opstower, server):
    result = opstower("backup", env={"DATABASE_URL": server.url("not_there")}, check=5)
    assert_nothing_made(opstower, result, 'database "not_there" does not exist')


def test_a_url_that_cannot_be_read_is_said_without_its_password(opstower):
    result = opstower("backup", env={"DATABASE_URL": "postgresql://u:sec%zzret@h/x"}, check=2)
    assert len(error_lines(result)) == 1 and "sec%zzret" not in result.output


def test_a_server_that_never_answers_can_be_interrupted(opstower):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        process = opstower.popen("backup", env={"DATABASE_URL": f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/x"})
        asked, _ = silent.accept()
        process.terminate()
        try:
            assert process.wait(30) == 143
        finally:
            process.kill()
            process.communicate()


SAYS_13 = 'echo "pg_dump (PostgreSQL) 13.1"'
TOOLS = {
    "no pg_dump": ({"pg_dump": None}, "pg_dump is not in"),
    "no pg_restore": ({"pg_restore": None}, "pg_restore is not in"),
    "no pg_dumpall": ({"pg_dumpall": None}, "pg_dumpall is not in"),
    "a pg_dump older than the server": ({"pg_dump": SAYS_13}, "is version 13, the server is version 15"),
    "a pg_dump that says no version": ({"pg_dump": "echo hello"}, "version"),
}


@pytest.mark.parametrize("what", TOOLS)
def test_missing_or_old_programs_are_said(opstower, small, server, folder, what):
    scripts, words = TOOLS[what]
    bindir = programs_with(folder, server, **scripts)
    result = opstower("backup", env={"DATABASE_URL": small.url, "PG_BINDIR": bindir}, check=3)
    assert_nothing_made(opstower, result, words)


REAL_VERSION = 'case "$*" in *--version*) exec "{real}" --version;; esac\n'
FAILING_DUMPS = {
    "fails at once": ("echo 'pg_dump: error: something broke' >&2; exit 1", "something broke"),
    "fails without a word": ("exit 3", "exit code 3"),
    "is killed": ("kill -9 $$", "killed by signal 9"),
    "says nothing and succeeds": ("exit 0", ""),
    "writes garbage": ("head -c 1000 /dev/urandom", ""),
    "writes garbage without end": ("exec cat /dev/urandom", ""),
    "writes text": ("echo '-- PostgreSQL database dump'", ""),
    "writes an unknown format version": ("printf 'PGDMP\\001\\143\\000\\004\\010\\001'; cat /dev/zero", "version"),
    "cuts its table of contents": ('"{real}" "$@" | head -c 700', ""),
    "cuts its table of contents and fails": ('"{real}" "$@" | head -c 700; echo "server went away" >&2; exit 1',
                                             "server went away"),
    "cuts its table of contents and is killed": ('"{real}" "$@" | head -c 700; kill -9 $$', "killed by signal 9"),
}


@pytest.mark.parametrize("how", FAILING_DUMPS)
def test_no_backup_when_pg_dump(opstower, small, server, folder, how):
    script, words = FAILING_DUMPS[how]
    bindir = programs_with(folder, server, pg_dump=REAL_VERSION + script)
    result = opstower("backup", env={"DATABASE_URL": small.url, "PG_BINDIR": bindir}, check=False, timeout=20)
    assert result.returncode in (3, 7), result
    assert_nothing_made(opstower, result, words)
    backups.wait_until_gone(server)


OTHER_FAILURES = {
    "pg_restore fails": {"pg_restore": REAL_VERSION + "echo no such section >&2; exit 1"},
    "pg_restore is killed": {"pg_restore": REAL_VERSION + "kill -9 $$"},
    "pg_restore cuts the schema": {"pg_restore": REAL_VERSION + '"{real}" "$@" | head -c 500'},
    "pg_restore says nothing": {"pg_restore": REAL_VERSION + "exit 0"},
    "pg_dump fails in the large objects":
        {"pg_dump": REAL_VERSION + 'case "$*" in *section=data*) echo broken >&2; exit 1;; esac\nexec "{real}" "$@"'},
    "pg_dump is killed in the large objects":
        {"pg_dump": REAL_VERSION + 'case "$*" in *section=data*) "{real}" "$@" | head -c 900; kill -9 $$;; esac\n'
                                   'exec "{real}" "$@"'},
    "pg_dump cuts the large objects and succeeds":
        {"pg_dump": REAL_VERSION + 'case "$*" in *section=data*) "{real}" "$@" | head -c 900; exit 0;; esac\n'
                                   'exec "{real}" "$@"'},
    "pg_dump says nothing of the large objects and succeeds":
        {"pg_dump": REAL_VERSION + 'case "$*" in *section=data*) exit 0;; esac\nexec "{real}" "$@"'},
}


@pytest.mark.parametrize("what", OTHER_FAILURES)
def test_no_backup_when(opstower, small, server, folder, what):
    small.query("SELECT lo_from_bytea(4711, decode(repeat(md5('x'), 200), 'hex'))")
    bindir = programs_with(folder, server, **OTHER_FAILURES[what])
    result = opstower("backup", env={"DATABASE_URL": small.url, "PG_BINDIR": bindir}, check=False, timeout=60)
    assert result.returncode in (3, 7), result
    assert_nothing_made(opstower, result)


NO_ROLES = {
    "fails": {"pg_dumpall": REAL_VERSION + "echo no roles >&2; exit 1"},
    "is killed halfway": {"pg_dumpall": REAL_VERSION + '"{real}" "$@" | head -c 100; kill -9 $$'},
    "cuts the roles": {"pg_dumpall": REAL_VERSION + '"{real}" "$@" | head -c 100'},
}


@pytest.mark.parametrize("how", NO_ROLES)
def test_a_backup_is_kept_without_the_roles_when_pg_dumpall(opstower, small, server, folder, how):
    """Hours of rows are not thrown away for a file beside them: it is told, and the next run tries again."""
    bindir = programs_with(folder, server, **NO_ROLES[how])
    result = opstower("backup", env={"DATABASE_URL": small.url, "PG_BINDIR": bindir})
    assert result.stderr.count("[WARN]") == 2 and "without roles" in result.stderr, result
    assert "Left out of the backup: roles and tablespaces" in result.stderr
    backup = backups.all_of(opstower)[0]
    backup.assert_whole()
    assert "roles and tablespaces" in str(json.loads(backup.beside(".meta.json").read_text("utf-8"))["omitted"])
    assert opstower.files("*.globals.sql") == []
    take(opstower, small)
    assert len(opstower.files("*.globals.sql")) == 1


def test_roles_are_read_where_postgres_and_template1_are_closed(opstower, server, db, reader):
    """Hardened servers: CONNECT to the maintenance databases is not for everybody."""
    source = db(name="odd = 'name\\")
    source.query(SMALL)
    maintenance = "postgres, template1"
    server.query(f"GRANT CONNECT ON DATABASE \"odd = 'name\\\" TO {reader}")
    server.query(f"REVOKE CONNECT ON DATABASE {maintenance} FROM PUBLIC")
    try:
        result = opstower("backup", env={"DATABASE_URL": server.url(source.name, user=reader)})
    finally:
        server.query(f"GRANT CONNECT ON DATABASE {maintenance} TO PUBLIC")
        server.query(f"REVOKE ALL ON DATABASE \"odd = 'name\\\" FROM {reader}")
    assert "[WARN]" not in result.stderr, result
    assert f"CREATE ROLE {reader}" in pathlib.Path(opstower.backup_dir, opstower.files("*.globals.sql")[0]).read_text("utf-8")


@pytest.fixture
def as_nobody(monkeypatch, folder, opstower):
    """Keyword arguments for a call of opstower as a user who is not root."""
    if os.geteuid() != 0:
        return {}
    copy = shutil.copy2(runner.binary(), os.path.join(folder, "opstower"))
    os.chmod(copy, 0o755)
    monkeypatch.setenv("OPSTOWER", copy)
    user = pgserver.server_user()
    os.chmod(opstower.env["HOME"], 0o755)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def test_a_folder_that_is_not_ours_to_write_is_said(opstower, small, folder, as_nobody):
    for path, mode in ((f"{folder}/closed", 0o500), (f"{folder}/closed/inner", None)):
        if mode:
            os.makedirs(path)
            os.chmod(path, mode)
        result = opstower("backup", env={"DATABASE_URL": small.url, "BACKUP_DIR": path}, check=3, **as_nobody)
        assert len(error_lines(result)) == 1 and path in error_lines(result)[0]
    os.chmod(f"{folder}/closed", 0o700)
    assert os.listdir(f"{folder}/closed") == []


def test_works_as_an_ordinary_user(opstower, small, folder, as_nobody):
    os.makedirs(f"{folder}/theirs")
    if as_nobody:
        os.chown(f"{folder}/theirs", as_nobody["user"], as_nobody["group"])
    opstower("backup", env={"DATABASE_URL": small.url, "BACKUP_DIR": f"{folder}/theirs/backups"}, **as_nobody)
    assert len(glob.glob(f"{folder}/theirs/backups/*_[0-9]*.sql.gz")) == 1


def test_a_folder_that_is_a_file_is_said(opstower, small, folder):
    path = pathlib.Path(folder) / "a file"
    path.write_text("mine", encoding="utf-8")
    for target in (path, path / "below"):
        result = opstower("backup", env={"DATABASE_URL": small.url, "BACKUP_DIR": target}, check=3)
        assert len(error_lines(result)) == 1 and str(target) in error_lines(result)[0]
    assert path.read_text(encoding="utf-8") == "mine"


# ---- one at a time, and no overwriting -----------------------------------------------------------------------------

def test_two_at_once_the_second_says_who_holds_it(opstower, small, server, folder):
    slow = programs_with(folder, server, pg_dumpall=f'until [ -e "{folder}/go" ]; do nap 0.02; done; exec "{{real}}" "$@"')
    first = opstower.popen("backup", env={"DATABASE_URL": small.url, "PG_BINDIR": slow})
    eventually(lambda: backups.our_backends(server))
    second = opstower("backup", env={"DATABASE_URL": small.url}, check=6)
    assert len(error_lines(second)) == 1
    assert re.search(rf"\bprocess {first.pid}\b.* since {ISO}", error_lines(second)[0]), second
    (pathlib.Path(folder) / "go").touch()
    stdout, stderr = first.communicate()
    assert first.returncode == 0, stderr
    assert len(backups.all_of(opstower)) == 1 and b"Completed Successfully" in stdout
    take(opstower, small)


def test_a_lock_left_by_a_killed_run_is_no_obstacle(opstower, small, server, folder):
    slow = programs_with(folder, server, pg_dumpall='nap 30; exec "{real}" "$@"')
    first = opstower.popen("backup", env={"DATABASE_URL": small.url, "PG_BINDIR": slow})
    eventually(lambda: backups.our_backends(server))
    first.kill()
    first.communicate()
    lock = pathlib.Path(opstower.backup_dir) / f".{small.name}.backup.lock"
    assert str(first.pid) in lock.read_text(encoding="utf-8")
    take(opstower, small)
    assert backups.unfinished(opstower) == []


def test_different_databases_at_the_same_second_in_one_folder(opstower, db):
    databases = [db() for _ in range(8)]
    for _ in range(2):
        running = [opstower.popen("backup", "--jobs", 1, env={"DATABASE_URL": each.url}) for each in databases]
        results = [(process.communicate(), process.returncode) for process in running]
        assert [code for _, code in results] == [0] * 8, results
    assert len(backups.all_of(opstower)) == 16 and len(opstower.files("backup_*.log")) == 16
    for backup in backups.all_of(opstower):
        assert backup.log.count("Dumping database to") == 1 and f"/{backup.id}.sql.gz" in backup.log


def test_backups_in_the_same_second_do_not_overwrite_each_other(opstower, small):
    made = [take(opstower, small) for _ in range(4)]
    assert len({backup.timestamp for backup in made}) == 4
    for backup in made:
        backup.assert_whole()


@pytest.mark.parametrize("ending", [".sql.gz", ".meta.json", ".globals.sql", ".log"])
def test_a_clock_set_back_overwrites_nothing(opstower, small, ending):
    os.makedirs(opstower.backup_dir, mode=0o700)
    now = time.time()
    taken = {}
    for ahead in range(0, 20):
        stamp = time.strftime("%Y%m%d_%H%M%S", time.gmtime(now + ahead))
        prefix = "backup" if ending == ".log" else small.name
        path = pathlib.Path(opstower.backup_dir) / f"{prefix}_{stamp}{ending}"
        path.write_text(f"made by somebody else {ahead}", encoding="utf-8")
        taken[path] = path.read_text(encoding="utf-8")
        if ending in (".meta.json", ".globals.sql"):    # without a backup they would be leftovers
            path.with_name(f"{small.name}_{stamp}.sql.gz").write_text("theirs", encoding="utf-8")
    backup = take(opstower, small)
    assert {path: path.read_text(encoding="utf-8") for path in taken} == taken
    assert backup.timestamp > time.strftime("%Y%m%d_%H%M%S", time.gmtime(now + 19))
    backup.assert_whole()


@pytest.mark.parametrize("kind", ["a file", "a folder"])
def test_something_of_the_links_name_that_is_no_link_is_left_alone(opstower, small, kind):
    path = pathlib.Path(opstower.backup_dir) / f"{small.name}_latest.sql.gz"
    os.makedirs(path.parent, mode=0o700)
    if kind == "a file":
        path.write_text("precious", encoding="utf-8")
    else:
        path.mkdir()
    result = opstower("backup", env={"DATABASE_URL": small.url}, check=14)
    assert len(error_lines(result)) == 1 and f"{path} is not a symbolic link" in error_lines(result)[0]
    assert path.is_dir() or path.read_text(encoding="utf-8") == "precious"
    for backup in backups.all_of(opstower):
        backup.assert_whole()


def test_a_link_that_leads_nowhere_is_replaced(opstower, small):
    os.makedirs(opstower.backup_dir, mode=0o700)
    path = os.path.join(opstower.backup_dir, f"{small.name}_latest.sql.gz")
    os.symlink("/nowhere/at/all", path)
    backup = take(opstower, small)
    assert os.path.realpath(path) == str(backup.path)


def test_partial_files_of_others_are_left_alone(opstower, db):
    source = db(name="app")
    source.query(SMALL)
    os.makedirs(opstower.backup_dir, mode=0o700)
    ours = [".app_20260101_000000.sql.gz.partial", ".app_20260101_000000.meta.json.partial", "app_20260101_000000.meta.json",
            "app_20260101_000000.globals.sql", ".app_latest.sql.gz.partial"]
    theirs = [".app_test_20260101_000000.sql.gz.partial", ".app-prod_20260101_000000.sql.gz.partial", "app_notes.meta.json",
              "app_test_20260101_000000.meta.json", "app_20260101_000000_20260101_000000.meta.json", ".app.partial",
              "app_20260101_000000.sql", ".application_20260101_000000.sql.gz.partial", "app_latest.meta.json"]
    for name in ours + theirs:
        (pathlib.Path(opstower.backup_dir) / name).write_text("x", encoding="utf-8")
    take(opstower, source)
    left = os.listdir(opstower.backup_dir)
    assert [name for name in ours if name in left] == [] and [name for name in theirs if name not in left] == []


# ---- retention -----------------------------------------------------------------------------------------------------

def make_old(opstower, source_backup, name, days, state="verified", meta=True):
    """Puts a copy of a backup into the folder as one of that database, taken so many days ago."""
    taken = time.gmtime(time.time() - days * 86400)
    stamp = time.strftime("%Y%m%d_%H%M%S", taken)
    folder = pathlib.Path(opstower.backup_dir)
    new_id = f"{name}_{stamp}"
    shutil.copy2(source_backup.path, folder / f"{new_id}.sql.gz")
    if meta:
        content = source_backup.meta
        content.update(timestamp=stamp, date=time.strftime("%Y-%m-%dT%H:%M:%S+00:00", taken), id=new_id, database=name, backup_file=f"{new_id}.sql.gz", state=state,
                       log=f"backup_{stamp}.log")
        (folder / f"{new_id}.meta.json").write_text(json.dumps(content), encoding="utf-8")
        (folder / f"{new_id}.globals.sql").write_text("-- roles\n", encoding="utf-8")
        (folder / f"backup_{stamp}.log").write_text("log\n", encoding="utf-8")
    return new_id


@pytest.fixture
def app(opstower, db):
    """A database `app` with one good backup in the folder, which then is taken away: the template of old ones."""
    source = db(name="app")
    source.query(SMALL)
    source.template = take(opstower, source)
    return source


def ids(opstower):
    return {backup.id for backup in backups.all_of(opstower)}


def prune_run(opstower, app, days=30, keep=1):
    take(opstower, app, env={"BACKUP_RETENTION_DAYS": days, "BACKUP_KEEP_MIN": keep})


def test_retention_deletes_old_backups_with_all_that_belongs_to_them(opstower, app):
    old, kept, *_ = [make_old(opstower, app.template, "app", days) for days in (31, 29, 24, 18, 12, 6)]
    result = opstower("backup", env={"DATABASE_URL": app.url, "BACKUP_RETENTION_DAYS": 30, "BACKUP_KEEP_MIN": 1})
    assert f"[INFO] Deleted old backup: {old} (older than 30 days)" in result.stdout
    assert opstower.files(old + "*") == [] and opstower.files(f"backup_{old[4:]}.log") == []
    assert len(opstower.files(kept + "*")) == 3


def test_retention_touches_the_named_database_only(opstower, app):
    others = {make_old(opstower, app.template, name, 400) for name in
              ("app_test", "app-prod", "app_20260101_000000", "application", "APP", "my_app", "app_", "_app", "app.x", "%61pp")}
    ours = {make_old(opstower, app.template, "app", days) for days in (300, 200, 100)}
    before = {name for name in opstower.files() if not any(name.startswith(our) for our in ours)}
    prune_run(opstower, app)
    assert ours & ids(opstower) == set() and others <= ids(opstower)
    logs_of_ours = {f"backup_{our[4:]}.log" for our in ours}
    assert before - set(opstower.files()) <= logs_of_ours


@pytest.mark.parametrize("keep, left", [(1, 0), (2, 0), (3, 1), (4, 2), (9, 3)])
def test_retention_keeps_the_minimum_however_old(opstower, app, keep, left):
    old = [make_old(opstower, app.template, "app", days) for days in (100, 200, 300)]
    prune_run(opstower, app, keep=keep)     # the template and the new one are two
    assert [each for each in old if each in ids(opstower)] == old[:left]


def test_retention_counts_only_good_backups_towards_the_minimum(opstower, app):
    good, bad, unknown, older = (make_old(opstower, app.template, "app", days, state) for days, state in
                                 ((100, "verified"), (200, "failed"), (300, "unverified"), (400, "verified")))
    prune_run(opstower, app, keep=4)
    assert {good, older, bad, unknown} <= ids(opstower)
    prune_run(opstower, app, keep=4)    # now the template, two new ones and `good` are four
    assert {good} <= ids(opstower) and {older, bad, unknown} & ids(opstower) == set()


def test_retention_never_deletes_the_newest_proven_one(opstower, app):
    proven, older_proven = (make_old(opstower, app.template, "app", days, "proven") for days in (200, 300))
    verified = make_old(opstower, app.template, "app", 100)
    prune_run(opstower, app)
    assert proven in ids(opstower) and {verified, older_proven} & ids(opstower) == set()


def test_retention_leaves_files_without_our_metadata(opstower, app):
    foreign = make_old(opstower, app.template, "app", 400, meta=False)
    broken = make_old(opstower, app.template, "app", 401)
    (pathlib.Path(opstower.backup_dir) / f"{broken}.meta.json").write_text("{", encoding="utf-8")
    not_a_time = pathlib.Path(opstower.backup_dir) / "app_20240230_250000.sql.gz"
    not_a_time.write_text("x", encoding="utf-8")
    prune_run(opstower, app)
    assert {foreign, broken} <= {name[:-7] for name in opstower.files("*.sql.gz")} and not_a_time.exists()


def test_retention_does_nothing_when_the_backup_failed(opstower, app, server, folder):
    old = make_old(opstower, app.template, "app", 400)
    bindir = programs_with(folder, server, pg_dumpall="exit 1")
    opstower("backup", env={"DATABASE_URL": app.url, "BACKUP_KEEP_MIN": 1, "PG_BINDIR": bindir}, check=False)
    assert old in ids(opstower)


def test_retention_does_not_follow_a_log_name_out_of_the_folder(opstower, app, folder):
    precious = pathlib.Path(folder) / "precious.log"
    precious.write_text("x", encoding="utf-8")
    old = make_old(opstower, app.template, "app", 400)
    path = pathlib.Path(opstower.backup_dir) / f"{old}.meta.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "log": "../precious.log"}), encoding="utf-8")
    newest = app.template.path.name
    other = make_old(opstower, app.template, "app", 200)
    path = pathlib.Path(opstower.backup_dir) / f"{other}.meta.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "log": newest}), encoding="utf-8")
    prune_run(opstower, app)
    assert precious.exists() and {old, other} & ids(opstower) == set()
    assert app.template.path.exists(), "a metadata's log field made retention delete another backup"


# ---- consistency ---------------------------------------------------------------------------------------------------

ACCOUNTS, START = 2000, 1000
BANK = f"""
CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL);
INSERT INTO account SELECT g, {START} FROM generate_series(1, {ACCOUNTS}) g;
CREATE TABLE savings (id int PRIMARY KEY, balance bigint NOT NULL); INSERT INTO savings SELECT id, 0 FROM account;
CREATE TABLE transfer (id serial PRIMARY KEY, amount bigint, note text);
"""
TRANSFER = """
UPDATE account SET balance = balance - {0} WHERE id = {1};
UPDATE savings SET balance = balance + {0} WHERE id = {2};
INSERT INTO transfer (amount, note) VALUES ({0}, repeat('x', 400));
"""


class Load:
    """Threads that run statements until they are told to stop; `with Load(database, [function, ...])`."""

    def __init__(self, database, workers):
        self.stopped, self.errors, self.done = threading.Event(), [], 0
        self.threads = [threading.Thread(target=self.run, args=(database, worker, seed)) for seed, worker in enumerate(workers)]

    def run(self, database, worker, seed):
        try:
            connection = database.server.connect(database.name)
            number = seed * 1_000_003
            with connection.cursor() as cursor:
                while not self.stopped.is_set():
                    number += 7919
                    worker(cursor, number)
                    self.done += 1
            connection.close()
        except Exception as error:  # pylint: disable=broad-except
            self.errors.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exc_info):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def move_money(cursor, number):
    cursor.execute("BEGIN;" + TRANSFER.format(number % 50, number % ACCOUNTS + 1, number // 7 % ACCOUNTS + 1) + "COMMIT")


def test_money_that_moves_meanwhile_is_neither_lost_nor_doubled(opstower, db):
    source = db()
    source.query(BANK)
    with Load(source, [move_money] * 3) as load:
        eventually(lambda: load.done > 500)
        made = [take(opstower, source, "--jobs", jobs) for jobs in (1, 2, 4)]
    assert load.errors == []
    moved = []
    for backup in made:
        target = db()
        backups.restore_with_stock_tools(backup, target.url)
        accounts, savings = (target.value(f"SELECT sum(balance) FROM {table}") for table in ("account", "savings"))
        assert accounts + savings == ACCOUNTS * START
        assert savings == target.value("SELECT sum(amount) FROM transfer"), "tables of different moments"
        moved.append(savings)
    assert moved[0] < moved[1] < moved[2]


def churn(cursor, number):
    """Two tables made and dropped together, each with its rows; `pair` says which exist."""
    n = number % 997
    cursor.execute(f"BEGIN; CREATE TABLE a_{n} (v int); CREATE TABLE b_{n} (v int); INSERT INTO a_{n} VALUES ({n}); "
                   f"INSERT INTO b_{n} VALUES ({n}); INSERT INTO pair VALUES ({n}); COMMIT")
    cursor.execute(f"BEGIN; DROP TABLE a_{n}; DROP TABLE b_{n}; DELETE FROM pair WHERE n = {n}; COMMIT")


def test_tables_that_come_and_go_do_not_break_it(opstower, db):
    source = db()
    source.query("CREATE TABLE pair (n int); " + SMALL)
    with Load(source, [churn, move_nothing]) as load:
        eventually(lambda: load.done > 20)
        made = []
        for _ in range(6):
            result = opstower("backup", "--lock-timeout", 1, "--lock-attempts", 8, env={"DATABASE_URL": source.url})
            made.append(result)
    assert load.errors == []
    for backup in backups.all_of(opstower):
        target = db()
        backups.restore_with_stock_tools(backup, target.url)
        pairs = {row[0] for row in target.query("SELECT n FROM pair")}
        names = {row[0] for row in target.query("SELECT relname::text FROM pg_class WHERE relname ~ '^[ab]_'")}
        assert names == {f"{letter}_{n}" for letter in "ab" for n in pairs}
        for name in names:
            assert target.query(f"SELECT v FROM {name}") == [(int(name[2:]),)]


def move_nothing(cursor, _number):
    cursor.execute("SELECT count(*) FROM small")


# ---- rights --------------------------------------------------------------------------------------------------------

@pytest.fixture
def reader(server):
    """A role with what the README asks for, and no more."""
    server.query("CREATE ROLE backup_reader LOGIN; GRANT pg_read_all_data TO backup_reader")
    yield "backup_reader"
    server.query("DROP OWNED BY backup_reader; DROP ROLE backup_reader")


CLOSED = SMALL + """;
CREATE SCHEMA closed; CREATE TABLE closed.t AS SELECT 1 AS v; CREATE SEQUENCE closed.s; SELECT nextval('closed.s');
CREATE TABLE parted (id int) PARTITION BY LIST (id); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
INSERT INTO parted VALUES (1); CREATE MATERIALIZED VIEW matview AS SELECT * FROM small; CREATE VIEW v AS TABLE closed.t;
REVOKE ALL ON SCHEMA closed, public FROM PUBLIC; CREATE FUNCTION closed.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
"""


def test_a_role_that_may_only_read_can_back_up(opstower, server, db, reader):
    source, target = db(), db()
    source.query(CLOSED)
    opstower("backup", env={"DATABASE_URL": server.url(source.name, user=reader)})
    backups.restore_with_stock_tools(backups.all_of(opstower)[0], target.url)
    oracle.assert_same(source.url, target.url)


def test_a_large_object_that_may_not_be_read_is_an_error(opstower, server, small, reader):
    small.query("SELECT lo_from_bytea(4711, 'x')")
    result = opstower("backup", env={"DATABASE_URL": server.url(small.name, user=reader)}, check=7)
    assert_nothing_made(opstower, result, "permission denied for large object 4711")
    small.query(f"GRANT SELECT ON LARGE OBJECT 4711 TO {reader}")
    opstower("backup", env={"DATABASE_URL": server.url(small.name, user=reader)})
    small.query(f"DROP OWNED BY {reader}")


def test_a_role_that_may_not_read_a_table_is_told_what_to_grant(opstower, server, small):
    server.query("CREATE ROLE nothing_reader LOGIN")
    try:
        result = opstower("backup", env={"DATABASE_URL": server.url(small.name, user="nothing_reader")}, check=False)
        assert result.returncode != 0 and backups.all_of(opstower) == []
        assert len(error_lines(result)) == 1 and "may not read table public.small" in result.stderr
        assert "pg_read_all_data" in error_lines(result)[0], result
    finally:
        server.query("DROP ROLE nothing_reader")


def test_row_security_is_an_error_that_says_what_to_do(opstower, server, small, reader):
    small.query("ALTER TABLE small ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON small USING (id < 10)")
    env = {"DATABASE_URL": server.url(small.name, user=reader)}
    result = opstower("backup", env=env, check=False)
    assert result.returncode != 0 and backups.all_of(opstower) == []
    assert len(error_lines(result)) == 1 and "row-level security" in error_lines(result)[0]
    assert "BYPASSRLS" in error_lines(result)[0], result
    server.query(f"ALTER ROLE {reader} BYPASSRLS")
    opstower("backup", env=env)
    assert backups.all_of(opstower)[0].meta["rows"] == 50


# ---- politeness ----------------------------------------------------------------------------------------------------

def first_statements(text, name):
    """Of each session on that database, by the server's log: what it asked first."""
    lines = re.findall(rf"\[(\d+)\] (\S+) {re.escape(name)} LOG:  (?:statement|execute <unnamed>): (.*)", text)
    return {pid: (application, statement) for pid, application, statement in reversed(lines)}


def test_every_session_begins_with_settings_of_its_own(opstower, server, small):
    """Time limits of the database are not for us: a large one takes long to say its size. Before them comes only the
    question of which session this is, for a pooler could give them to another."""
    small.query(f"ALTER DATABASE {small.name} SET log_statement = 'all'")
    before = len(server.log())
    take(opstower, small)
    opstower("restore", "latest", "--force", env={"DATABASE_URL": small.url})
    firsts = first_statements(server.log()[before:], small.name)
    assert len(firsts) > 5
    assert [each for each in firsts.values() if not each[1].startswith(
        ("SET ", "SELECT pg_catalog.set_config(", "SELECT pg_catalog.pg_backend_pid(),"))] == []


class Slow:
    """A database whose rows take long to read: the condition of an extension's configuration table sleeps."""

    def __init__(self, db):
        self.database = db()
        self.database.query("CREATE TABLE users (id int PRIMARY KEY); INSERT INTO users SELECT generate_series(1, 10);"
                            " CREATE TABLE orders AS SELECT * FROM users")
        self.database.query("CREATE SCHEMA odd_config; CREATE EXTENSION odd_config SCHEMA odd_config")
        self.database.query("SELECT lo_from_bytea(0, 'x')")
        self.url = self.database.url

    def rows_take(self, seconds):
        condition = f"WHERE pg_catalog.pg_sleep({seconds}) IS NOT NULL" if seconds else ""
        self.database.query("UPDATE pg_extension SET extcondition[array_position(extconfig, 'odd_config.setting'::regclass)]"
                            " = %s WHERE extname = 'odd_config'", (condition,))

    def reading(self):
        return self.database.query("SELECT 1 FROM pg_stat_activity WHERE application_name ~ '^opstower' AND state = 'active'"
                                   " AND query LIKE 'COPY (SELECT% FROM ONLY %' AND datname = current_database()")


def timed(database, sql, limit_s=20):
    """How long a statement took; one that takes longer than the limit is an error, so that no test hangs."""
    started = time.monotonic()
    connection = database.server.connect(database.name, options=f"-c statement_timeout={limit_s * 1000}")
    try:
        connection.cursor().execute(sql)
    finally:
        connection.close()
    return time.monotonic() - started


class Measure:
    """Runs a statement again and again in a thread; `longest` is how long one took at most."""

    def __init__(self, database, sql):
        self.database, self.sql, self.longest, self.stopped = database, sql, 0.0, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stopped.wait(0.05):
            self.longest = max(self.longest, timed(self.database, self.sql))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc_info):
        self.stopped.set()
        self.thread.join()


def test_a_table_that_stays_locked_ends_the_backup_without_standing_in_the_way(opstower, db):
    database = db()
    database.query("CREATE TABLE a_first (v int); CREATE TABLE locked (v int); CREATE TABLE z_last (v int)")
    holder = database.server.connect(database.name)
    holder.autocommit = False
    holder.cursor().execute("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
    try:
        with Measure(database, "SELECT FROM a_first, z_last") as others:
            result = opstower("backup", "--lock-timeout", 1, "--lock-attempts", 2, env={"DATABASE_URL": database.url}, check=13)
    finally:
        holder.close()
    assert others.longest < 3
    assert len(error_lines(result)) == 1 and "after 2 attempts" in error_lines(result)[0]
    assert result.stderr.count("[WARN]") == 1 and "attempt 2 of 2" in result.stderr
    assert backups.all_of(opstower) == [] and backups.unfinished(opstower) == []


ELSEWHERE = {"canceling statement due to lock timeout": "Anweisung: Sperre kam nicht",
             "canceling statement due to statement timeout": "Anweisung: dauerte zu lange",
             'relation "%s" does not exist': 'Relation <%s> fehlt',
             'relation "%s.%s" does not exist': 'Relation <%s.%s> fehlt'}


def write_translation(path, messages):
    """A gettext catalogue (.mo): header, two tables of (length, offset), the texts in order."""
    messages = {"": "Content-Type: text/plain; charset=UTF-8\n", **messages}
    texts, tables, offset = b"", ([], []), 28 + 16 * len(messages)
    for table, column in ((0, 0), (1, 1)):
        for pair in sorted(messages.items()):
            text = pair[column].encode()
            tables[table].append(struct.pack("<II", len(text), offset + len(texts)))
            texts += text + b"\0"
    head = struct.pack("<IIIIIII", 0x950412DE, 0, len(messages), 28, 28 + 8 * len(messages), 0, 0)
    os.makedirs(os.path.dirname(path))
    pathlib.Path(path).write_bytes(head + b"".join(tables[0] + tables[1]) + texts)


@pytest.fixture
def foreign_server(monkeypatch):
    """A server whose messages are translated."""
    made = pgserver.Server()
    catalogue = f"LC_MESSAGES/postgres-{pgserver.BINDIR.split('/')[4]}.mo"
    write_translation(f"{made.folder}/install/usr/share/locale/xx/{catalogue}", ELSEWHERE)
    subprocess.run(["chmod", "-R", "a+rX", f"{made.folder}/install"], check=True)
    monkeypatch.setenv("LANGUAGE", "xx")    # decides, since the server's lc_messages is C.UTF-8, not C
    with made:
        monkeypatch.delenv("LANGUAGE")
        with pytest.raises(psycopg2.Error, match="Relation <not_there> fehlt"):
            made.query("SELECT * FROM not_there")
        yield made


LOCK = "BEGIN; LOCK TABLE small IN ACCESS EXCLUSIVE MODE; COMMIT"


@pytest.mark.parametrize("kind", ["server", "foreign_server"])
def test_a_lock_that_pg_dump_waits_for_is_understood_as_such(request, opstower, db, folder, kind):
    """Whoever wants the table after we locked it, and before pg_dump does, stands between us."""
    server = request.getfixturevalue(kind)
    database = db(on=server)
    database.query(SMALL)
    flag = os.path.join(folder, "flag")
    slow = programs_with(folder, server, pg_dump=f'case "$*" in *-Fc*) touch "{flag}"; until [ -e "{flag}.go" ]; do nap 0.02; done;; '
                         'esac\nexec "{real}" "$@"')
    process = opstower.popen("backup", "--lock-timeout", 1, "--lock-attempts", 1,
                             env={"DATABASE_URL": database.url, "PG_BINDIR": slow})
    eventually(lambda: os.path.exists(flag))
    waiter = threading.Thread(target=timed, args=(database, LOCK))
    waiter.start()
    eventually(lambda: database.query("SELECT 1 FROM pg_locks WHERE NOT granted"))
    pathlib.Path(flag + ".go").touch()
    stdout, stderr = process.communicate(timeout=60)
    waiter.join()
    assert process.returncode == 13, (stdout, stderr)


def test_a_table_lock_is_understood_in_every_language(opstower, foreign_server, db):
    database = db(on=foreign_server)
    database.query(SMALL)
    holder = foreign_server.connect(database.name)
    holder.autocommit = False
    holder.cursor().execute("LOCK TABLE small IN ACCESS EXCLUSIVE MODE")
    env = {"DATABASE_URL": database.url, "PG_BINDIR": foreign_server.bindir}
    opstower("backup", "--lock-timeout", 1, "--lock-attempts", 1, env=env, check=13)
    holder.close()


@pytest.mark.parametrize("kind", ["server", "foreign_server"])
def test_a_table_dropped_while_we_waited_for_it_is_no_obstacle(request, opstower, db, kind):
    server = request.getfixturevalue(kind)
    database = db(on=server)
    database.query(SMALL + "; CREATE TABLE going (v int)")
    dropper = server.connect(database.name)
    dropper.autocommit = False
    dropper.cursor().execute("DROP TABLE going")
    process = opstower.popen("backup", "--lock-attempts", 1, env={"DATABASE_URL": database.url, "PG_BINDIR": server.bindir})
    eventually(lambda: server.query("SELECT 1 FROM pg_locks WHERE NOT granted"))
    dropper.commit()
    dropper.close()
    stdout, stderr = process.communicate(timeout=90)
    assert process.returncode == 0, (stdout, stderr)
    assert [table["name"] for table in backups.all_of(opstower)[0].meta["tables"]] == ["small"]


# Where the backup is when somebody wants a table for himself -> the programs that make it stay there for long.
PHASES = {
    "reads rows": {},
    "reads large objects": {"pg_dump": 'case "$*" in *section=data*) touch "{flag}"; nap 6;; esac\nexec "{real}" "$@"'},
    "reads the roles": {"pg_dumpall": REAL_VERSION + 'touch "{flag}"; nap 6; exec "{real}" "$@"'},
    "reads the plan": {"pg_dump": 'case "$*" in *-Fc*) touch "{flag}"; nap 6;; esac\nexec "{real}" "$@"'},
    "prints the schema": {"pg_restore": REAL_VERSION + 'case "$*" in *post-data*) touch "{flag}"; nap 6;; esac\nexec "{real}" "$@"'},
}


@pytest.mark.parametrize("phase", PHASES)
def test_gives_way_to_a_migration_while_it(opstower, db, server, folder, phase):
    slow, flag = Slow(db), os.path.join(folder, "flag")
    scripts = {name: text.replace("{flag}", flag) for name, text in PHASES[phase].items()}
    bindir = programs_with(folder, server, **scripts)
    slow.rows_take(0 if scripts else 3)
    process = opstower.popen("backup", "--lock-timeout", 1, "--jobs", 2, env={"DATABASE_URL": slow.url, "PG_BINDIR": bindir})
    try:
        eventually((lambda: os.path.exists(flag)) if scripts else slow.reading)
        with Measure(slow.database, "SELECT count(*) FROM users") as user:
            migration = timed(slow.database, "BEGIN; ALTER TABLE users ADD COLUMN note text; COMMIT")
        slow.rows_take(0)
        programs_with(folder, server)   # the next attempt is fast
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert migration < 5.5 and user.longest < 5.5, (migration, user.longest, stderr)    # not the child's six seconds
    assert process.returncode == 0, stderr
    backup = backups.all_of(opstower)[0]
    backup.assert_whole()
    if phase == "reads the roles":   # all tables are read by then, and their locks given up: nobody waits
        assert b"trying again" not in stderr
    else:
        assert b"trying again (attempt 2 of" in stderr
        assert b"note" in backup.text(), "the second attempt shows the table as it is now"


def test_does_not_give_way_to_those_who_wait_for_each_other(opstower, db):
    """Our locks stand in the way of ACCESS EXCLUSIVE only; other waiting is not our business."""
    slow = Slow(db)
    slow.rows_take(1.5)
    first = slow.database.server.connect(slow.database.name)
    first.autocommit = False
    first.cursor().execute("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
    waiter = threading.Thread(target=timed, args=(slow.database, "BEGIN; LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE; COMMIT"))
    waiter.start()
    try:
        result = opstower("backup", "--lock-timeout", 1, "--lock-attempts", 1, env={"DATABASE_URL": slow.url}, check=False)
    finally:
        first.close()
        waiter.join()
    assert result.returncode == 0, result


def test_no_session_of_ours_stays_behind(opstower, server, small):
    take(opstower, small)
    eventually(lambda: not backups.our_backends(server), 2)
