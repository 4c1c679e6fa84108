"""Metrics, rules and dashboard, held against each other and against the real Prometheus."""
import http.server
import json
import pathlib
import re
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
import yaml

from lib import ports
from lib.backups import moved, take
from lib.clock import HOUR, shifted
from lib.dashboard import Dashboard

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "packaging/prometheus/opstower.rules.yml"
RULES_TEST = ROOT / "packaging/prometheus/opstower.rules.test.yml"
DASHBOARD = ROOT / "packaging/grafana/opstower.json"
NAME = re.compile(r"\bopstower_[a-z0-9_]+")


@pytest.fixture
def database(db, opstower):
    made = db()
    made.query("CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 100)")
    opstower.env["DATABASE_URL"] = made.url
    return made


def metrics(opstower, **options):
    return opstower("status", "--prometheus", check=False, **options).stdout


def samples(text):
    """{(name, labels as text): value}"""
    found = re.findall(r'^([a-z0-9_]+)(\{[^\n]*\})? (\S+)$', text, re.M)
    assert len(found) == len([line for line in text.splitlines() if not line.startswith("#")])
    return {(name, labels): float(value) for name, labels, value in found}


def families(text):
    return set(re.findall(r"^# TYPE (\S+) gauge$", text, re.M))


def families_with_samples(text):
    return {name for name, _ in samples(text)}


def promtool(*words, **options):
    return subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, check=False, **options)


# ---- the text --------------------------------------------------------------------------------------------------------

def test_promtool_finds_no_fault_in_the_metrics(opstower, database):
    for _ in range(2):
        text = metrics(opstower)
        result = promtool("check", "metrics", input=text)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", ""), result
        assert len(families(text)) == text.count("# HELP ") == text.count("# TYPE ") > 25
        take(opstower, database)


def test_values_are_those_of_the_backup(opstower, database):
    backup = take(opstower, database)
    found = samples(metrics(opstower))
    of = f'{{database="{database.name}"}}'
    assert found["opstower_backup_size_bytes", of] == backup.path.stat().st_size
    assert found["opstower_backup_rows", of] == 100 and found["opstower_backup_success_ratio", of] == 1
    assert 0 <= found["opstower_backup_age_seconds", of] < 60
    assert abs(found["opstower_backup_last_timestamp_seconds", of] - time.time()) < 60
    verdicts = {labels: value for (name, labels), value in found.items() if name == "opstower_check_verdict"}
    assert verdicts[f'{{database="{database.name}",check="backup_age"}}'] == 0 and len(verdicts) > 10
    late = samples(metrics(opstower, env=shifted(5 * HOUR)))
    assert late["opstower_check_verdict", f'{{database="{database.name}",check="backup_age"}}'] == 2


def test_odd_names_are_escaped(opstower, db):
    odd = db(name='a"b\\c\nd')
    opstower.env["DATABASE_URL"] = odd.url
    text = metrics(opstower)
    assert promtool("check", "metrics", input=text).returncode == 0
    assert 'opstower_verdict{database="a\\"b\\\\c\\nd"} 2\n' in text
    assert opstower("status", "--nagios", check=2).stdout.count("\n") == 1


def test_several_databases_are_one_set(opstower, database, db):
    other = db(name=database.name + "_2")
    take(opstower, other)
    text = metrics(opstower)
    assert other.name + '"' not in text
    text = opstower("status", "--prometheus", "--all", env=shifted(3 * HOUR), check=False).stdout
    assert promtool("check", "metrics", input=text).returncode == 0
    assert f'opstower_verdict{{database="{database.name}"}} 2' in text
    assert f'opstower_verdict{{database="{other.name}"}} 1' in text


# ---- rules and dashboard ---------------------------------------------------------------------------------------------

def test_the_rules_are_valid_and_do_what_their_tests_say():
    result = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert result.returncode == 0, result.stdout + result.stderr
    result = promtool("test", "rules", RULES_TEST, cwd=RULES.parent)
    assert result.returncode == 0, result.stdout + result.stderr


def test_each_rule_has_a_test():
    names = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
    fired = {case["alertname"] for test in yaml.safe_load(RULES_TEST.read_text())["tests"]
             for case in test["alert_rule_test"] if case.get("exp_alerts")}
    assert fired == names


@pytest.mark.parametrize("path", [RULES, RULES_TEST, DASHBOARD], ids=lambda path: path.name)
def test_rules_and_dashboard_name_metrics_that_there_are(opstower, database, path):
    assert database
    named = set(NAME.findall(path.read_text(encoding="utf-8")))
    assert len(named) > 5 and named - families(metrics(opstower)) == set()


def test_the_dashboard_shows_every_metric_and_parses(opstower, database):
    assert database
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) and all(panel["targets"] for panel in panels)
    boxes = [(p["gridPos"]["x"], p["gridPos"]["y"], p["gridPos"]["w"], p["gridPos"]["h"]) for p in panels]
    assert all(x + w <= 24 for x, _, w, _ in boxes)
    for i, (x, y, w, h) in enumerate(boxes):
        for u, v, k, m in boxes[i + 1:]:
            assert x + w <= u or u + k <= x or y + h <= v or v + m <= y, "panels overlap"
    shown = set(NAME.findall(DASHBOARD.read_text(encoding="utf-8")))
    assert families(metrics(opstower)) - shown <= {"opstower_info", "opstower_status_timestamp_seconds",
                                                   "opstower_rto_seconds", "opstower_s3_upload_ratio",
                                                   "opstower_backup_tables"}


