"""One number of tables, whoever tells it: the CREATE TABLE statements of the dump."""
import json
import re

from lib.backups import take
from lib.dashboard import Dashboard

# Eight tables of every kind, and what is none: views, a foreign table, and a table of an extension.
SQL = """
CREATE TABLE plain AS SELECT g AS a FROM generate_series(1, 30) g; CREATE TABLE empty (a int); CREATE UNLOGGED TABLE unlogged (a int);
CREATE TABLE parts (a int) PARTITION BY RANGE (a); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts DEFAULT; CREATE SCHEMA other; CREATE TABLE other.t (a int); CREATE TABLE child () INHERITS (plain);
CREATE VIEW v AS SELECT * FROM plain; CREATE MATERIALIZED VIEW m AS SELECT * FROM plain;
CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE f (a int) SERVER s;
"""
NUMBER = 8


def test_every_command_page_and_metric_tells_the_same_number_of_tables(opstower, db):
    database = db()
    database.query(SQL)
    database.query("CREATE EXTENSION odd_config")
    env = {"DATABASE_URL": database.url}
    told = {}

    def tell(who, text, pattern):
        found = re.findall(pattern, text)
        assert found, (who, text)
        told.update({f"{who} {i}": int(number) for i, number in enumerate(found)})
    tell("backup", opstower("backup", "--local-only", env=env).output, r"(\d+) tables")
    backup = take(opstower, database)
    told["metadata"], told["facts"] = backup.meta["table_count"], backup.meta["facts"]["tables"]
    told["file"] = len(re.findall(r"^CREATE (?:UNLOGGED )?TABLE ", backup.text().decode(), re.M))
    tell("verify", opstower("verify", "latest", "--full-test", env=env).output, r"(\d+) tables")
    told["verify --json"] = json.loads(opstower("verify", "latest", "--json", env=env).stdout)["tables"]
    listed = json.loads(opstower("list", "--json", env=env).stdout)
    told["list --json"] = (listed["backups"] if isinstance(listed, dict) else listed)[0]["tables"]
    heading, row = [line for line in opstower("list", env=env).stdout.split("\n") if line.strip()][:2]
    told["list"] = int(row[:heading.index("TABLES") + len("TABLES")].split()[-1])
    restored = opstower("restore", "latest", "--target-db", database.name + "_copy", "--force", env=env).output
    tell("restore", restored, r"(\d+) tables")
    tell("restored", restored, r"Tables: (\d+)")
    told["restore --json"] = json.loads(opstower("restore", "latest", "--target-db", database.name + "_json", "--force", "--json", env=env).stdout)["tables"]
    tell("metric", opstower("status", "--prometheus", env=env, check=False).stdout, r"opstower_backup_tables(?:\{[^}]*\})? (\d+)")
    with Dashboard(opstower, env=env) as dashboard:
        tell("page", dashboard.get(f"/backups/{backup.id}").text, r"in (\d+) tables")
        tell("API", dashboard.get("/api/backups").text, r'"tables": ?(\d+)')
    assert set(told.values()) == {NUMBER}, told


def test_single_tables_are_counted_as_such(opstower, db):
    database = db()
    database.query(SQL)
    take(opstower, database)
    result = json.loads(opstower("restore", "latest", "--table", "plain", "--table", "parts", "--json", env={"DATABASE_URL": database.url}).stdout)
    assert (result["tables"], result["rows"]) == (3, 30)
