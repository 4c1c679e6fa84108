"""`opstower serve` over HTTP: what it answers, whom it refuses, and that no client can bring it down."""
import base64
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
import warnings

import pytest

from lib import backups, dashboard, sample
from lib.dashboard import Dashboard, Past

PAGES = ["/", "/backups", "/history", "/recovery", "/journal", "/retention"]
TOKEN = "a-token-of-24-characters"
SMALL = "CREATE TABLE small (id int PRIMARY KEY, t text); INSERT INTO small SELECT g, md5(g::text) FROM generate_series(1, 50) g"


@pytest.fixture
def database(db, opstower):
    made = db()
    made.query(SMALL)
    opstower.env["DATABASE_URL"] = made.url
    return made


@pytest.fixture
def serve(opstower, database):
    """A dashboard of one backup."""
    backups.take(opstower, database, "--tag", "v1")
    with Dashboard(opstower) as started:
        yield started


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def raw(served, data, timeout=20, source="127.0.0.1"):
    """Sends bytes, returns all that comes back until the other side closes."""
    with socket.create_connection((served.host, served.port), timeout, (source, 0)) as connection:
        connection.sendall(data)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                received += chunk
    return received


# ---- what it shows ---------------------------------------------------------------------------------------------------

def test_pages_show_the_backup_and_are_safe(serve, opstower, database):
    (made,) = backups.all_of(opstower)
    for path in [*PAGES, f"/backups/{made.id}"]:
        answer = serve.get(path)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert (answer.headers["x-content-type-options"], answer.headers["referrer-policy"]) == ("nosniff", "no-referrer")
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r'(src|href)="(https?:)?//', answer.text), "a resource of somebody else"
        assert "<script" not in answer.text and " style=" not in answer.text
    assert made.id in serve.get("/backups").text and "v1" in serve.get("/backups").text
    page = serve.get(f"/backups/{made.id}").text
    assert "public.small" in page and made.meta["tables"][0]["fingerprint"] in page
    assert f"opstower restore {made.id}" in page


def test_head_has_the_headers_of_get_and_no_body(serve):
    answer = serve.request("HEAD", "/backups")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 1000


def test_json_is_that_of_the_commands(serve, opstower):
    (listed,) = json.loads(opstower("list", "--json").stdout)
    answer = serve.get("/api/backups")
    assert answer.headers["content-type"] == "application/json"
    (shown,) = answer.json["backups"]
    assert {**shown, "age_seconds": 0} == {**listed, "age_seconds": 0} and answer.json["total"] == 1
    status = json.loads(opstower("status", "--json", check=False).stdout)
    shown = serve.get("/api/status").json
    assert shown["database"] == status["database"] and shown["verdict"] == status["verdict"]
    assert [check["name"] for check in shown["checks"]] == [check["name"] for check in status["checks"]]
    journal = serve.get("/api/journal").json
    lines = [json.loads(line) for line in (pathlib.Path(opstower.backup_dir) / "journal.jsonl").read_text().splitlines()]
    assert journal["journal"] == lines[::-1] and journal["total"] == len(lines)


def test_metrics_are_those_of_status(serve, opstower):
    answer = serve.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = set(re.findall(r"^# TYPE (\S+)", opstower("status", "--prometheus", check=False).stdout, re.M))
    assert len(families) > 5 and families <= set(re.findall(r"^# TYPE (\S+)", answer.text, re.M))
    assert re.search(r"^opstower_dashboard_look_ok 1$", answer.text, re.M)


def test_a_new_backup_appears(serve, opstower, database):
    assert serve.get("/api/backups").json["total"] == 1
    time.sleep(1.1)
    made = backups.take(opstower, database)
    deadline = time.monotonic() + 60
    while serve.get("/api/backups").json["total"] != 2:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert made.id in serve.get("/backups").text


