"""Every property of a database comes back: over it, beside it, and on another server."""
import pytest

from conftest import Database, drop_databases
from lib import pgserver, runner
from lib.backups import take

# Rows of the catalogs that a database has of its own, without what another database cannot have: oids and its name.
CATALOGS = {
    "pg_database": """SELECT to_jsonb(d) - 'oid' - 'datname' - 'datacl' - 'datdba' - 'dattablespace' - 'datfrozenxid' - 'datminmxid'
        || jsonb_build_object('owner', pg_get_userbyid(datdba), 'tablespace', (SELECT spcname FROM pg_tablespace t WHERE t.oid = dattablespace),
        'acl', (SELECT jsonb_agg(a ORDER BY a) FROM (SELECT format('%s %s %s by %s', CASE grantee WHEN 0 THEN 'PUBLIC' ELSE
          pg_get_userbyid(grantee) END, privilege_type, is_grantable, pg_get_userbyid(grantor)) a
          FROM aclexplode(coalesce(datacl, acldefault('d', datdba)))) x))
        FROM pg_database d WHERE datname = current_database()""",
    "pg_db_role_setting": """SELECT coalesce(jsonb_agg(format('%s: %s', CASE setrole WHEN 0 THEN '' ELSE pg_get_userbyid(setrole) END, c) ORDER BY
        setrole = 0, pg_get_userbyid(setrole), c), '[]') FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase, unnest(setconfig) c
        WHERE datname = current_database()""",
    "pg_shdescription": "SELECT to_jsonb(shobj_description(oid, 'pg_database')) FROM pg_database WHERE datname = current_database()",
    "pg_subscription": """SELECT coalesce(jsonb_agg(to_jsonb(s) - 'oid' - 'subdbid' - 'subowner' || jsonb_build_object('owner', pg_get_userbyid(subowner))
        ORDER BY subname), '[]') FROM pg_subscription s JOIN pg_database d ON d.oid = subdbid WHERE datname = current_database()""",
    "pg_publication": """SELECT coalesce(jsonb_agg(to_jsonb(p) - 'oid' - 'pubowner' || jsonb_build_object('owner', pg_get_userbyid(pubowner),
        'tables', (SELECT jsonb_agg(t::text ORDER BY t::text) FROM pg_publication_tables t WHERE t.pubname = p.pubname)) ORDER BY pubname), '[]')
        FROM pg_publication p""",
    "pg_default_acl": """SELECT coalesce(jsonb_agg(format('%s %s %s %s', pg_get_userbyid(defaclrole), nspname, defaclobjtype, defaclacl)
        ORDER BY 1, defaclobjtype, nspname), '[]') FROM pg_default_acl LEFT JOIN pg_namespace n ON n.oid = defaclnamespace""",
}

ROLES = ["properties_owner", "properties_reader", "properties_setting"]

# How each property becomes an odd one; {db} is the database's name.
PROPERTIES = {
    "owner": "ALTER DATABASE {db} OWNER TO properties_owner",
    "rights taken from PUBLIC": "REVOKE ALL ON DATABASE {db} FROM PUBLIC",
    "rights taken from the owner": "REVOKE ALL ON DATABASE {db} FROM PUBLIC, postgres",
    "a grant with grant option": "GRANT CREATE, CONNECT ON DATABASE {db} TO properties_reader WITH GRANT OPTION",
    "a grant by another": "GRANT CONNECT ON DATABASE {db} TO properties_reader WITH GRANT OPTION; SET ROLE properties_reader;"
                          "GRANT CONNECT ON DATABASE {db} TO properties_setting",
    "connection limit": "ALTER DATABASE {db} CONNECTION LIMIT 23",
    "template": "ALTER DATABASE {db} IS_TEMPLATE true",
    "comment": "COMMENT ON DATABASE {db} IS 'it''s \"odd\" \\ é'",
    "a setting": "ALTER DATABASE {db} SET work_mem = '7MB'",
    "a setting that is a list": "ALTER DATABASE {db} SET search_path = '', \"A b\", public",
    "a setting of an extension": "ALTER DATABASE {db} SET \"my.Thing\" = 'it''s'",
    "a setting of a role that has nothing else": "ALTER ROLE properties_setting IN DATABASE {db} SET statement_timeout = '90s'",
    "tablespace": "ALTER DATABASE {db} SET TABLESPACE properties_space",
    "publication": "CREATE TABLE published (id int PRIMARY KEY, v text); CREATE PUBLICATION part FOR TABLE published (id) WHERE (id > 5)"
                   " WITH (publish = 'insert', publish_via_partition_root = true)",
    "publication of all": "CREATE PUBLICATION everything FOR ALL TABLES",
    "subscription": "CREATE SUBSCRIPTION sub CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE, binary = true)",
    "default privileges": "ALTER DEFAULT PRIVILEGES FOR ROLE properties_owner IN SCHEMA public GRANT SELECT ON TABLES TO properties_reader;"
                          "ALTER DEFAULT PRIVILEGES FOR ROLE properties_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
}

