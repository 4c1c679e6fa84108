"""Fixtures of every test: a private server, databases on it, the program under test."""
import os
import pathlib
import shutil
import subprocess
import sys
import uuid

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lib import machine, oracle, pgserver, runner, s3server  # noqa: E402  pylint: disable=wrong-import-position

E2E = pathlib.Path(__file__).resolve().parent / "e2e"
DEMO = pathlib.Path(__file__).resolve().parents[1] / "demo"


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes minutes; run by `make check-long` only")
    config.addinivalue_line("markers", "alone: measures time or memory; tests/run runs it when nothing else runs")
    config.addinivalue_line("markers", "together(name): with others of that name in one worker of tests/run")


# Who uses these enters a root file system of its own, which only root can do; or a machine of its own, for which the
# kernel must let root mount and make namespaces.
ROOT_ONLY = {"make_root"}
MACHINE_ONLY = {"machine"}

# Who uses these needs a server that takes seconds to start: it is started in few workers only.
COSTLY = {"s3"}


def group_of(item):
    """Tests of one file that share something costly run in the same worker; None: in any."""
    mark = item.get_closest_marker("together")
    if mark:
        return f"{item.module.__name__}-{mark.args[0]}"
    fixtures = item._fixtureinfo.name2fixturedefs  # pylint: disable=protected-access
    shared = any(definitions[-1].scope == "module" for definitions in fixtures.values())
    return item.module.__name__ if shared or COSTLY & set(fixtures) else None


def leave_out_what_cannot_run(config, items):
    """They are not run, and not counted as passed; tests/run says so."""
    missing = (ROOT_ONLY if os.geteuid() != 0 else set()) | (MACHINE_ONLY if not machine.CAN_BOOT else set())
    left_out = [item for item in items if missing & set(item.fixturenames)]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(tryfirst=True)     # before xdist reads the marks
def pytest_collection_modifyitems(config, items):
    leave_out_what_cannot_run(config, items)
    if not hasattr(config, "workerinput"):
        return
    groups = {item: group_of(item) for item in items}
    for item, name in groups.items():
        if name:
            item.add_marker(pytest.mark.xdist_group(name))
    items.sort(key=lambda item: groups[item] is None)   # what takes longest begins first


def psql(url, *arguments, input=None, check=True):  # pylint: disable=redefined-builtin
    """psql with ON_ERROR_STOP on a URL; returns the finished process, output as text."""
    command = [pgserver.program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, *map(str, arguments)]
    options = {} if input is None else {"input": input}
    if input is None:
        options["stdin"] = subprocess.DEVNULL
    text = not isinstance(input, bytes)
    result = subprocess.run(command, capture_output=True, text=text, check=False, env=oracle.clean_environment(),
                            **options)
    if check:
        assert result.returncode == 0, f"psql failed ({result.returncode}): {result.stderr}"
    return result


class Database:
    """One database of a test."""

    def __init__(self, server, name):
        self.server, self.name, self.url = server, name, server.url(name)

    def load(self, path, *options):
        """Runs an SQL file (a path, or a name in tests/e2e)."""
        return psql(self.url, *options, "-f", path if os.path.isabs(path) else E2E / path)

    def query(self, sql, parameters=None):
        return self.server.query(sql, parameters, self.name)

    def value(self, sql, parameters=None):
        """The first column of the first row."""
        return self.query(sql, parameters)[0][0]

    def psql(self, *arguments, **options):
        return psql(self.url, *arguments, **options)

    def schema(self):
        return oracle.schema_dump(self.url)

    def fingerprints(self):
        return oracle.data_fingerprints(self.url)


def create_database(server, name, encoding="UTF8", locale="C.UTF-8", owner="postgres"):
    quoted = name.replace('"', '""')
    server.query(f'CREATE DATABASE "{quoted}" TEMPLATE template0 ENCODING \'{encoding}\' LOCALE \'{locale}\' '
                 f'OWNER "{owner}"')
    return Database(server, name)


def drop_databases(server, name):
    """Drops a database and those that opstower made from it (NAME_...)."""
    for found in server.databases():
        if found == name or found.startswith(name + "_"):
            quoted = found.replace('"', '""')
            server.query("UPDATE pg_database SET datistemplate = false WHERE datname = %s", (found,))
            server.query(f'DROP DATABASE "{quoted}" WITH (FORCE)')


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL server for the whole run: server.url(dbname), server.query(sql, ...), server.bindir."""
    with pgserver.Server() as started:
        yield started


@pytest.fixture
def make_server():
    """For tests that stop, break or configure a server of their own: make_server({"setting": "value"})."""
    made = []

    def make(settings=None, **options):
        made.append(pgserver.Server(settings, **options))
        return made[-1].__enter__()
    yield make
    for each in made:
        each.remove()


@pytest.fixture
def db(server):
    """db("odd.sql") makes a fresh database and loads the file; without a file it stays empty.

    Options: name, encoding, locale, owner, on (another server). Dropped after the test, NAME_... ones too.
    """
    made = []

    def make(sql_file=None, name=None, on=server, **options):
        name = name or f"t{uuid.uuid4().hex[:10]}"
        if options.get("encoding", "UTF8") != "UTF8":
            options.setdefault("locale", "C")
        made.append((on, name))
        database = create_database(on, name, **options)
        if sql_file:
            database.load(sql_file)
        return database
    yield make
    for where, name in made:
        if where.process is not None:
            drop_databases(where, name)


@pytest.fixture
def folder():
    """A temporary folder that the server's user can pass through."""
    path = pgserver.temporary_folder("opstower-test-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def opstower(folder, server):
    """The program under test; see lib/runner.py. Its scratch servers have the tests' extension (PG_BINDIR)."""
    fast = pgserver.temporary_folder("opstower-tmp-", pgserver.fast_place())
    os.chmod(fast, 0o1777)
    yield runner.Opstower(folder, {"PG_BINDIR": server.bindir, "TMPDIR": fast})
    shutil.rmtree(fast, ignore_errors=True)


@pytest.fixture(scope="session")
def s3():
    """An S3 server for the whole run; see lib/s3server.py."""
    with s3server.S3Server() as started:
        yield started


@pytest.fixture
def bucket(s3):
    """The name of a fresh bucket; what the test put there is gone after it."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.make_bucket(name)
    yield name
    s3.empty(name)


@pytest.fixture
def make_s3():
    """For tests that break or configure an S3 server of their own: make_s3({"setting": "value"})."""
    made = []

    def make(settings=None, **options):
        made.append(s3server.S3Server(settings, **options))
        return made[-1].__enter__()
    yield make
    for each in made:
        each.remove()


@pytest.fixture
def sample_sql():
    """The demo's sample database as an SQL file."""
    return str(DEMO / "sample.sql")