def test_the_journal_is_filtered_and_paged(opstower, database):
    past = Past(opstower, database)
    for hours in range(1, 130):
        past.line(past.ago(hours=hours), "backup", *(("failed", 4) if hours % 10 == 0 else ()), database=database.name)
    past.line(past.ago(days=20), "drill", scenario="corruption")
    past.write()
    with Dashboard(opstower) as served:
        rows = re.compile(r'class="id">#(\d+)<')
        assert rows.findall(served.get("/journal").text) == [str(n) for n in range(130, 80, -1)]
        assert rows.findall(served.get("/journal?page=3").text) == [str(n) for n in range(30, 0, -1)]
        assert rows.findall(served.get("/journal?act=drill").text) == ["1"]
        failed = served.get("/journal?act=backup&result=failed").text
        assert len(rows.findall(failed)) == 12
        day = past.ago(days=20).date().isoformat()
        assert rows.findall(served.get(f"/journal?until={day}").text) == ["1"]
        assert rows.findall(served.get(f"/journal?since={day}&until={day}&act=drill").text) == ["1"]
        assert "No line" in served.get("/journal?act=%3Cscript%3E").text
        for odd in ("page=0", "page=999999999999", "page=-1", "since=tomorrow", "since=2026-99-99", "act=" + "x" * 300, "%ff=%fe"):
            served.get("/journal?" + odd)
        assert len(served.get("/api/journal?limit=7&offset=3").json["journal"]) == 7
        assert served.get("/api/journal?limit=100000").json["journal"][0]["seq"] == 130


def test_another_databases_acts_are_not_ours(opstower, database):
    """Folders are shared: the journal shows every act, all other pages those of this database."""
    past = Past(opstower, database)
    past.backup(past.ago(minutes=5))
    past.line(past.ago(hours=5), "backup", "failed", 7, error="not ours", database="another")
    past.line(past.ago(hours=6), "backup", id="another_20260101_000000", size=10 ** 12, database="another")
    past.line(past.ago(hours=7), "verify", full_test=True, id="another_20260101_000000", database="another")
    past.line(past.ago(hours=8), "drill", scenario="of nobody")
    past.write()
    past.forget_model()
    with Dashboard(opstower) as served:
        assert "not ours" in served.get("/journal").text
        assert "failed: 0<" in served.get("/").text
        assert "GB" not in served.get("/history").text
        recovery = served.get("/recovery").text
        assert "another" not in recovery and "of nobody" in recovery


def expiring(page, backup, days):
    """How many the calendar shows here on the day on which that backup has had so many days."""
    day = datetime.datetime.strptime(backup[-15:], "%Y%m%d_%H%M%S") + datetime.timedelta(days=days)
    cell = re.search(rf'<td[^>]*><span class="day">{day.day}(<span[^>]*> \(today\)</span>)?</span>(.*?)</td>', page)[2]
    found = re.search(r"\b(\d+)<span class=\"hidden\"> here", cell)
    return found and found[1]


def test_retention_does_not_count_days_without_backups(opstower, database):
    """Of 45 days without any 7 count: what is of before goes 38 days later."""
    past = Past(opstower, database)
    before = past.backup(past.ago(days=45, minutes=125))
    for minutes in (5, 65, 125):
        past.backup(past.ago(minutes=minutes))
    past.write()
    past.forget_model()
    with Dashboard(opstower) as served:
        page = served.get("/retention").text
    assert expiring(page, before, 30 + 38) == "1"
    assert "within 30 days: 38 days without backups are not counted" in page


