"""Settings that are not what they look like: URLs that can be read in two ways, files of others, names of others."""
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import time

import pytest

from lib import backups, pgserver, ports, runner
from lib.pgbouncer import PgBouncer


def error_lines(result):
    return [line for line in result.stderr.splitlines() if line.startswith("[ERROR]")]


# ---- URLs -----------------------------------------------------------------------------------------------------------

UNESCAPED = ["qxj@zvk", "qxj/zvk", "qxj#zvk", "qxj?zvk", "12/zvk", "qxj@zvk/wfp", "qxj/zvk@wfp", "qxj#zvk@wfp/kkk",
             "qxj%zvk", "/zvk", "qxj/zvk?wfp=1"]
URLS = ["postgresql://bob:{}@127.0.0.1:1/app", "postgres://bob:{}@127.0.0.1/app?sslmode=disable",
        "postgresql://bob:{}@127.0.0.1:1,127.0.0.1:2/app"]
OTHERS = ["bob:qxjzvk@127.0.0.1:1/app", "mysql://bob:qxjzvk@127.0.0.1/app", "host=127.0.0.1 password=qxj zvk user=bob",
          "host=127.0.0.1 password='qxjzvk", "postgresql://127.0.0.1:1/app?user=bob&password=qxj&zvk",
          "postgresql://127.0.0.1:1/app?user=bob&password=qxj&zvk=wfp"]


def assert_echoes_nothing(opstower, result):
    written = "".join(path.read_text(errors="replace") for path in pathlib.Path(opstower.backup_dir).rglob("*")
                      if path.is_file())
    for piece in ("qxj", "zvk", "wfp", "kkk"):
        assert piece not in result.output + written, result


@pytest.mark.parametrize("source", ["environment", "file"])
def test_a_url_that_can_be_read_in_two_ways_is_refused_and_nothing_of_it_is_shown(opstower, folder, source):
    for url in [url.format(password) for url in URLS for password in UNESCAPED] + OTHERS:
        if source == "file":
            (pathlib.Path(folder) / ".env").write_text(f"DATABASE_URL=\"{url}\"\n", encoding="utf-8")
        env = {"DATABASE_URL": url} if source == "environment" else {}
        result = opstower("backup", env={**env, "HEARTBEAT_URL": "http://127.0.0.1:1/x"}, check=2)
        (error,) = error_lines(result)
        assert "URL" in error and "%40, %2F, %23" in error or "single quotes" in error, url
        assert_echoes_nothing(opstower, result)


@pytest.mark.parametrize("name", ["BACKUP_TEST_URL", "SMTP_URL", "HEALTHCHECK_URL", "HEARTBEAT_URL",
                                  "SLACK_WEBHOOK_URL", "ALERT_WEBHOOK_URL"])
def test_other_urls_are_held_to_the_same(opstower, name):
    scheme = {"BACKUP_TEST_URL": "postgresql", "SMTP_URL": "smtp"}.get(name, "http")
    for password in ("qxj/zvk", "qxj#zvk", "qxj?zvk"):
        result = opstower("list", env={name: f"{scheme}://bob:{password}@127.0.0.1:1/wfp"}, check=2)
        (error,) = error_lines(result)
        assert name in error and "%40, %2F, %23" in error
        assert_echoes_nothing(opstower, result)


# ---- what is masked ---------------------------------------------------------------------------------------------------

def test_ordinary_words_are_never_masked(opstower, folder):
    """Each word of a message as password, token and part of an address: the message stays as it is."""
    def said(**env):
        return opstower("verify", f"{folder}/none.sql.gz", env=env, check=False).output

    plain = said()
    words = sorted({word.strip(".,:;()[]\"'") for word in plain.split()} | {"password", "wrong", "backup", "database"})
    for word in words:
        if not word or word.startswith(folder):
            continue
        if word.isalpha():
            assert said(DATABASE_URL=f"postgresql://u:{word}@h/d", DASHBOARD_PASSWORD=word) == plain, word
        assert said(DATABASE_PASSWORD=word, SLACK_WEBHOOK_URL=f"http://h/{word}") == plain, word