# ---- the real Prometheus ---------------------------------------------------------------------------------------------

class Prometheus:
    """Prometheus with our rules, which scrapes one target each second."""

    def __init__(self, folder, target):
        self.folder, self.target = pathlib.Path(folder) / "prometheus", target
        self.port, self.claim = ports.claim()

    def __enter__(self):
        self.folder.mkdir()
        config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(RULES)],
                  "scrape_configs": [{"job_name": "opstower", "static_configs": [{"targets": [self.target]}]}]}
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}", "--web.enable-lifecycle"], stdout=log, stderr=log)
        return self

    def __exit__(self, *exc_info):
        self.process.terminate()
        self.process.wait(30)
        self.claim.close()

    def ask(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def wait(self, condition, seconds=60):
        """What `condition` returns as soon as it is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                found = condition()
                if found:
                    return found
            except (urllib.error.URLError, ConnectionError):
                assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.3)
        raise AssertionError(f"not within {seconds} s; log:\n{(self.folder / 'log').read_text()[-3000:]}")

    def values(self, metric):
        return {each["metric"]["database"]: float(each["value"][1]) for each in self.ask("query", query=metric)["result"]}

    def firing(self):
        return {(each["labels"]["alertname"], each["labels"].get("check")) for each in self.ask("alerts")["alerts"]
                if each["state"] == "firing"}


@pytest.fixture
def textfile_server(folder):
    """Serves one file of metrics, as node_exporter does; the file, and where it is to be scraped."""
    path = pathlib.Path(folder) / "opstower.prom"

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):   # pylint: disable=invalid-name
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(path.read_bytes())

        def log_message(self, *args):   # pylint: disable=arguments-differ
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield path, f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_prometheus_scrapes_the_textfile_and_fires_the_rules(opstower, database, folder, textfile_server):
    path, target = textfile_server
    opstower("status", "--prometheus", "--output", path, check=2)
    with Prometheus(folder, target) as prometheus:
        prometheus.wait(lambda: ("OpstowerNoBackup", None) in prometheus.firing())
        assert prometheus.values("opstower_verdict") == {database.name: 2}
        rules = prometheus.ask("rules")["groups"][0]["rules"]
        assert len(rules) == len(yaml.safe_load(RULES.read_text())["groups"][0]["rules"])
        prometheus.wait(lambda: all(rule["health"] == "ok" for rule in prometheus.ask("rules")["groups"][0]["rules"]))
        moved(take(opstower, database), -90 * 60)
        opstower("status", "--prometheus", "--output", path, check=1)
        prometheus.wait(lambda: prometheus.values("opstower_verdict") == {database.name: 1})
        alerts = prometheus.wait(lambda: (now := prometheus.firing()) and ("OpstowerNoBackup", None) not in now and now)
        assert ("OpstowerCheckWarning", "rpo") in alerts and ("OpstowerBackupTooOld", None) not in alerts
        target = prometheus.ask("targets")["activeTargets"][0]
        assert target["health"] == "up" and target["lastError"] == ""


def test_prometheus_scrapes_the_dashboard(opstower, database, folder):
    moved(take(opstower, database), -90 * 60)
    with Dashboard(opstower) as served, Prometheus(folder, f"127.0.0.1:{served.port}") as prometheus:
        prometheus.wait(lambda: prometheus.values("opstower_backup_rows") == {database.name: 100})
        alerts = prometheus.wait(lambda: (now := prometheus.firing()) and ("OpstowerCheckWarning", "rpo") in now and now)
        assert ("OpstowerNoBackup", None) not in alerts and ("OpstowerAbsent", None) not in alerts
        target = prometheus.ask("targets")["activeTargets"][0]
        assert target["health"] == "up" and target["lastError"] == ""
        scraped = {each["metric"]["__name__"] for each in
                   prometheus.ask("query", query='{__name__=~"opstower_.+"}')["result"]}
        of_its_own = {name for name in scraped if name.startswith("opstower_dashboard_")}
        assert scraped - of_its_own == families_with_samples(metrics(opstower))


def test_prometheus_notices_a_dead_scheduler_of_five_hours(opstower, database, folder):
    """The server's and Prometheus's clocks are true: it is the backup that is old."""
    moved(take(opstower, database), -5 * HOUR)
    with Dashboard(opstower) as served, Prometheus(folder, f"127.0.0.1:{served.port}") as prometheus:
        prometheus.wait(lambda: ("OpstowerBackupTooOld", None) in prometheus.firing())
        assert ("OpstowerBackupOld", None) not in prometheus.firing()
        moved(take(opstower, database), -3 * HOUR)
        prometheus.wait(lambda: ("OpstowerBackupOld", None) in (now := prometheus.firing())
                        and ("OpstowerBackupTooOld", None) not in now, 120)