def test_retention_tells_when_backups_go(opstower, database):
    """Ages decide the day in the calendar; what the rules say of old ones is what `opstower prune` says."""
    past = Past(opstower, database)
    soon = past.backup(past.ago(days=25, hours=3))
    past.backup(past.ago(days=25, hours=2), type="pre-maintenance")
    for days in (5, 10, 15, 20, 30, 35):
        past.backup(past.ago(days=days), type="pre-maintenance")
    old = [past.backup(past.ago(days=40, hours=hours)) for hours in range(4)]
    held = past.backup(past.ago(days=50))
    for minutes in (5, 65, 125):
        past.backup(past.ago(minutes=minutes))
    past.write()
    past.forget_model()
    opstower("hold", "add", held, "--reason", "an <audit>")
    said = {entry["id"]: entry for entry in json.loads(opstower("prune", "--json").stdout)}
    with Dashboard(opstower) as served:
        page = served.get("/retention").text
        assert expiring(page, soon, 30) == "1"
        rows = dict(re.findall(r'<tr><th scope="row"><a href="/backups/([^"]+)">.*?data-label="Next run"><span[^>]*>(\w+)<', page))
        assert rows.pop(held) == "stays"
        assert rows == {each: "goes" for each in old}
        assert {each for each, entry in said.items() if entry["verdict"] == "delete"} == set(old)
        assert "an &lt;audit&gt;" in page and "without an end" in page
    assert set(old) <= {backup.id for backup in backups.all_of(opstower)}, "looking deletes nothing"


def test_text_from_outside_is_escaped(opstower, database):
    evil = '<script>alert(1)</script>&amp;"\'><img src=x>\u202e'
    past = Past(opstower, database)
    made = past.backup(past.ago(minutes=5), tag=evil, database_size=evil, postgresql_version=evil, sha256=evil,
                       tables=[{"schema": evil, "name": evil, "rows": 1, "fingerprint": evil}])
    past.line(past.ago(minutes=4), evil, "failed", 1, error=evil, id=evil, database=database.name, **{evil: evil})
    past.line(past.ago(minutes=3), "drill", scenario=evil, database=database.name)
    past.write()
    with Dashboard(opstower) as served:
        for path in [*PAGES, f"/backups/{made}", "/journal?act=" + dashboard.quote(evil),
                     "/" + dashboard.quote(evil), "/backups/" + dashboard.quote(evil)]:
            text = served.request("GET", path).text
            assert "<script" not in text and "<img" not in text, path
            assert text.count("alert(1)") == text.count("&lt;script&gt;alert(1)"), path
        assert "&lt;script&gt;" in served.get(f"/backups/{made}").text, "it is shown"
        assert "&lt;script&gt;" in served.get("/recovery").text


def test_a_database_with_an_odd_name(db, opstower):
    made = db(name='odd <b>&"%20é')
    opstower.env["DATABASE_URL"] = made.url
    backup = backups.take(opstower, made)
    with Dashboard(opstower) as served:
        page = served.get("/backups").text
        (link,) = set(re.findall(r'href="(/backups/[^"]+)"', page))
        assert backup.id in served.get(link).json["id"] if link.startswith("/api") else served.get(link).status == 200
        assert "odd &lt;b&gt;" in page


def test_no_secret_is_on_any_page(opstower, server, database):
    backups.take(opstower, database)
    secret = "hunter2-and-more"
    env = {"DATABASE_URL": server.url(database.name, password=secret), "AWS_SECRET_ACCESS_KEY": secret + "-aws",
           "AWS_ACCESS_KEY_ID": "AKIA", "BACKUP_S3_BUCKET": "no-such", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
           "DASHBOARD_TOKEN": secret + "-token", "BACKUP_S3_RETRY_TIME": "1"}
    with Dashboard(opstower, env=env) as served:
        for path in [*PAGES, "/metrics", "/api/status", "/api/backups", "/api/journal"]:
            assert secret not in served.get(path, {"Authorization": f"Bearer {secret}-token"}).text
    assert secret not in "".join(served.output)


# ---- when things are gone --------------------------------------------------------------------------------------------

def test_it_stays_up_when_all_is_gone(opstower, make_server, db):
    server = make_server()
    made = db(on=server)
    made.query(SMALL)
    opstower.env["DATABASE_URL"] = made.url
    backups.take(opstower, made)
    with Dashboard(opstower) as served:
        assert served.get("/api/status").json["database"] == made.name
        server.stop()
        dashboard.remove_folder(opstower)
        deadline = time.monotonic() + 120
        while served.get("/api/status").json["verdict"] != "CRITICAL":
            assert time.monotonic() < deadline
            time.sleep(1)
        for path in PAGES:
            assert served.get(path).status == 200
        assert "is not there" in served.get("/backups").text
        assert served.get("/api/backups", status=503).json["error"]
        assert "Critical" in served.get("/").text and "All is well" not in served.get("/").text