@pytest.mark.parametrize("password", ["password", "authentication", "FATAL", "hunter22"])
def test_a_refused_login_is_told_in_the_servers_words(opstower, asking, password):
    env = {"DATABASE_URL": f"postgresql://owner:{password}@127.0.0.1:{asking.port}/app"}
    (error,) = error_lines(opstower("backup", env=env, check=5))
    assert 'psql: FATAL: password authentication failed for user "owner"' in error


@pytest.fixture(scope="module")
def asking():
    """A server that asks for a password, which is "postgres" for role owner."""
    with pgserver.TcpServer() as started:
        started.query("CREATE ROLE owner SUPERUSER LOGIN PASSWORD 'postgres'")
        started.query("CREATE DATABASE app TEMPLATE template0")
        started.query("CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) g", dbname="app")
        yield started


def test_a_password_that_is_the_databases_name_hides_nothing(opstower, asking):
    asking.query("CREATE ROLE shop2026 SUPERUSER LOGIN PASSWORD 'shop2026'")
    asking.query("CREATE DATABASE shop2026 TEMPLATE app")
    result = opstower("backup", env={"DATABASE_URL": f"postgresql://shop2026:shop2026@127.0.0.1:{asking.port}/shop2026"})
    assert "shop2026" in result.stdout and "***" not in result.output


# ---- whose file it is -------------------------------------------------------------------------------------------------

STRANGER = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def trap(folder):
    """Settings whose hook leaves a trace."""
    program = pathlib.Path(folder) / "trap"
    program.write_text(f"#!/bin/sh\nid >{folder}/sprung\n", encoding="utf-8")
    program.chmod(0o755)
    return f"HOOK_ON_FAILURE={program}\nDATABASE_NAME=app\n"


def is_sprung(folder):
    return (pathlib.Path(folder) / "sprung").exists()


@as_root
@pytest.mark.parametrize("how", ["owner", "link", "everyone", "group", "pipe"])
def test_a_file_that_is_only_found_must_be_ours(opstower, folder, trap, how):
    path, real = pathlib.Path(folder) / ".env", pathlib.Path(folder) / "real"
    if how == "pipe":
        os.mkfifo(path)
    else:
        real.write_text(trap, encoding="utf-8")
        real.chmod({"everyone": 0o646, "group": 0o660}.get(how, 0o600))
        os.chown(real, STRANGER if how == "owner" else 0, 12345 if how == "group" else 0)
        if how == "link":
            path.symlink_to("real")
            os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
        else:
            real.rename(path)
    result = opstower("verify", "none", check=12)
    (error,) = error_lines(result)
    assert ".env is not read: " in error and not is_sprung(folder)


@as_root
def test_a_file_that_was_named_may_be_anothers_and_that_is_told(opstower, folder, trap):
    path = pathlib.Path(folder) / "named"
    path.write_text(trap, encoding="utf-8")
    path.chmod(0o600)
    os.chown(path, STRANGER, STRANGER)
    result = opstower("verify", "none", "--env-file", path, check=10)
    assert f"[WARN] {path} belongs to " in result.stderr and is_sprung(folder)


def test_a_file_that_everyone_may_write_is_not_read_even_if_it_was_named(opstower, folder, trap):
    path = pathlib.Path(folder) / "named"
    path.write_text(trap, encoding="utf-8")
    path.chmod(0o622)
    result = opstower("verify", "none", env={"OPSTOWER_ENV_FILE": path}, check=12)
    assert "every user of this machine may write to it" in error_lines(result)[0] and not is_sprung(folder)


def test_a_folder_of_settings_must_be_ours(opstower, folder, trap):
    many = pathlib.Path(folder) / "many"
    many.mkdir()
    (many / "a.env").write_text(trap, encoding="utf-8")
    many.chmod(0o1777)
    result = opstower("verify", "latest", "--config-dir", many, check=12)
    assert f"{many} is not read: " in error_lines(result)[0] and not is_sprung(folder)


def test_our_own_file_is_read_also_through_a_link(opstower, folder, trap):
    (pathlib.Path(folder) / "shared").write_text(trap, encoding="utf-8")
    (pathlib.Path(folder) / ".env").symlink_to("shared")
    result = opstower("verify", "none", check=10)
    assert "is not read" not in result.output and is_sprung(folder)


# ---- variables of others ----------------------------------------------------------------------------------------------

