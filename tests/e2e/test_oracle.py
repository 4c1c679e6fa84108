"""The tests' own judge: stock pg_dump and psql bring the odd database back whole, and the judge says so;
and it notices every small change."""
import subprocess

import pytest

from lib import oracle, pgserver


def copy_with_stock_tools(source, target):
    """pg_dump | psql -v ON_ERROR_STOP=1, as bytes."""
    dump = subprocess.run([pgserver.program("pg_dump"), "-d", source.url], capture_output=True, check=True,
                          env=oracle.clean_environment())
    target.psql("-f", "-", input=dump.stdout)


def load_odd(db):
    database = db("odd.sql")
    if database.value("SELECT count(*) FROM pg_available_extensions WHERE name = 'odd_config'"):
        assert database.value("SELECT count(*) FROM odd_config.setting") == 3
    return database


def test_odd_database_survives_stock_tools(db):
    source, target = load_odd(db), db()
    copy_with_stock_tools(source, target)
    fingerprints = source.fingerprints()
    assert len(fingerprints) > 90
    assert fingerprints["table odd.plain"]["count"] == 3000
    assert fingerprints["table odd.no_columns"]["count"] == 5
    assert fingerprints["table odd.mat_unpopulated"] is None
    assert fingerprints["sequence odd.set_not_called"] == [1234567890123, False]
    assert fingerprints["large object 424201"][0] == "odd_owner"
    oracle.assert_same(source.url, target.url)


def test_odd_settings_are_seen(db):
    properties = oracle.database_properties(load_odd(db).url)
    assert any("IntervalStyle=iso_8601" in str(part) for part in properties[-1])
    assert properties != oracle.database_properties(db().url)


def test_latin1_database_survives_stock_tools(db):
    source, target = db("odd_latin1.sql", encoding="LATIN1"), db(encoding="LATIN1")
    assert source.value("SHOW server_encoding") == "LATIN1"
    copy_with_stock_tools(source, target)
    assert source.fingerprints()["table Bücher.Verkäufe"]["count"] == 2000
    oracle.assert_same(source.url, target.url)


def test_tablespaces_survive_stock_tools(db):
    source, target = db("odd_tablespace.sql"), db()
    copy_with_stock_tools(source, target)
    oracle.assert_same(source.url, target.url)


def test_sample_database_survives_stock_tools(db, sample_sql):
    source, target = db(sample_sql), db()
    copy_with_stock_tools(source, target)
    oracle.assert_same(source.url, target.url)


def test_sample_database_is_the_same_each_time(db, sample_sql):
    first, second = db(sample_sql), db(sample_sql)
    oracle.assert_same(first.url, second.url)


# What is changed -> the statement, and the keys of the fingerprints that must differ, no more and no fewer.
DATA_CHANGES = {
    "one changed value": ("UPDATE odd.numbers SET f8 = '1e-323' WHERE id = 5", ["table odd.numbers"]),
    "one row less": ("DELETE FROM odd.no_columns WHERE ctid = (SELECT min(ctid) FROM odd.no_columns)", ["table odd.no_columns"]),
    "one row twice": ("INSERT INTO odd.one_text VALUES ('\\.')", ["table odd.one_text"]),
    "null for empty": ("UPDATE odd.one_text SET t = NULL WHERE t = ''", ["table odd.one_text"]),
    "a row in another partition": ("UPDATE odd.by_list SET code = 'other' WHERE v = 4",
                                   ["table odd.by_list 'quoted'", "table odd.by_list_default"]),
    "values swapped between columns": ('UPDATE odd."select" SET "table" = "from", "from" = "table"', ["table odd.select"]),
    "one byte of a large object": ("SELECT lo_put(424203, 1234567, '\\x01')", ["large object 424203"]),
    "a large object's owner": ("ALTER LARGE OBJECT 424205 OWNER TO odd_reader", ["large object 424205"]),
    "a large object's comment": ("COMMENT ON LARGE OBJECT 424201 IS NULL", ["large object 424201"]),
    "a large object less": ("SELECT lo_unlink(424202)", ["large object 424202"]),
    "a populated view": ("REFRESH MATERIALIZED VIEW odd.mat_unpopulated", ["table odd.mat_unpopulated"]),
    "a table less": ("DROP TABLE odd.typed", ["table odd.typed"]),
}
SEQUENCE_CHANGES = {
    "one changed sequence": ("SELECT nextval('odd.called')", ["sequence odd.called"]),
    "is_called only": ("SELECT setval('odd.never_called', 7, true)", ["sequence odd.never_called"]),
}
SCHEMA_CHANGES = {
    "one dropped index": "DROP INDEX odd.plain_expr",
    "a disabled trigger": "ALTER TABLE odd.plain DISABLE TRIGGER touch",
    "a right": "REVOKE SELECT (id) ON odd.plain FROM odd_writer CASCADE",
    "an owner": "ALTER VIEW odd.barrier OWNER TO odd_owner",
    "a comment": "COMMENT ON COLUMN odd.barrier.id IS 'changed'",
    "a default": "ALTER TABLE odd.by_range_2024 ALTER COLUMN label DROP DEFAULT",
    "an inherited column's default": "ALTER TABLE odd.grandchild ALTER COLUMN added_later SET DEFAULT '2024-03-01'",
    "a policy": "ALTER POLICY narrow ON odd.secrets USING (id > 1)",
    "a validated constraint": "DELETE FROM odd.not_valid WHERE id < 0; ALTER TABLE odd.not_valid VALIDATE CONSTRAINT nv_check",
    "a publication's columns": 'ALTER PUBLICATION "odd some ""q""" SET TABLE odd.plain (id)',
}


@pytest.fixture(scope="module")
def odd_template(server):
    """One odd database for all changes: its data as it was made, and its schema."""
    from conftest import create_database, drop_databases  # pylint: disable=import-outside-toplevel
    database = create_database(server, "oracletemplate")
    database.load("odd.sql")
    database.data_before, database.schema_before = database.fingerprints(), database.schema()
    yield database
    drop_databases(server, "oracletemplate")


def keys_that_differ(left, right):
    return [key for key, _, _ in oracle.differences(left, right)]


@pytest.mark.parametrize("change", DATA_CHANGES)
def test_notices_changed_data(server, odd_template, change):
    statement, keys = DATA_CHANGES[change]
    connection = server.connect(odd_template.name)
    connection.autocommit = False       # rolled back with the connection's end
    try:
        connection.cursor().execute(statement)
        after = oracle.connection_fingerprints(connection)
    finally:
        connection.close()
    assert keys_that_differ(odd_template.data_before, after) == keys


def copy_of(server, template, db):
    """A byte-for-byte copy made by the server itself."""
    target = db()
    server.query(f"DROP DATABASE {target.name}")
    server.query(f"CREATE DATABASE {target.name} TEMPLATE {template.name}")
    return target


@pytest.mark.parametrize("change", SEQUENCE_CHANGES)
def test_notices_changed_sequence(server, odd_template, db, change):
    statement, keys = SEQUENCE_CHANGES[change]
    other = copy_of(server, odd_template, db)
    other.query(statement)
    assert keys_that_differ(odd_template.data_before, other.fingerprints()) == keys


@pytest.mark.parametrize("change", SCHEMA_CHANGES)
def test_notices_changed_schema(server, odd_template, db, change):
    other = copy_of(server, odd_template, db)
    assert odd_template.schema_before == other.schema()
    other.query(SCHEMA_CHANGES[change])
    assert odd_template.schema_before != other.schema()