# Made so; "icu" on a server whose own databases are libc's, and the other way round.
LOCALES = {"libc C": "LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'", "libc C.UTF-8": "LOCALE_PROVIDER libc LOCALE 'C.UTF-8'",
           "icu": "LOCALE_PROVIDER icu ICU_LOCALE 'de' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'",
           "latin1": "LOCALE_PROVIDER libc ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"}


class IcuServer(pgserver.Server):
    """Its template0 is ICU's."""

    def __init__(self):
        super().__init__()
        self.initdb_options = ["--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en"]


def prepare(server):
    for role in ROLES:
        server.query(f"CREATE ROLE {role}")
    path = pgserver.make_folder(server.folder + "/space", 0o700, for_server=True)
    server.query(f"CREATE TABLESPACE properties_space LOCATION '{path}'")


@pytest.fixture(scope="module")
def servers():
    """Two, with the roles and the tablespace; the second one's databases are ICU's if nobody says otherwise."""
    with pgserver.Server() as one, IcuServer() as other:
        prepare(one)
        prepare(other)
        yield one, other


def rows_of(database):
    return {name: database.value(sql) for name, sql in CATALOGS.items()}


def assert_rows(database, expected):
    found = rows_of(database)
    assert {name: found[name] for name in CATALOGS if found[name] != expected[name]} == {
        name: expected[name] for name in CATALOGS if found[name] != expected[name]}


def make(server, statements, locale):
    server.query(f"CREATE DATABASE properties TEMPLATE template0 {locale}")
    for statement in statements:
        alone = "SUBSCRIPTION" in statement or "TABLESPACE" in statement    # not in a transaction with others
        connection = server.connect("postgres" if "TABLESPACE" in statement else "properties")
        with connection.cursor() as cursor:
            for one in [statement] if alone else statement.split(";"):
                cursor.execute(one.format(db="properties"))
        connection.close()
    return Database(server, "properties")


def check(servers, folder, statements, locale):
    server, other = servers
    opstower = runner.Opstower(folder, {"PG_BINDIR": server.bindir})
    try:
        database = make(server, statements, locale)
        expected = rows_of(database)
        backup = take(opstower, database)
        for name in ("beside", None):
            where = ["--target-db", "properties_beside"] if name else ["--drop-replaced"]
            opstower("restore", backup.path, "--force", "--no-pre-backup", *where, env={"DATABASE_URL": database.url})
            assert_rows(Database(server, "properties_beside" if name else "properties"), expected)
        opstower("restore", backup.path, "--force", env={"DATABASE_URL": other.url("properties")})
        assert_rows(Database(other, "properties"), expected)
    finally:
        for each in servers:
            for name in ("properties", "properties_beside"):
                if name in each.databases():
                    for (subscription,) in each.query("SELECT subname FROM pg_subscription s JOIN pg_database d ON d.oid = subdbid WHERE datname = %s", (name,)):
                        each.query(f"DROP SUBSCRIPTION {subscription}", dbname=name)
            drop_databases(each, "properties")


NOT_TOGETHER = ("rights taken from the owner",)


def test_every_property_comes_back(servers, folder):
    """All at once."""
    check(servers, folder, [sql for name, sql in PROPERTIES.items() if name not in NOT_TOGETHER], LOCALES["libc C"])


@pytest.mark.parametrize("locale", [kind if kind == "icu" else pytest.param(kind, marks=pytest.mark.long) for kind in LOCALES])
def test_every_locale_comes_back(servers, folder, locale):
    check(servers, folder, [PROPERTIES["rights taken from the owner"]], LOCALES[locale])


@pytest.mark.long
@pytest.mark.parametrize("name", PROPERTIES)
def test_each_property_comes_back_by_itself(servers, folder, name):
    check(servers, folder, [PROPERTIES[name]], "")