def write_env(folder, text):
    path = pathlib.Path(folder) / ".env"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)


def test_libpqs_variables_in_the_file_count(opstower, asking, folder):
    parts = f"PGHOST=127.0.0.1\nPGPORT={asking.port}\nPGUSER=owner\nPGDATABASE=app\nPGPASSWORD=postgres\n"
    write_env(folder, parts)
    opstower("backup")
    assert opstower.files("app_*.sql.gz")
    write_env(folder, parts + "PGSSLMODE=require\n")
    assert "SSL" in error_lines(opstower("backup", check=5))[0]
    opstower("backup", env={"PGSSLMODE": "disable"})
    write_env(folder, f"DATABASE_URL=postgresql://owner:postgres@127.0.0.1:{asking.port}/app\nPGSSLMODE=verify-full\n")
    opstower("backup", check=5)


def test_a_proxy_in_the_file_counts(opstower, asking, folder):
    write_env(folder, "https_proxy=http://bob:qxjzvk77@127.0.0.1:9\nBACKUP_S3_BUCKET=bucket\nAWS_ACCESS_KEY_ID=a\n"
                      "AWS_SECRET_ACCESS_KEY=b\nAWS_ENDPOINT_URL_S3=https://s3.invalid\nBACKUP_S3_RETRY_TIME=1\n"
                      f"DATABASE_URL=postgresql://owner:postgres@127.0.0.1:{asking.port}/app\n")
    result = opstower("list", check=False)
    assert "s3.invalid" in result.output and "address of s3.invalid" not in result.output
    assert "127.0.0.1 port 9" in result.output or "refused" in result.output
    assert "qxjzvk77" not in result.output


@pytest.mark.parametrize("wrong, right", [("PGSSLMOD", "PGSSLMODE"), ("PGPASSWD", "PGPASSWORD"), ("PGHOTS", "PGHOST")])
def test_misspelt_variables_of_libpq_are_told(opstower, folder, wrong, right):
    write_env(folder, f"\n{wrong}=qxj\n")
    result = opstower("list", check=2)
    assert f"unknown variable {wrong} in .env:2; did you mean {right}?" in error_lines(result)[0]
    assert "qxj" not in result.output
    write_env(folder, "PGADMIN_DEFAULT_EMAIL=a@b\nPGDATA=/x\nPGBOUNCER_PORT=6432\nPG_VERSION=15\n")
    assert "is not read" not in opstower("list").stderr
    write_env(folder, "PGHOSTNAME=x\n")
    assert "[WARN] PGHOSTNAME in .env:1 is not read: libpq has no such variable" in opstower("list").stderr


SERVICES = ["backup", "database", "alert", "hook", "backup-dir", "database-url", "smtp", "dashboard", "backup-s3"]


@pytest.mark.parametrize("link", [False, True], ids=["service", "link"])
def test_variables_that_kubernetes_makes_are_no_settings(opstower, asking, link):
    made = {}
    for service in SERVICES:
        name = service.upper().replace("-", "_")
        made |= {f"{name}_PORT": "tcp://10.96.0.12:80", f"{name}_PORT_80_TCP": "tcp://10.96.0.12:80",
                 f"{name}_PORT_80_TCP_PROTO": "tcp", f"{name}_PORT_80_TCP_PORT": "80",
                 f"{name}_PORT_80_TCP_ADDR": "10.96.0.12"}
        if not link:
            made |= {f"{name}_SERVICE_HOST": "10.96.0.12", f"{name}_SERVICE_PORT": "80",
                     f"{name}_SERVICE_PORT_HTTP": "80"}
    url = f"postgresql://owner:postgres@127.0.0.1:{asking.port}/app"
    result = opstower("backup", env={**made, "DATABASE_URL": url})
    assert "[WARN]" not in result.output


def test_what_kubernetes_does_not_make_is_still_checked(opstower):
    service = {"BACKUP_SERVICE_HOST": "10.96.0.12", "BACKUP_SERVICE_PORT": "80", "DATABASE_SERVICE_HOST": "10.96.0.12",
               "DATABASE_SERVICE_PORT": "80"}
    assert "BACKUP_DIRR" in opstower("list", env={**service, "BACKUP_DIRR": "x"}, check=2).stderr
    assert "DATABASE_PORT" in opstower("list", env={**service, "DATABASE_PORT": "5432x"}, check=2).stderr
    assert "DATABASE_PORT" in opstower("list", env={"DATABASE_PORT": "tcp:/x"}, check=2).stderr
    assert "BACKUP_PORT_80_TCP" in opstower("list", env={"BACKUP_PORT_80_TCP": "x"}, check=2).stderr


