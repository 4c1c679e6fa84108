"""What the tests believe: is one database the same as another? Says so without any code of opstower's.

schema_dump: pg_dump's own text. data_fingerprints: count and md5 of every table, large object and sequence.
"""
import hashlib
import io
import itertools
import os
import re
import subprocess

import psycopg2
from psycopg2 import sql

from .pgserver import program

# pg_dump's session settings, so that a role's or a database's own settings do not change the text.
SESSION = """
SET DateStyle = ISO; SET IntervalStyle = postgres; SET extra_float_digits = 3; SET TimeZone = 'UTC';
SET bytea_output = hex; SET xmlbinary = base64; SET row_security = off; SET statement_timeout = 0;
SET search_path = pg_catalog; SET synchronize_seqscans = off; SET quote_all_identifiers = off;
SET default_transaction_isolation = 'repeatable read'; SET lc_monetary = 'C';
"""

# From the first moment: the database may have short limits of its own, and between two queries we may be slow.
PATIENT = "-c idle_in_transaction_session_timeout=0 -c idle_session_timeout=0"

# Ordinary tables (partitions too), populated materialised views, outside the system's schemas.
TABLES = """
SELECT n.nspname, c.relname, c.relkind,
       array(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attname::text COLLATE "C")
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY 1, 2
"""
UNPOPULATED = "SELECT relispopulated FROM pg_class WHERE oid = %s::regclass"
SEQUENCES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND n.nspname !~ '^pg_' ORDER BY 1, 2
"""
LARGE_OBJECTS = """
SELECT m.oid, pg_get_userbyid(m.lomowner), m.lomacl::text, obj_description(m.oid, 'pg_largeobject'), lo_get(m.oid)
FROM pg_largeobject_metadata m ORDER BY 1
"""
DATABASE = """
SELECT pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, d.datlocprovider, d.daticulocale,
       pg_get_userbyid(d.datdba), d.datconnlimit, d.datistemplate,
       (SELECT array_agg(x::text ORDER BY x::text) FROM unnest(coalesce(d.datacl, acldefault('d', d.datdba))) x), shobj_description(d.oid, 'pg_database'),
       (SELECT array_agg(format('%s: %s', coalesce(r.rolname, '-'), c) ORDER BY 1)
        FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) c
        WHERE s.setdatabase = d.oid)
FROM pg_database d WHERE d.datname = current_database()
"""

IGNORED_LINE = re.compile(r"^(\\restrict |\\unrestrict |-- Dumped (from database|by pg_dump) version )")


def clean_environment():
    # pg_dump writes timestamptz partition bounds in the session's time zone, which a database may have set: PGTZ wins.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    return inherited | {"LC_ALL": "C.UTF-8", "PGTZ": "UTC"}


def in_steady_order(text):
    """Sorts neighbouring column defaults. pg_dump writes them by column number, and a dump and restore may change
    the column order of a table that inherits (when its parent got a column later): no difference that matters."""
    blocks = text.split("\n--\n-- Name: ")
    done = []
    for is_default, group in itertools.groupby(blocks, key=lambda block: "; Type: DEFAULT; " in block.split("\n")[0]):
        done += sorted(group) if is_default else group
    return "\n--\n-- Name: ".join(done)


def schema_dump(url, *options, pg_dump=None):
    """`pg_dump -s` as text, without the lines that differ from run to run (restrict key, versions)."""
    result = subprocess.run([pg_dump or program("pg_dump"), "-s", *options, "-d", url], capture_output=True, check=False,
                            env=clean_environment())
    assert result.returncode == 0, result.stderr.decode(errors="replace")
    lines = result.stdout.decode("utf-8", errors="surrogateescape").split("\n")
    return in_steady_order("\n".join(line for line in lines if not IGNORED_LINE.match(line)))


def table_fingerprint(cursor, schema, table, columns):
    """{"count", "md5"} of one table: md5 over its sorted COPY lines, the columns in the order of their names."""
    # COPY writes one line per row: newlines inside values are escaped.
    names = sql.SQL(", ").join(sql.Identifier(name) for name in columns)
    statement = sql.SQL("COPY (SELECT {} FROM ONLY {}) TO STDOUT").format(names, sql.Identifier(schema, table))
    buffer = io.BytesIO()
    cursor.copy_expert(statement, buffer)
    lines = buffer.getvalue().split(b"\n")
    assert lines.pop() == b""
    lines.sort()
    return {"count": len(lines), "md5": hashlib.md5(b"\n".join(lines)).hexdigest()}


def connect(url):
    """A URL with options of its own is left as it is."""
    return psycopg2.connect(url) if "options=" in url else psycopg2.connect(url, options=PATIENT)


def data_fingerprints(url):
    """{"table a.b": {"count", "md5"}, "sequence a.b": [last_value, is_called], "large object N": [...]}."""
    connection = connect(url)
    try:
        return connection_fingerprints(connection)
    finally:
        connection.close()


def connection_fingerprints(connection):
    """data_fingerprints as an open connection sees them, uncommitted changes of its own too."""
    connection.set_client_encoding("UTF8")
    found = {}
    with connection.cursor() as cursor:
        cursor.execute(SESSION)
        cursor.execute(TABLES)
        for schema, table, kind, columns in cursor.fetchall():
            cursor.execute(UNPOPULATED, (sql.Identifier(schema, table).as_string(cursor),))
            unpopulated = kind == "m" and not cursor.fetchone()[0]
            found[f"table {schema}.{table}"] = None if unpopulated else table_fingerprint(cursor, schema, table, columns)
        cursor.execute(SEQUENCES)
        for schema, name in cursor.fetchall():
            cursor.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(schema, name)))
            found[f"sequence {schema}.{name}"] = list(cursor.fetchone())
        cursor.execute(LARGE_OBJECTS)
        for oid, owner, acl, comment, body in cursor.fetchall():
            digest = hashlib.md5(bytes(body)).hexdigest()
            found[f"large object {oid}"] = [owner, acl, comment, len(bytes(body)), digest]
    return found


def database_properties(url):
    """What belongs to the database itself and `pg_dump` without -C leaves out: encoding, owner, ACL, settings."""
    connection = connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(DATABASE)
            return cursor.fetchone()
    finally:
        connection.close()


def differences(left, right):
    """The keys of two fingerprint dictionaries that are not the same, with both values; [] when identical."""
    keys = sorted(left.keys() | right.keys())
    return [(key, left.get(key), right.get(key)) for key in keys
            if key not in left or key not in right or left[key] != right[key]]


def assert_same(source_url, other_url):
    """Fails with what differs unless both databases have the same schema and the same data."""
    assert differences(data_fingerprints(source_url), data_fingerprints(other_url)) == []
    assert schema_dump(source_url).split("\n") == schema_dump(other_url).split("\n")