def test_s3_that_hangs_makes_no_page_hang(opstower, database):
    """A server that accepts and never answers."""
    backups.take(opstower, database)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = {"BACKUP_S3_BUCKET": "bucket", "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{silent.getsockname()[1]}",
               "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        with Dashboard(opstower, env=env) as served:
            started = time.monotonic()
            page = served.get("/backups")
            assert time.monotonic() - started < 8
            assert "S3 has not answered yet" in page.text
            started = time.monotonic()
            for path in PAGES:
                served.get(path)
            assert time.monotonic() - started < 5, "only the first waits"
            assert "All is well" not in served.get("/").text
            stopping = time.monotonic()
        assert time.monotonic() - stopping < 15


def test_copies_in_s3_are_shown(opstower, database, s3, bucket):
    opstower.env.update(s3.environment(bucket))
    opstower("backup")
    with Dashboard(opstower) as served:
        deadline = time.monotonic() + 60
        while not served.get("/api/backups").json["s3_looked"]:
            assert time.monotonic() < deadline
            time.sleep(0.3)
        (entry,) = served.get("/api/backups").json["backups"]
        assert {copy["place"]: copy["state"] for copy in entry["copies"]} == {"local": "present", "s3": "present"}
        for path in pathlib.Path(opstower.backup_dir).glob("*_2*"):
            path.unlink()
        deadline = time.monotonic() + 60
        while len(served.get("/api/backups").json["backups"][0]["copies"]) != 1:
            assert time.monotonic() < deadline
            time.sleep(0.3)
        page = served.get(f"/backups/{entry['id']}").text
        assert "no copy" in page and "--from-s3" in page


# ---- who may ask -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("host,status", [
    ("localhost", 200), ("127.0.0.1:8484", 200), ("LOCALHOST:1", 200), ("[::1]:8484", 200), ("localhost.", 200),
    ("evil.example", 421), ("evil.example:8484", 421), ("127.0.0.1.evil.example", 421), ("", 421), ("localhost@evil", 421),
    ("board.example.com", 421)])
def test_a_foreign_host_name_is_refused(serve, host, status):
    for path in ("/", "/metrics", "/api/journal", "/healthz", "/style.css"):
        assert serve.request("GET", path, {"Host": host}).status == status


def test_a_host_name_can_be_added(opstower, database):
    with Dashboard(opstower, env={"DASHBOARD_HOSTS": "board.example.com, other"}) as served:
        assert served.get("/", {"Host": "Board.example.com:443"}).status == 200
        assert served.get("/", {"Host": "evil.example"}, status=421)


@pytest.mark.parametrize("listen", ["0.0.0.0:0", ":0", "[::]:0"])
def test_without_a_login_it_is_for_this_machine_only(opstower, database, listen):
    result = opstower("serve", "--listen", listen, check=2)
    assert "DASHBOARD_TOKEN" in backups.error_lines(result)[0]


@pytest.mark.parametrize("env,what", [
    ({"DASHBOARD_TOKEN": "fifteen-letters"}, "too short"), ({"DASHBOARD_USER": "a"}, "go together"),
    ({"DASHBOARD_PASSWORD": "long enough"}, "go together"),
    ({"DASHBOARD_USER": "a:b", "DASHBOARD_PASSWORD": "long enough"}, "colon"),
    ({"DASHBOARD_USER": "a", "DASHBOARD_PASSWORD": "seven-7"}, "too short"),
    ({"DASHBOARD_TLS_KEY": "/nonexistent"}, "go together"),
    ({"DASHBOARD_LISTEN": "example.com:80"}, "neither an IP address"), ({"DASHBOARD_LISTEN": "127.0.0.1"}, "ADDRESS:PORT"),
    ({"BACKUP_S3_BUCKET": "b"}, "bucket"), ({"DASHBOARD_LISTEN": "127.0.0.1:70000"}, "ADDRESS:PORT"), ({"DASHBOARD_LISTEN": "::1:80"}, "ADDRESS:PORT")])