SECRETS = {"AWS_SECRET_ACCESS_KEY": "s1", "AWS_SESSION_TOKEN": "s2", "DATABASE_PASSWORD": "postgres",
           "SLACK_WEBHOOK_URL": "http://127.0.0.1:1/s3", "DASHBOARD_TOKEN": "s4", "PGPASSWORD": "s5"}


def test_children_are_given_no_secret_that_they_do_not_need(opstower, asking, folder):
    """Who connects to the database needs its password; a hook or a server needs none at all."""
    seen = f'env > {folder}/seen.$(basename "$0").$$; "{{real}}" "$@"'
    programs = {name: seen for name in ("pg_dump", "pg_restore", "pg_dumpall", "initdb")}
    hook = pathlib.Path(folder) / "hook"
    hook.write_text(f"#!/bin/sh\nenv >{folder}/seen.hook.$$\n", encoding="utf-8")
    hook.chmod(0o755)
    env = {**SECRETS, "PG_BINDIR": backups.programs_with(folder, asking, **programs), "HOOK_PRE_BACKUP": hook,
           "DATABASE_URL": f"postgresql://owner@127.0.0.1:{asking.port}/app"}
    opstower("backup", env=env)
    opstower("verify", "latest", "--full-test", env=env)
    needed = {name: {"PGPASSWORD"} for name in ("pg_dump", "pg_dumpall", "pg_restore")}
    found = {}
    for path in pathlib.Path(folder).glob("seen.*"):
        names = {line.split("=")[0] for line in path.read_text(encoding="utf-8").splitlines()}
        found.setdefault(path.name.split(".")[1], set()).update(names & (set(SECRETS) | {"DATABASE_URL"}))
    assert {"pg_dump", "pg_dumpall", "initdb", "hook"} <= set(found)
    for program, names in found.items():
        assert names <= needed.get(program, set()), program


# ---- services ---------------------------------------------------------------------------------------------------------

@pytest.fixture
def service(opstower, asking, folder):
    """A service file; its services name a database, or leave that to the user's name."""
    path = pathlib.Path(folder) / "services"
    common = f"host=127.0.0.1\nport={asking.port}\npassword=postgres\n"
    path.write_text(f"[shop]\n{common}dbname=app\n[nameless]\n{common}user=owner\n", encoding="utf-8")
    if not asking.query("SELECT 1 FROM pg_database WHERE datname = 'owner'"):
        asking.query("CREATE DATABASE owner TEMPLATE app")
    opstower.env["PGSERVICEFILE"] = str(path)
    return opstower


@pytest.mark.parametrize("env, name", [
    ({"DATABASE_URL": "postgresql://owner@/?service=shop"}, "app"),
    ({"DATABASE_URL": "service=shop user=owner"}, "app"),
    ({"PGSERVICE": "shop", "PGUSER": "owner"}, "app"),
    ({"PGSERVICE": "shop", "DATABASE_USER": "owner"}, "app"),
    ({"DATABASE_URL": "postgresql:///?service=nameless"}, "owner"),
    ({"DATABASE_URL": "postgresql:///app?service=nameless"}, "app"),
    ({"DATABASE_URL": "postgresql://owner@/?service=shop", "DATABASE_NAME": "owner"}, "owner"),
    ({"DATABASE_URL": "service=shop user=owner", "PGDATABASE": "owner"}, "app"),
])
def test_a_backup_is_called_after_the_database_that_the_service_names(service, asking, env, name):
    service.env.update(env)
    service("backup")
    (backup,) = backups.all_of(service)
    assert backup.id.startswith(f"{name}_2") and backup.meta["database"] == name
    assert (backup.meta["host"], backup.meta["port"]) == ("127.0.0.1", asking.port)
    assert backup.id in service("list").stdout
    service("verify", "latest")


