"""Settings that are not what they look like: URLs that can be read in two ways, files of others, names of others."""
import pathlib

import pytest

from lib import pgserver


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
