"""Files of other kinds: a whole one is named for what it is, never called damaged; and metadata in the guide's own format."""
import bz2
import gzip
import io
import json
import lzma
import os
import pathlib
import subprocess
import tarfile
import zipfile

import pytest

from lib import pgserver
from lib.backups import error_lines, take


def zipped(data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("dump.sql", data)
    return out.getvalue()


def tarred(data):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        entry = tarfile.TarInfo("dump.sql")
        entry.size = len(data)
        file.addfile(entry, io.BytesIO(data))
    return out.getvalue()


# kind: what makes it of (the plain dump, the custom-format dump, the tar-format dump), and what is said of it
KINDS = {
    "custom": (lambda plain, custom, tar: custom, "custom format: use pg_restore"),
    "custom in gzip": (lambda plain, custom, tar: gzip.compress(custom), "(within gzip) pg_dump's custom format"),
    "tar": (lambda plain, custom, tar: tar, "tar format: use pg_restore"),
    "tar of anything": (lambda plain, custom, tar: tarred(plain), "a tar file"),
    "tar.gz": (lambda plain, custom, tar: gzip.compress(tarred(plain)), "(within gzip) a tar file"),
    "gzip twice": (lambda plain, custom, tar: gzip.compress(gzip.compress(plain)), "compressed by gzip twice"),
    "zip": (lambda plain, custom, tar: zipped(plain), "a zip file"),
    "xz": (lambda plain, custom, tar: lzma.compress(plain), "an xz file"),
    "lzma": (lambda plain, custom, tar: lzma.compress(plain, lzma.FORMAT_ALONE), "an lzma file"),
    "bzip2": (lambda plain, custom, tar: bz2.compress(plain), "a bzip2 file"),
    "zstd": (lambda plain, custom, tar: b"\x28\xb5\x2f\xfd\x04\x00" + plain, "a zstd file"),
    "lz4": (lambda plain, custom, tar: b"\x04\x22\x4d\x18\x64\x40" + plain, "an lz4 file"),
    "7z": (lambda plain, custom, tar: b"7z\xbc\xaf\x27\x1c\x00\x04" + plain, "a 7z file"),
    "UTF-16": (lambda plain, custom, tar: plain.decode().encode("utf-16"), "UTF-16"),
    "UTF-16 without a mark": (lambda plain, custom, tar: plain.decode().encode("utf-16-le"), "UTF-16"),
    "UTF-16, the other way": (lambda plain, custom, tar: plain.decode().encode("utf-16-be"), "UTF-16"),
    "UTF-32": (lambda plain, custom, tar: plain.decode().encode("utf-32"), "UTF-32"),
    "age": (lambda plain, custom, tar: b"age-encryption.org/v1\n-> X25519 x\n" + os.urandom(99), "encrypted by age"),
    "age in letters": (lambda plain, custom, tar: b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n", "encrypted by age"),
    "gpg": (lambda plain, custom, tar: b"\x85\x01\x8c\x03" + os.urandom(99), "GnuPG"),
    "gpg with a passphrase": (lambda plain, custom, tar: b"\x8c\x0d\x04\x09\x03\x08" + os.urandom(99), "GnuPG"),
    "gpg in letters": (lambda plain, custom, tar: b"-----BEGIN PGP MESSAGE-----\n\nhQ\n", "GnuPG"),
    "openssl": (lambda plain, custom, tar: b"Salted__" + os.urandom(99), "openssl"),
    "an error page": (lambda plain, custom, tar: b"\n<!DOCTYPE html><html><body>403 Forbidden</body></html>", "HTML or XML"),
    "S3's error": (lambda plain, custom, tar: b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "HTML or XML"),
    "JSON": (lambda plain, custom, tar: b'{"message": "not found"}', "JSON"),
    "MySQL": (lambda plain, custom, tar: b"-- MySQL dump 10.13\n", "MySQL"),
    "SQLite": (lambda plain, custom, tar: b"SQLite format 3\0" + bytes(84), "SQLite"),
    "Git LFS": (lambda plain, custom, tar: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
    "text": (lambda plain, custom, tar: b"Dear all,\nthe backup is on its way.\n", "its header is missing"),
    "SQL by hand": (lambda plain, custom, tar: b"CREATE TABLE x (a int);\n", "load it yourself with psql"),
    "roles and tablespaces": (lambda plain, custom, tar: b"--\n-- PostgreSQL database cluster dump\n--\n\n--\n-- PostgreSQL database cluster dump complete\n--\n\n",
                              "as pg_dumpall writes them"),
    "statements at the end": (lambda plain, custom, tar: plain + b"VACUUM;\n", "statements follow line"),
}
# Damage stays damage.
DAMAGED = {
    "nothing": (lambda plain: b"", "is empty"),
    "zeros": (lambda plain: bytes(5000), "zero byte"),
    "cut": (lambda plain: plain[:len(plain) // 2], "cut"),
    "a second dump that is cut": (lambda plain: plain + plain[:len(plain) // 2], "cut"),
    "gzip that is cut": (lambda plain: gzip.compress(plain)[:-9], "gzip test failed"),
}


@pytest.fixture(scope="module")
def dumps(server):
    """The same database in three of pg_dump's formats."""
    server.query("CREATE DATABASE foreign_dumps")
    server.query("CREATE TABLE t AS SELECT g AS a, md5(g::text) AS b FROM generate_series(1, 300) g", dbname="foreign_dumps")
    run = [pgserver.program("pg_dump"), "-d", server.url("foreign_dumps")]
    made = [subprocess.run([*run, *format], capture_output=True, check=True).stdout for format in ([], ["-Fc"], ["-Ft"])]
    yield made
    server.query("DROP DATABASE foreign_dumps")


def put(opstower, name, data):
    path = pathlib.Path(opstower.folder) / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_kind_is_named_for_what_it_is(opstower, dumps, kind):
    make, said = KINDS[kind]
    path = put(opstower, "given.sql.gz", make(*dumps))
    result = opstower("verify", path, env={"DATABASE_NAME": "x"}, check=12)
    assert len(error_lines(result)) == 1 and said in error_lines(result)[0], result
    assert "corrupted" not in result.output and "another backup" not in result.output


def test_restore_names_it_too_and_a_folder(opstower, dumps, server):
    env = {"DATABASE_URL": server.url("foreign_dumps")}
    path = put(opstower, "given.dump", dumps[1])
    result = opstower("restore", path, "--target-db", "foreign_copy", "--force", env=env, check=12)
    assert "use pg_restore" in error_lines(result)[0]
    os.mkdir(os.path.join(opstower.folder, "d"))
    assert "is a folder" in opstower("restore", os.path.join(opstower.folder, "d"), "--force", env=env, check=10).stderr
    put(opstower, "d/toc.dat", dumps[1])
    assert "directory format: use pg_restore" in opstower("verify", os.path.join(opstower.folder, "d"), env=env, check=12).stderr
    assert "foreign_copy" not in server.databases()


@pytest.mark.parametrize("kind", DAMAGED)
def test_damage_is_still_called_damage(opstower, dumps, kind):
    make, said = DAMAGED[kind]
    result = opstower("verify", put(opstower, "given.sql.gz", make(dumps[0])), env={"DATABASE_NAME": "x"}, check=8)
    assert "Backup file is corrupted" in error_lines(result)[0] and said in error_lines(result)[0], result


def test_another_file_in_the_place_of_a_backup_is_damage(opstower, db, dumps):
    database = db()
    database.query("CREATE TABLE t (a int)")
    backup = take(opstower, database)
    backup.path.write_bytes(dumps[1])
    opstower("verify", "latest", env={"DATABASE_URL": database.url}, check=8)
    assert backup.meta["state"] == "failed"


def test_rows_in_insert_statements_are_told(opstower, dumps, server):
    data = subprocess.run([pgserver.program("pg_dump"), "--inserts", "-d", server.url("foreign_dumps")], capture_output=True, check=True).stdout
    assert dumps and "0 rows and 300 INSERT statements" in opstower("verify", put(opstower, "inserts.sql", data), env={"DATABASE_NAME": "x"}).output


# ---- metadata in the guide's own format

def guide_meta(path, **changed):
    meta = {"timestamp": "20260207_120000", "date": "2026-02-07T12:00:00+08:00", "database": "app", "host": "localhost", "port": 5432,
            "backup_file": path.name, "backup_size": str(path.stat().st_size), "database_size": "8 MB", "table_count": 1, "compression": "gzip",
            "postgresql_version": "PostgreSQL 15.3", "backup_script_version": "1.0.0", "retention_days": 30, **changed}
    path.with_name(path.name.replace(".sql.gz", ".meta.json")).write_text(json.dumps(meta), encoding="utf-8")


@pytest.mark.parametrize("changed,said", [
    ({}, None), ({"table_count": 47}, "47 tables, but the dump makes 1"), ({"table_count": 0}, "0 tables, but the dump makes 1"),
    ({"backup_size": "65011234"}, "65011234 bytes, but it has"), ({"backup_file": "app_20250101_000000.sql.gz"}, "metadata is that of")])
def test_what_the_guides_metadata_says_must_fit(opstower, dumps, changed, said):
    path = put(opstower, "app_20260207_120000.sql.gz", gzip.compress(dumps[0]))
    guide_meta(path, **changed)
    result = opstower("verify", path, env={"DATABASE_NAME": "app"}, check=8 if said else 0)
    assert (said or "Metadata file validation: PASS") in result.output and ("Metadata file validation: FAIL" in result.output) == bool(said)


def test_the_guides_metadata_beside_a_backup_of_ours(opstower, db):
    database = db(name="guided")
    database.query("CREATE TABLE t AS SELECT 1 AS a; CREATE TABLE u (b int)")
    backup = take(opstower, database)
    backup.beside(".meta.json").unlink()
    guide_meta(backup.path, database="guided", table_count=2)
    assert "Metadata file validation: PASS" in opstower("verify", backup.path, env={"DATABASE_URL": database.url}).output
    guide_meta(backup.path, database="guided", table_count=3)
    assert "3 tables, but the dump makes 2" in opstower("verify", backup.path, env={"DATABASE_URL": database.url}, check=8).output