def test_a_restore_replaces_the_database_of_the_service(service, asking):
    service.env["DATABASE_URL"] = "postgresql://owner@/?service=shop"
    service("backup")
    asking.query("DELETE FROM t", dbname="app")
    oid = asking.query("SELECT oid FROM pg_database WHERE datname = 'owner'")
    service("restore", "latest", "--force", "--drop-replaced")
    assert asking.query("SELECT count(*) FROM t", dbname="app") == [(100,)]
    assert asking.query("SELECT oid FROM pg_database WHERE datname = 'owner'") == oid


def test_a_service_that_is_not_there_is_told(service):
    for act in ("backup", "list"):
        (error,) = error_lines(service(act, env={"DATABASE_URL": "postgresql://owner@/?service=none"}, check=2))
        assert 'definition of service "none" not found' in error


def test_a_poolers_own_name_for_a_database_is_told(opstower, server, db):
    small = db()
    with PgBouncer(server, aliases={"front": small.name}) as pool:
        result = opstower("backup", env={"DATABASE_URL": pool.url("front")})
        assert f'the server calls this database "{small.name}", but its backups are named after "front"' in result.stderr
        assert "the server calls" not in opstower("backup", env={"DATABASE_URL": pool.url(small.name)}).stderr


# ---- secrets in files ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("source", ["environment", "file"])
@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_the_password_may_stand_in_a_file(opstower, asking, folder, source, ending):
    path = pathlib.Path(folder) / "password"
    path.write_bytes(b"postgres" + ending.encode())
    path.chmod(0o400)
    url = f"postgresql://owner@127.0.0.1:{asking.port}/app"
    if source == "file":
        write_env(folder, f"DATABASE_URL={url}\nDATABASE_PASSWORD_FILE=${{SECRETS}}/password\n")
        result = opstower("backup", env={"SECRETS": folder})
    else:
        result = opstower("backup", env={"DATABASE_URL": url, "DATABASE_PASSWORD_FILE": path})
    assert result.stderr == ""


NAMES_IN_FILES = ["DATABASE_URL", "DATABASE_PASSWORD", "BACKUP_TEST_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                  "AWS_SESSION_TOKEN", "SLACK_WEBHOOK_URL", "PAGERDUTY_SERVICE_KEY", "SMTP_URL", "ALERT_WEBHOOK_URL",
                  "ALERT_WEBHOOK_SECRET", "HEARTBEAT_URL", "HEALTHCHECK_URL", "DASHBOARD_TOKEN", "DASHBOARD_PASSWORD"]


@pytest.mark.parametrize("name", NAMES_IN_FILES)
def test_files_of_secrets_are_checked(opstower, folder, name):
    """Each must be there, hold something, and not be everyone's to write."""
    path = pathlib.Path(folder) / "secret"

    def fails(code, says, **env):
        result = opstower("list", env={f"{name}_FILE": path, **env}, check=code)
        assert says in error_lines(result)[0] and "qxjzvk" not in result.output, result

    fails(2, f"{name}_FILE in the environment: cannot open {path}")
    path.write_text("\n", encoding="utf-8")
    path.chmod(0o600)
    fails(2, "is empty")
    path.write_bytes(b"postgresql://qxjzvk\0")
    fails(2, "NUL byte")
    path.write_text("x" * 70000, encoding="utf-8")
    fails(2, "is larger than")
    path.write_text("postgresql://qxjzvk@h/d" if name == "BACKUP_TEST_URL" else "http://qxjzvk", encoding="utf-8")
    path.chmod(0o602)
    fails(12, "every user of this machine may write to it")
    path.chmod(0o600)
    fails(2, f"{name} and {name}_FILE in the environment exclude each other", **{name: "postgresql://h/d"})


@as_root
def test_whose_a_secret_is_is_told(opstower, folder):
    path = pathlib.Path(folder) / "secret"
    path.write_text("qxjzvk77", encoding="utf-8")
    path.chmod(0o604)
    os.chown(path, STRANGER, STRANGER)
    result = opstower("list", env={"DATABASE_NAME": "app", "DASHBOARD_TOKEN_FILE": path})
    assert f"[WARN] {path} belongs to " in result.stderr and "qxjzvk77" not in result.output


