"""What a row holds stands in no log, journal, alert or message, whatever the server says of it."""
import gzip
import os
import pathlib

import pytest

from lib.backups import error_lines, take

SECRET = "4111-1111-1111-1111"
PEOPLE = f"""
CREATE TABLE people (id int, card text);
INSERT INTO people VALUES (1, '{SECRET}'), (2, '{SECRET} ');
CREATE FUNCTION fit(text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION part(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION judge(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN true; END $$;
"""
# How the rows came to be refused, and what an error still tells.
REFUSED = {
    "check": ("""ALTER TABLE people ADD CONSTRAINT cards CHECK (fit(card));
        CREATE OR REPLACE FUNCTION fit(text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false'""", "cards"),
    "raised": (f"""ALTER TABLE people ADD CHECK (judge(card));
        CREATE OR REPLACE FUNCTION judge(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
        $$ BEGIN RAISE EXCEPTION 'not good: %', $1 USING DETAIL = $1, HINT = $1; END $$""", "people_card_check"),
    "raised with a code": (f"""ALTER TABLE people ADD CHECK (judge(card));
        CREATE OR REPLACE FUNCTION judge(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
        $$ BEGIN RAISE data_exception USING MESSAGE = 'bad', DETAIL = $1; END $$""", "people_card_check"),
    "cast": ("""ALTER TABLE people ADD CHECK (judge(card)); CREATE OR REPLACE FUNCTION judge(text) RETURNS bool
        LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1::int > 0; END $$""", "type integer"),
    "domain": ("""CREATE DOMAIN card AS text CONSTRAINT cards CHECK (fit(VALUE)); ALTER TABLE people ALTER card TYPE card;
        CREATE OR REPLACE FUNCTION fit(text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false'""", "cards"),
    "unique index": ("""CREATE UNIQUE INDEX one ON people (part(card));
        CREATE OR REPLACE FUNCTION part(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT trim($1)'""", "one"),
    "index": ("""CREATE INDEX one ON people ((part(card)));
        CREATE OR REPLACE FUNCTION part(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ($1::int)::text'""", "integer"),
    "foreign key": ("""CREATE TABLE cards (card text PRIMARY KEY); INSERT INTO cards SELECT card FROM people;
        ALTER TABLE people ADD CONSTRAINT known FOREIGN KEY (card) REFERENCES cards; ALTER TABLE cards DISABLE TRIGGER ALL;
        DELETE FROM cards""", "known"),
    "materialized view": ("""CREATE MATERIALIZED VIEW cards AS SELECT part(card) FROM people;
        CREATE OR REPLACE FUNCTION part(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ($1::int)::text'""", "integer"),
}


def assert_secret(opstower, *results):
    for result in results:
        assert SECRET not in result.output, result
    for folder, _, names in os.walk(opstower.backup_dir):
        for name in names:
            path = pathlib.Path(folder) / name
            if not name.endswith(".sql.gz"):
                assert SECRET.encode() not in path.read_bytes(), name


@pytest.mark.parametrize("kind", REFUSED)
def test_rows_that_a_restore_refuses(opstower, db, kind):
    statements, told = REFUSED[kind]
    database = db()
    database.query(PEOPLE)
    database.query(statements)
    take(opstower, database)
    env = {"DATABASE_URL": database.url, "ALERT_WEBHOOK_URL": "http://127.0.0.1:9/", "ALERT_ALLOW_HTTP": "true"}
    restored = opstower("restore", "latest", "--target-db", f"{database.name}_copy", "--force", env=env, check=False)
    assert told in restored.output, restored
    tested = opstower("verify", "latest", "--full-test", env=env, check=False)
    assert told in tested.output, tested
    assert_secret(opstower, restored, tested)


@pytest.mark.parametrize("rows", [
    f"COPY t (id, card) FROM stdin;\n{SECRET}\t1\n\\.\n", f"COPY t (id, card) FROM stdin;\n1\t{SECRET}\t{SECRET}\n\\.\n",
    f"COPY t (id, card) FROM stdin;\n1\t{SECRET}\n1\t{SECRET}\n\\.\n", f"INSERT INTO t VALUES ('{SECRET}', 'x');\n",
    f"INSERT INTO t VALUES (1, '{SECRET}'), (1, '{SECRET}');\n", f"INSERT INTO t VALUES (1, '{SECRET}', nothing);\n"])
def test_rows_of_a_dump_of_others(opstower, db, rows):
    database = db()
    os.makedirs(opstower.backup_dir, exist_ok=True)
    path = pathlib.Path(opstower.backup_dir) / f"{database.name}_20260101_000000.sql.gz"
    path.write_bytes(gzip.compress(f"-- PostgreSQL database dump\nCREATE TABLE t (id int PRIMARY KEY, card text);\n{rows}"
                                   "-- PostgreSQL database dump complete\n".encode()))
    result = opstower("restore", path, "--force", "--no-pre-backup", env={"DATABASE_URL": database.url}, check=False)
    assert result.returncode != 0 and error_lines(result), result
    assert_secret(opstower, result)
