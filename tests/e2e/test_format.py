"""docs/FORMAT.md is true: an independent reader written from it reads what the program writes, and notices damage."""
import base64
import gzip
import hashlib
import json
import subprocess

import pytest

from lib import backups
from lib.pgserver import program

import format_reader

META = {
    "timestamp": str, "date": str, "database": str, "host": str, "port": int, "backup_file": str, "backup_size": str,
    "database_size": str, "table_count": int, "compression": str, "postgresql_version": str, "backup_script_version": str,
    "retention_days": int, "id": str, "type": str, "tag": str, "format_version": int, "sha256": str,
    "duration_seconds": int, "snapshot_time": str, "system_identifier": str, "database_oid": int,
    "adopted_by": type(None), "compress_level": str, "uncompressed_size": int, "rows": int, "recovered_size": int,
    "log": str, "state": str, "verified_at": str, "tested_at": type(None), "proven_at": type(None), "s3": type(None), "journal": type(None),
    "hold": type(None), "omitted": list, "facts": dict, "tables": list,
}
FACTS = {
    "database": str, "owner": str, "encoding": str, "properties": dict, "acl": list, "settings": list, "comment": str,
    "bootstrap_superuser": str, "shared_preload_libraries": str, "size": int, "size_text": str,
    "server_version": str, "server_version_num": int, "tables": int, "pg_restore_version": str,
    "extensions": list, "tablespaces": list, "roles": list, "snapshot_time": str, "omitted": list, "tablespace": str,
    "labels": list, "subscriptions": list, "system_identifier": str,
}


def read(backup):
    opened = format_reader.Backup(backup.path)
    opened.check()
    return opened


@pytest.fixture
def sample(db, opstower, sample_sql):
    """The demo's database and a backup of it."""
    database = db(sample_sql)
    return database, backups.take(opstower, database, "--tag", "v1")


@pytest.mark.parametrize("options", [(), ("--compress-level", "9", "--jobs", "1"), ("--jobs", "8")])
def test_the_reader_reads_the_sample(db, opstower, sample_sql, options):
    database = db(sample_sql)
    found = read(backups.take(opstower, database, *options))
    assert found.large_objects["count"] == 5
    for table in found.tables:
        name = f'"{table.schema.decode()}"."{table.name.decode()}"'
        assert table.rows == database.value(f"SELECT count(*) FROM ONLY {name}")
    assert found.tables[[t.name for t in found.tables].index(b"payments")].columns == [
        (b"id", b"bigint"), (b"booking_id", b"bigint"), (b"method", b"public.payment_method"),
        (b"amount", b"numeric(12,2)"), (b"fee", b"numeric(12,2)"), (b"paid_at", b"timestamp with time zone")]


def test_the_reader_reads_odd_objects(db, opstower):
    found = read(backups.take(opstower, db("odd.sql")))
    assert any(table.filter for table in found.tables), "an extension's configuration table has a condition"
    assert any(b"\n" in table.copy for table in found.tables), "a name with a newline makes a COPY of two lines"
    assert any(not table.columns for table in found.tables), "a table without columns"


def test_other_encodings_stand_as_bytes(db, opstower):
    found = read(backups.take(opstower, db("odd_latin1.sql", encoding="LATIN1")))
    assert found.facts["encoding"] == "LATIN1"
    names = [table.name for table in found.tables] + [name for table in found.tables for name, _ in table.columns]
    assert any(byte > 127 for name in names for byte in name)


def test_large_members_are_cut_as_specified(db, opstower):
    database = db()
    database.query("CREATE TABLE big AS SELECT g, repeat('x', 300) FROM generate_series(1, 60000) g")
    database.query("SELECT lo_from_bytea(4711, (SELECT string_agg(decode(md5(g::text), 'hex'), '')"
                   " FROM generate_series(1, 400000) g))")
    found = read(backups.take(opstower, database))
    sizes = {kind: [m.plain for m in found.members if m.kind == kind] for kind in ("data", "large-objects")}
    assert max(sizes["data"]) >= 1 << 20
    assert len(sizes["large-objects"]) > 2
    assert min(sizes["large-objects"][:-1]) >= format_reader.MEMBER_BYTES


def test_contents_hold_an_archive_that_pg_restore_reads(sample, tmp_path):
    _, backup = sample
    path = tmp_path / "toc"
    path.write_bytes(read(backup).toc)
    listed = subprocess.run([program("pg_restore"), "-l", str(path)], capture_output=True, text=True, check=True).stdout
    assert "TABLE DATA public bookings" in listed
    head = gzip.open(backup.path).read().split(b"\nSET lc_monetary", 1)[0]
    printed = subprocess.run([program("pg_restore"), "--section=pre-data", "-f", "-", str(path)], capture_output=True,
                             check=True).stdout
    body = [line for line in printed.split(b"\n") if not line.startswith((b"\\restrict", b"\\unrestrict"))]
    assert b"\n".join(body[4:60]) in b"\n".join(line for line in head.split(b"\n") if not line.startswith(b"\\restrict"))