def test_a_stronger_source_wins_over_a_file(opstower, asking, folder):
    path = pathlib.Path(folder) / "password"
    path.write_text("wrong", encoding="utf-8")
    path.chmod(0o600)
    write_env(folder, f"DATABASE_URL=postgresql://owner@127.0.0.1:{asking.port}/app\nDATABASE_PASSWORD_FILE={path}\n")
    opstower("backup", check=5)
    opstower("backup", env={"DATABASE_PASSWORD": "postgres"})


# ---- the process, and its folder ----------------------------------------------------------------------------------------

def test_a_crash_leaves_no_core_file(opstower):
    """It would hold every secret of the run."""
    def unlimited():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    process = opstower.popen("serve", "--listen", "127.0.0.1:0", env={"DATABASE_NAME": "app"}, preexec_fn=unlimited,
                             stderr=subprocess.STDOUT)
    assert b"http://" in process.stdout.readline()
    process.send_signal(signal.SIGSEGV)
    process.stdout.close()
    assert not os.WCOREDUMP(os.waitpid(process.pid, 0)[1])
    process.returncode = -signal.SIGSEGV


@as_root
@pytest.mark.parametrize("act", ["list", "backup", "status"])
@pytest.mark.parametrize("below", ["", "/sub/backups"])
def test_a_folder_that_may_not_be_entered_is_named_and_whose_it_is(opstower, folder, act, below):
    closed = pathlib.Path(folder) / "closed"
    closed.mkdir(mode=0o700)
    os.chmod(folder, 0o755)
    program = pathlib.Path(folder) / "program"
    shutil.copy(runner.binary(), program)
    program.chmod(0o755)
    env = opstower.environment({"BACKUP_DIR": f"{closed}{below}", "DATABASE_NAME": "app"})
    result = subprocess.run([program, act, "--local-only"], env=env, cwd="/", user=STRANGER, group=STRANGER,
                            extra_groups=[], capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert f"Permission denied: {closed} belongs to root (mode 0700), and this runs as " in result.stdout + result.stderr


# ---- connections --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("part, warning", [
    ({"DATABASE_HOST": "elsewhere"}, "DATABASE_HOST is elsewhere, but DATABASE_URL says 127.0.0.1, which counts"),
    ({"DATABASE_PORT": "1"}, "DATABASE_PORT is 1, but DATABASE_URL says "),
    ({"DATABASE_NAME": "shop"}, "DATABASE_NAME is shop, but DATABASE_URL says app, which counts"),
    ({"DATABASE_USER": "bob"}, "DATABASE_USER is bob, but DATABASE_URL says owner, which counts"),
    ({"DATABASE_PASSWORD": "qxj"}, "DATABASE_PASSWORD is not the password in DATABASE_URL, which counts"),
])
def test_parts_that_disagree_with_the_url_are_told(opstower, asking, part, warning):
    url = f"postgresql://owner:postgres@127.0.0.1:{asking.port}/app"
    result = opstower("backup", env={"DATABASE_URL": url, **part})
    assert f"[WARN] {warning}" in result.stderr and "qxj" not in result.output
    same = {"DATABASE_HOST": "127.0.0.1", "DATABASE_PORT": asking.port, "DATABASE_NAME": "app", "DATABASE_USER": "owner",
            "DATABASE_PASSWORD": "postgres"}
    assert opstower("backup", env={"DATABASE_URL": url, **same}).stderr == ""