def test_settings_that_are_not_safe_are_refused(opstower, database, env, what):
    result = opstower("serve", env=env, check=2)
    (line,) = backups.error_lines(result)
    assert what in line


def test_token_and_password(opstower, database):
    env = {"DASHBOARD_TOKEN": TOKEN, "DASHBOARD_USER": "ops", "DASHBOARD_PASSWORD": "pass:wörd"}
    with Dashboard(opstower, env=env) as served:
        for good in ({"Authorization": f"Bearer {TOKEN}"}, {"authorization": f"bearer {TOKEN}"}, basic("ops", "pass:wörd"),
                     basic("anybody", TOKEN)):
            assert served.get("/api/status", good).status == 200
        bad = [{}, {"Authorization": "Bearer "}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": f"Bearer {TOKEN[:-1]}"},
               {"Authorization": "Basic !!!"}, {"Authorization": TOKEN}, basic("ops", "wrong"), basic("other", "pass:wörd"),
               basic("ops", ""), {"Authorization": "Basic " + base64.b64encode(b"no colon").decode()},
               {"Authorization": "Digest x"}, {"Authorization": "Bearer pass:word"}]
        for headers in bad:
            for path in ("/", "/metrics", "/api/journal", "/style.css", "/nothing"):
                answer = served.request("GET", path, headers)
                assert answer.status == 401 and "Basic" in answer.headers["www-authenticate"], (headers, path)
        assert served.get("/healthz").text == "ok\n"
    refused = [line for line in served.output if "refused" in line]
    assert len(refused) == 1 and "127.0.0.1" in refused[0], "told, but not for each"


def test_on_every_address_with_a_login(opstower, database):
    with Dashboard(opstower, "--listen", "0.0.0.0:0", env={"DASHBOARD_TOKEN": TOKEN}) as served:
        assert served.get("/", {"Authorization": f"Bearer {TOKEN}", "Host": "db1.example.com"}).status == 200
        assert served.get("/", {"Host": "db1.example.com"}, status=401)
    assert any("without TLS" in line for line in served.output)


def make_certificate(folder, name="cert"):
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    key.chmod(0o600)
    return cert, key


def shown_certificate(served):
    return ssl.get_server_certificate((served.host, served.port), timeout=10)


def wait_until(what, seconds=60):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "that did not come"
        time.sleep(0.1)


def test_a_new_certificate_is_used_without_a_restart(opstower, database, tmp_path):
    (cert, key), (next_cert, next_key) = make_certificate(tmp_path), make_certificate(tmp_path, "next")
    before, after = cert.read_text(), next_cert.read_text()

    def warned():
        return [line for line in served.output if "WARN" in line]
    with Dashboard(opstower, "--tls-cert", cert, "--tls-key", key) as served:
        assert shown_certificate(served) == before
        context = ssl.create_default_context(cafile=str(cert))
        kept = http.client.HTTPSConnection(served.host, served.port, timeout=30, context=context)

        def serves_on():
            """To who was connected before, and is all the time."""
            kept.request("GET", "/healthz")
            return kept.getresponse().read() == b"ok\n"
        assert serves_on()
        threads = len(os.listdir(f"/proc/{served.process.pid}/task"))
        os.replace(next_cert, cert)     # without its key
        wait_until(lambda: serves_on() and warned())
        assert "cannot be used" in warned()[0] and "not a pair" in warned()[0]
        assert shown_certificate(served) == before
        os.replace(next_key, key)
        wait_until(lambda: serves_on() and shown_certificate(served) == after)
        assert serves_on()
        kept.close()
        with urllib.request.urlopen(served.url + "/healthz", context=ssl.create_default_context(cafile=str(cert))) as answer:
            assert answer.read() == b"ok\n"
        wait_until(lambda: any("new certificate" in line for line in served.output))
        assert len(warned()) == 1, served.output
        wait_until(lambda: len(os.listdir(f"/proc/{served.process.pid}/task")) <= threads)     # the old server has ended