def test_metadata_has_the_fields_and_types(sample):
    _, backup = sample
    meta, found = backup.meta, read(backup)
    assert list(meta) == list(META)
    assert {key: value for key, value in meta.items() if not isinstance(value, META[key])} == {}
    assert meta["facts"] == found.facts
    assert meta["rows"] == sum(table.rows for table in found.tables)
    assert meta["uncompressed_size"] == sum(member.plain for member in found.members)
    assert meta["sha256"] == hashlib.sha256(backup.path.read_bytes()).hexdigest()
    assert [tuple(entry.values()) for entry in meta["tables"]] == [
        (table.schema.decode(), table.name.decode(), table.rows, table.fingerprint) for table in found.tables]


def test_facts_have_the_members_and_types(sample):
    database, backup = sample
    facts = read(backup).facts
    assert set(facts) == set(FACTS)
    assert {key: value for key, value in facts.items() if value is not None and not isinstance(value, FACTS[key])} == {}
    assert facts["database"] == database.name
    assert not {"datacl", "datfrozenxid", "datminmxid"} & set(facts["properties"])


def test_stock_tools_cut_out_one_table(sample, db):
    """FORMAT.md: tail | head | gunzip | psql restores one member."""
    database, backup = sample
    found = read(backup)
    index = [table.name for table in found.tables].index(b"settings")
    member = next(m for m in found.members if m.kind == "data" and m.table == index)
    other = db()
    other.query("CREATE TABLE settings (key text, value jsonb)")
    pipe = f'tail -c +{member.offset + 1} "$1" | head -c {member.size} | gunzip | "$2" -X -q -v ON_ERROR_STOP=1 -d "$3"'
    subprocess.run(["bash", "-c", pipe, "-", str(backup.path), program("psql"), other.url],
                   check=True)
    query = "SELECT key, value::text FROM settings ORDER BY key"
    assert other.query(query) == database.query(query)


def pack(text):
    """One gzip member with the shortest header."""
    return b"\x1f\x8b\x08" + gzip.compress(text, mtime=0)[3:]


def replace_contents(data, change):
    """A file with changed contents and a trailer that fits them: only the proof can tell."""
    offset = int(gzip.decompress(data[-format_reader.TRAILER_SIZE:]).split()[5])
    text = change(gzip.decompress(data[offset:-format_reader.TRAILER_SIZE]))
    packed = pack(text)
    sealed = data[:offset] + packed
    line = (f"-- OpsTower trailer: contents at {offset:020} packed {len(packed):020} plain {len(text):020} "
            f"sha256 {hashlib.sha256(sealed).hexdigest()}\n").encode()
    stored = bytes.fromhex("1f8b08000000000000ff01b5004aff") + line
    return sealed + stored + gzip.compress(line)[-8:]



def one_row_less(text):
    line = next(line for line in text.split(b"\n") if b'"name":"bookings"' in line)
    return text.replace(line, line.replace(b'"rows":20000', b'"rows":19999'))


def other_fingerprint(text):
    line = next(line for line in text.split(b"\n") if b'"name":"bookings"' in line)
    at = line.index(b'"fingerprint":"') + 15
    digit = b"0" if line[at:at + 1] != b"0" else b"1"
    return text.replace(line, line[:at] + digit + line[at + 1:])


def test_a_rewritten_file_is_still_whole(sample, tmp_path):
    """The trailer and contents can be written from FORMAT.md too, and the program accepts them."""
    _, backup = sample
    path = tmp_path / "same.sql.gz"
    path.write_bytes(replace_contents(backup.path.read_bytes(), lambda text: text))
    format_reader.Backup(path).check()


@pytest.mark.parametrize("change", [one_row_less, other_fingerprint])
def test_the_program_accepts_and_refuses_what_the_reader_does(sample, opstower, folder, change):
    _, backup = sample
    good, bad = f"{folder}/good.sql.gz", f"{folder}/bad.sql.gz"
    data = backup.path.read_bytes()
    for path, how in ((good, lambda text: text), (bad, change)):
        with open(path, "wb") as file:
            file.write(replace_contents(data, how))
    opstower("verify", good, env={"DATABASE_NAME": "x"})
    with pytest.raises(format_reader.Damaged):
        format_reader.Backup(bad).check()
    assert "[ERROR] Backup file is corrupted" in opstower("verify", bad, env={"DATABASE_NAME": "x"}, check=8).stderr


def damages(data, found):
    """Name and bytes of damaged copies."""
    second = found.members[1]
    yield "cut by a byte", data[:-1]
    yield "lengthened", data + b"\n"
    yield "without trailer", data[:-format_reader.TRAILER_SIZE]
    yield "a member dropped", data[:second.offset] + data[second.offset + second.size:]
    yield "a member doubled", data[:second.offset + second.size] + data[second.offset:]
    for part in range(1, 20):
        at = len(data) * part // 20
        yield f"bit {at}", data[:at] + bytes([data[at] ^ 4]) + data[at + 1:]


def test_damage_is_noticed(sample, tmp_path):
    _, backup = sample
    data, found = backup.path.read_bytes(), read(backup)
    path = tmp_path / "damaged.sql.gz"
    for name, damaged in damages(data, found):
        path.write_bytes(damaged)
        try:
            format_reader.Backup(path).check()
        except format_reader.Damaged:
            continue
        pytest.fail(f"not noticed: {name}")


def test_the_toc_is_base64_lines_of_3072_bytes(sample):
    _, backup = sample
    lines = [line[4:] for line in backup.contents() if line.startswith(b"toc ")]
    assert all(len(base64.b64decode(line)) == 3072 for line in lines[:-1])
    assert json.loads(next(line for line in backup.contents() if line.startswith(b"facts "))[6:])