def own_address():
    """An address of this machine that is not a loopback one; None: it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


@pytest.fixture(scope="module")
def distant():
    """A server on an address that other machines could reach, without TLS until use_tls()."""
    address = own_address()
    if not address or address.startswith("127."):
        pytest.skip("this machine has no address but its own")

    class Distant(pgserver.Server):
        def __init__(self):
            self.address = address
            self.port, claim = ports.claim()
            with claim:
                super().__init__({"listen_addresses": f"127.0.0.1,{address}", "port": str(self.port)})

        def initdb(self):
            super().initdb()
            with open(os.path.join(self.data, "pg_hba.conf"), "a", encoding="utf-8") as file:
                file.write(f"host all all {address}/32 trust\nhost all all 127.0.0.1/32 trust\n")

        def connect(self, dbname="postgres", **options):
            return super().connect(dbname, port=self.port, **options)

        def use_tls(self):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                            "-nodes", "-days", "10", "-subj", "/CN=db", "-keyout", "server.key", "-out", "server.crt"],
                           cwd=self.data, check=True, capture_output=True)
            owner = os.stat(self.data)
            for name in ("server.key", "server.crt"):
                os.chmod(os.path.join(self.data, name), 0o600)
                os.chown(os.path.join(self.data, name), owner.st_uid, owner.st_gid)
            self.query("ALTER SYSTEM SET ssl = on")
            self.query("SELECT pg_reload_conf()")

    with Distant() as started:
        started.query("CREATE DATABASE app TEMPLATE template0")
        yield started


def test_a_connection_that_can_be_read_on_the_way_is_told_and_can_be_forbidden(opstower, distant):
    def url(host, query=""):
        return {"DATABASE_URL": f"postgresql://postgres@{host}:{distant.port}/app{query}"}

    told = f"[WARN] the connection to {distant.address} is not encrypted"
    forbidden = {"BACKUP_REQUIRE_SSL": "true"}
    assert told in opstower("backup", env=url(distant.address)).stderr
    status = opstower("status", "--json", env=url(distant.address), check=False)
    assert "the connection is not encrypted" in status.stdout
    for query in ("", "?sslmode=disable", "?sslmode=prefer"):
        (error,) = error_lines(opstower("backup", env={**url(distant.address, query), **forbidden}, check=5))
        assert "SSL" in error
    opstower("backup", env={**url(distant.address), **forbidden, "PGSSLMODE": "allow"}, check=5)
    opstower("backup", env={**url(f"127.0.0.1:1,{distant.address}"), **forbidden}, check=5)
    for here in (url("127.0.0.1"), url("localhost"), url("", f"?host={distant.socket}")):
        assert "not encrypted" not in opstower("backup", env={**here, **forbidden}).output
    distant.use_tls()
    deadline = time.monotonic() + 30
    while distant.query("SHOW ssl") != [("on",)]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert opstower("backup", env={**url(distant.address), **forbidden}).stderr == ""


# ---- where settings come from -------------------------------------------------------------------------------------------

def test_the_source_of_every_setting_can_be_shown(opstower, folder):
    secret = pathlib.Path(folder) / "secret"
    secret.write_text("qxjzvk", encoding="utf-8")
    secret.chmod(0o600)
    write_env(folder, f"BACKUP_KEEP_MIN=5\nDATABASE_NAME=app\nBACKUP_JOBS=2\nDASHBOARD_TOKEN_FILE={secret}\n"
                      "PGSSLMODE=require\nPGPASSWORD=qxjwfp\nALERT_EMAIL=a@b,c@d\n")
    env = {"BACKUP_JOBS": "3", "DATABASE_URL": "postgresql://u:qxjkkk@h/d", "HEARTBEAT_URL": "http://h/qxj"}
    result = opstower("config", "--json", env=env)
    shown = {each["name"]: (each["value"], each["source"]) for each in json.loads(result.stdout)}
    assert shown["BACKUP_KEEP_MIN"] == ("5", ".env:1") and shown["BACKUP_RETENTION_DAYS"] == ("30", "default")
    assert shown["BACKUP_JOBS"] == ("3", "the environment") and shown["AWS_REGION"] == (None, None)
    assert shown["BACKUP_COMPRESS_LEVEL"] == ("fast", "default") and shown["ALERT_EMAIL"] == ("a@b,c@d", ".env:7")
    assert shown["DASHBOARD_TOKEN"] == ("(a secret)", "DASHBOARD_TOKEN_FILE in .env:4")
    assert shown["PGSSLMODE"] == ("require", ".env") and shown["PGPASSWORD"] == ("(a secret)", ".env")
    assert shown["DATABASE_URL"] == shown["HEARTBEAT_URL"] == ("(a secret)", "the environment")
    assert shown["DATABASE_PORT"] == (None, None)
    text = opstower("config", env=env).stdout
    assert "qxj" not in result.output + text
    assert any(line.split() == ["BACKUP_KEEP_MIN", "5", ".env:1"] for line in text.splitlines())
    assert {line.split()[0] for line in text.splitlines()[1:]} == set(shown)