def test_tls(opstower, database, tmp_path):
    cert, key = make_certificate(tmp_path)
    with Dashboard(opstower, "--tls-cert", cert, "--tls-key", key) as served:
        context = ssl.create_default_context(cafile=str(cert))
        with urllib.request.urlopen(served.url + "/healthz", context=context) as answer:
            assert answer.read() == b"ok\n"
        old = ssl.create_default_context(cafile=str(cert))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(OSError):
            urllib.request.urlopen(served.url + "/healthz", context=old)
        assert b"HTTP/1.1 200" not in raw(served, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert "WARN" not in "".join(served.output)
    key.chmod(0o644)
    with Dashboard(opstower, "--tls-cert", cert, "--tls-key", key) as served:
        pass
    assert any("other users can read the private key" in line for line in served.output)
    key.write_text("no key")
    assert "not a pair" in opstower("serve", "--tls-cert", cert, "--tls-key", key, check=3).stderr


# ---- bad input -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_only_get_and_head(serve, method):
    answer = raw(serve, f"{method} / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello".encode())
    assert answer.startswith(b"HTTP/1.1 405 ") and b"Allow: GET, HEAD" in answer
    serve.get("/healthz")


@pytest.mark.parametrize("path", [
    "/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/backups/../../etc/passwd", "/backups/%2e%2e/%2e%2e/etc/passwd",
    "/backups/..%2Fjournal.jsonl", "/style.css/../journal.jsonl", "/backups/", "/backups/a%00b", "//", "/backups/%ff",
    "/%c0%ae", "/api", "/api/", "/api/status/", "/backups/" + "x" * 3000, "/journal.jsonl", "/.env", "/" + "%" * 50])
def test_paths_lead_nowhere_else(serve, path):
    answer = serve.request("GET", path)
    assert answer.status in (400, 404) and b"root:" not in answer.body and b'"seq"' not in answer.body


MALFORMED = [
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
    b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"\x00" * 500, b"A" * 20000,
    b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 20000 + b"\r\n",
    b"GET /?" + b"a=b&" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic " + b"A" * 9000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\nHost: localhost\n\n" * 3,
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 300000,
]


@pytest.mark.parametrize("number", sample.every(3, range(len(MALFORMED))))
def test_malformed_requests(serve, number):
    with socket.create_connection((serve.host, serve.port), 20) as connection:
        with contextlib.suppress(OSError):     # it may have been ended before all was sent
            connection.sendall(MALFORMED[number])
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
    assert serve.get("/healthz").text == "ok\n" and serve.process.poll() is None


def test_huge_requests_are_refused_by_name(serve):
    assert raw(serve, MALFORMED[11]).startswith(b"HTTP/1.1 414 ")
    assert re.match(rb"HTTP/1.1 (431|413) ", raw(serve, MALFORMED[13]))


def test_pipelined_requests_are_answered_in_order(serve):
    requests = [b"/healthz", b"/nothing", b"/style.css", b"/healthz"] * 10
    data = b"".join(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n" for path in requests)
    data += b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answers = re.findall(rb"HTTP/1\.1 (\d+) ", raw(serve, data))
    assert answers == [b"200", b"404", b"200", b"200"] * 10 + [b"200"]


class Drip(threading.Thread):
    """Slow clients: each sends a byte of a header that never ends, again and again; broken ones come back."""

    def __init__(self, served, count, sources=("127.0.0.1",)):
        super().__init__(daemon=True)
        self.served, self.count, self.sources = served, count, sources
        self.stop, self.open, self.ended_by_server = False, [], 0

    def connect(self, number):
        made = socket.create_connection((self.served.host, self.served.port), 5, (self.sources[number % len(self.sources)], 0))
        made.setblocking(False)
        made.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        return made

    def run(self):
        self.open = [self.connect(number) for number in range(self.count)]
        while not self.stop:
            for number, each in enumerate(self.open):
                try:
                    each.send(b"a")
                    with contextlib.suppress(BlockingIOError):
                        if each.recv(1000) == b"":
                            raise ConnectionResetError
                except OSError:
                    each.close()
                    self.ended_by_server += 1
                    with contextlib.suppress(OSError):
                        self.open[number] = self.connect(number)
            time.sleep(0.3)
        for each in self.open:
            each.close()


def ask_again(served, path, tries=3):
    """As a browser does by itself when a connection ends without an answer: whoever comes among a hundred others in the
    same moment, from the same address, can be taken for the one that has been sending for longest."""
    for _ in range(tries - 1):
        with contextlib.suppress(ConnectionError):
            return served.get(path, timeout=10)
    return served.get(path, timeout=10)


@pytest.mark.parametrize("sources", [("127.0.0.1",), tuple(f"127.0.0.{n}" for n in range(2, 12))], ids=["one", "many"])
def test_slow_clients_do_not_keep_others_out(serve, sources):
    serve.get("/")
    before = serve.memory_kib()
    slow = Drip(serve, 200, sources)
    slow.start()
    try:
        deadline = time.monotonic() + 90
        answered, slowest = 0, 0
        while answered <= 20 or slow.ended_by_server <= 100:
            started = time.monotonic()
            assert started < deadline, "whoever drips is ended"
            assert ask_again(serve, "/backups").status == 200
            slowest = max(slowest, time.monotonic() - started)
            answered += 1
            time.sleep(0.1)
        grown = serve.memory_kib() - before
        print(f"{answered} answers, slowest {slowest:.2f} s, {grown} KiB more memory, {slow.ended_by_server} ended")
        assert slowest < 8
        assert grown < 40000
    finally:
        slow.stop = True
        slow.join()
    deadline = time.monotonic() + 60
    while serve.descriptors() > 40:
        assert time.monotonic() < deadline, "connections are given back"
        time.sleep(0.5)


def test_a_client_that_takes_no_answer_is_ended(serve):
    """Many requests, nothing read: memory stays bounded, and others are answered."""
    serve.get("/")
    before = serve.memory_kib()
    request = b"GET /backups HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            connection = stack.enter_context(socket.create_connection((serve.host, serve.port), 5))
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                for _ in range(2000):
                    connection.send(request)
        for _ in range(10):
            serve.get("/backups")
        assert serve.memory_kib() - before < 40000


def test_memory_does_not_grow_with_requests(serve):
    paths = [*PAGES, "/metrics", "/api/status", "/api/backups", "/nothing"]
    for path in paths * 20:
        serve.request("GET", path)
    before = serve.memory_kib()
    for path in paths * 100:
        serve.request("GET", path)
    assert serve.memory_kib() - before < 8000


# ---- start and end ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(opstower, database, number):
    with Dashboard(opstower) as served:
        served.get("/")
        with socket.create_connection((served.host, served.port)):
            served.process.send_signal(number)
            assert served.process.wait(10) == 0
    assert not any("ERROR" in line for line in served.output)
    assert "journal.jsonl" not in opstower.files(), "looking is not an act"


def test_a_port_in_use_is_said(opstower, database):
    with Dashboard(opstower) as served:
        result = opstower("serve", "--listen", f"127.0.0.1:{served.port}", check=3)
        (line,) = backups.error_lines(result)
        assert str(served.port) in line and "in use" in line


def test_nothing_is_written(serve, opstower):
    def state():
        return {name: os.stat(os.path.join(opstower.backup_dir, name), follow_symlinks=False).st_mtime_ns
                for name in os.listdir(opstower.backup_dir)}
    before = state()
    for path in [*PAGES, "/metrics", "/api/status"]:
        serve.get(path)
    assert state() == before
