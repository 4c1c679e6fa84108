"""Hooks and the health check: what they are told, when they run, what their failure means, and that they are ended."""
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import pytest

from lib import backups, ports

TABLE = "CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t SELECT g, md5(g::text) FROM generate_series(1, 200) g"
TELL = """#!/bin/sh
{ echo "--- $OPSTOWER_EVENT"; env | grep -E '^(OPSTOWER|DATABASE|PG|AWS|MINE)'; ls "$BACKUP_DIR" | grep -c 'sql.gz$' | sed 's/^/BACKUPS=/'; } >> told
"""


class Hooks:
    """Scripts in the test's folder; `env` makes opstower use them."""

    def __init__(self, opstower, folder):
        self.opstower, self.folder = opstower, pathlib.Path(folder)

    def script(self, name, text):
        path = self.folder / name
        path.write_text(text if text.startswith("#!") else "#!/bin/sh\n" + text, encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    def tell(self, *events):
        """These hooks write down what they are told."""
        script = self.script("tell", TELL)
        self.opstower.env.update({"HOOK_" + event: script for event in events})

    def told(self):
        """[{variable: value}], one for each hook that ran, in order; event under its name."""
        path = self.folder / "told"
        blocks = path.read_text(encoding="utf-8").split("--- ")[1:] if path.exists() else []
        path.unlink(missing_ok=True)
        return [dict([("event", lines[0]), *(line.split("=", 1) for line in lines[1:] if "=" in line)])
                for lines in (block.splitlines() for block in blocks)]


@pytest.fixture
def hooks(opstower, folder):
    return Hooks(opstower, folder)


@pytest.fixture
def small(opstower, db):
    made = db()
    made.query(TABLE)
    opstower.env["DATABASE_URL"] = made.url
    return made


def journal(opstower, act):
    lines = (pathlib.Path(opstower.backup_dir) / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["act"] == act]


def is_alive(pid):
    """Runs still: a zombie that nobody reaps does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


# ---- backup ----------------------------------------------------------------------------------------------------------

def test_what_backup_hooks_are_told(opstower, small, hooks):
    hooks.tell("PRE_BACKUP", "POST_BACKUP", "ON_FAILURE")
    opstower("backup", "--type", "pre-deployment", "--tag", "v1 ä",
             env={"DATABASE_PASSWORD": "hunter22", "PGPASSWORD": "hunter22", "AWS_SECRET_ACCESS_KEY": "s3cret", "MINE": "kept",
                  "SLACK_WEBHOOK_URL": "", "OPSTOWER_ID": "of an outer run"})
    (backup,) = backups.all_of(opstower)
    before, after = hooks.told()
    common = {"OPSTOWER_ACT": "backup", "OPSTOWER_DATABASE": small.name, "OPSTOWER_TYPE": "pre-deployment",
              "OPSTOWER_TAG": "v1 ä", "MINE": "kept"}
    assert before == {"event": "pre-backup", "OPSTOWER_EVENT": "pre-backup", "BACKUPS": "0", **common, "PG_BINDIR": before["PG_BINDIR"]}
    assert after == {"event": "post-backup", "OPSTOWER_EVENT": "post-backup", "BACKUPS": "2", **common,
                     "OPSTOWER_RESULT": "ok", "OPSTOWER_EXIT_CODE": "0", "OPSTOWER_ID": backup.id,
                     "OPSTOWER_FILE": str(backup.path), "OPSTOWER_SIZE": backup.meta["backup_size"], "PG_BINDIR": after["PG_BINDIR"]}
    (line,) = journal(opstower, "backup")
    assert set(line["hooks"]) == {"pre-backup", "post-backup"} and line["hooks"]["pre-backup"].startswith("ok after ")


def test_backup_in_s3_is_told(opstower, small, hooks, s3, bucket):
    hooks.tell("POST_BACKUP")
    opstower.env.update(s3.environment(bucket))
    opstower("backup", "--s3-only")
    (told,) = hooks.told()
    assert told["OPSTOWER_S3_URL"].startswith(f"s3://{bucket}/database/") and "OPSTOWER_FILE" not in told
    assert "AWS_SECRET_ACCESS_KEY" not in told and "DATABASE_URL" not in told


def test_output_goes_into_the_log_without_secrets(opstower, small, hooks):
    script = hooks.script("talk", r"""
echo one; echo two >&2; printf 'the password is hunter22\n'; printf 'odd \377 \033[31m\r\n\n'
head -c 5000 /dev/zero | tr '\0' x; echo
printf 'no newline at the end'""")
    result = opstower("backup", env={"HOOK_PRE_BACKUP": script, "DATABASE_PASSWORD": "hunter22"})
    (backup,) = backups.all_of(opstower)
    for text in (result.stdout, backup.log):
        for line in ("one", "two", "the password is ***", "no newline at the end", "x" * 1000):
            assert f"[INFO] pre-backup hook: {line}\n" in text, line
    assert "hunter22" not in result.output + backup.log


def test_much_output_is_bounded(opstower, small, hooks):
    script = hooks.script("talk", "seq 1 100000")
    result = opstower("backup", env={"HOOK_PRE_BACKUP": script})
    assert result.stdout.count("pre-backup hook:") == 500 and "more than 500 lines" in result.stderr


@pytest.mark.parametrize("shell", [None, "true"])
def test_words_without_a_shell(opstower, small, hooks, folder, shell):
    script = hooks.script("with space", f'for a in "$@"; do echo "<$a>"; done > {folder}/words')
    line = f"'{script}' 'a b' \"c\\\"d\" $MINE *.none ; echo more > {folder}/more"
    opstower("backup", env={"HOOK_PRE_BACKUP": line, "HOOK_SHELL": shell, "MINE": "expanded"})
    words = (pathlib.Path(folder) / "words").read_text(encoding="utf-8").splitlines()
    expected = ["<a b>", '<c"d>', "<expanded>", "<*.none>"]
    if not shell:
        expected = ["<a b>", '<c"d>', "<$MINE>", "<*.none>", "<;>", "<echo>", "<more>", "<>>", f"<{folder}/more>"]
    assert words == expected
    assert (pathlib.Path(folder) / "more").exists() == bool(shell)


@pytest.mark.parametrize("settings, code", [({}, 1), ({"HOOK_FAILURE": "abort"}, 1), ({"HOOK_FAILURE": "warn"}, 0),
                                            ({"HOOK_FAILURE": "ignore"}, 0), ({"HOOK_PRE_BACKUP_FAILURE": "warn"}, 0),
                                            ({"HOOK_FAILURE": "warn", "HOOK_PRE_BACKUP_FAILURE": "abort"}, 1)])
def test_a_pre_hook_that_fails(opstower, small, hooks, settings, code):
    hooks.tell("POST_BACKUP")
    script = hooks.script("fail", "echo because; exit 3")
    result = opstower("backup", env={"HOOK_PRE_BACKUP": script, **settings}, check=code)
    said = "the pre-backup hook failed: fail failed with exit code 3"
    level = "ERROR" if code else "INFO" if settings.get("HOOK_FAILURE") == "ignore" else "WARN"
    assert any(line.startswith(f"[{level}]") and said in line for line in result.output.splitlines())
    assert len(backups.all_of(opstower)) == (0 if code else 1)
    (told,) = hooks.told()
    assert told["OPSTOWER_RESULT"] == ("failed" if code else "ok"), "what the first half-did, the second undoes"
    (line,) = journal(opstower, "backup")
    assert line["hooks"]["pre-backup"].endswith("failed with exit code 3") and line["code"] == code
    if code:
        assert "no backup was taken" in result.stderr and opstower.files("*.partial") == []


@pytest.mark.parametrize("settings, code", [({}, 1), ({"HOOK_FAILURE": "warn"}, 0), ({"HOOK_FAILURE": "ignore"}, 0),
                                            ({"HOOK_POST_BACKUP_FAILURE": "ignore"}, 0)])
def test_a_post_hook_that_fails(opstower, small, hooks, settings, code):
    hooks.tell("ON_FAILURE")
    result = opstower("backup", "--json", env={"HOOK_POST_BACKUP": hooks.script("fail", "exit 3"), **settings}, check=code)
    (backup,) = backups.all_of(opstower)
    backup.assert_whole()
    assert json.loads(result.stdout)["id"] == backup.id
    assert ("[ERROR] the backup is complete, but the post-backup hook failed" in result.stderr) == bool(code)
    assert len(hooks.told()) == (1 if code else 0)
    opstower("verify", "latest")


@pytest.mark.parametrize("line, part", [("'unclosed", "is not a command line"), ("# nothing", "is not a command line")])
def test_a_hook_that_is_no_command_line(opstower, small, line, part):
    for event in ("PRE_BACKUP", "POST_BACKUP", "ON_FAILURE"):
        result = opstower("backup", env={"HOOK_" + event: line}, check=2)
        assert part in result.stderr and backups.all_of(opstower) == []


def test_a_program_that_is_not_there(opstower, small):
    result = opstower("backup", env={"HOOK_PRE_BACKUP": "/nonexistent/hook x"}, check=1)
    assert "the pre-backup hook failed: cannot start /nonexistent/hook" in result.stderr


def test_only_one_of_two_runs_has_its_hooks_run(opstower, small, hooks, folder):
    slow = hooks.script("slow", f"touch {folder}/running; sleep 5")
    first = opstower.popen("backup", env={"HOOK_PRE_BACKUP": slow})
    assert wait_for(lambda: os.path.exists(f"{folder}/running"))
    hooks.tell("PRE_BACKUP", "POST_BACKUP")
    opstower("backup", check=6)
    assert hooks.told() == []
    assert first.wait(60) == 0
    first.communicate()


# ---- ends ------------------------------------------------------------------------------------------------------------

STUBBORN = """cat > child <<'end'
trap '' TERM; echo $$ > child.pid; exec sleep 60
end
sh child & echo $$ > pid; """


def pids(folder):
    return [int((pathlib.Path(folder) / name).read_text(encoding="utf-8")) for name in ("pid", "child.pid")]


def test_time_limit_ends_all_of_it(opstower, small, hooks, folder):
    script = hooks.script("sleepy", "sleep 60 & echo $! > child.pid; echo $$ > pid; wait")
    start = time.monotonic()
    result = opstower("backup", env={"HOOK_PRE_BACKUP": script, "HOOK_TIMEOUT": "1"}, check=1)
    assert time.monotonic() - start < 20 and "was ended after 1 s (HOOK_TIMEOUT)" in result.stderr
    assert not any(map(is_alive, pids(folder)))


@pytest.mark.parametrize("leader", ["trap '' TERM; while :; do sleep 1; done", "wait"])
def test_even_what_does_not_listen_is_ended(opstower, small, hooks, folder, leader):
    script = hooks.script("stubborn", STUBBORN + leader)
    opstower("backup", env={"HOOK_PRE_BACKUP": script, "HOOK_TIMEOUT": "1"}, check=1)
    assert len(set(pids(folder))) == 2
    assert wait_for(lambda: not any(map(is_alive, pids(folder))), 5)


@pytest.mark.parametrize("sent, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_hook(opstower, small, hooks, folder, sent, code):
    script = hooks.script("sleepy", f"sleep 60 & echo $! > {folder}/child.pid; echo $$ > {folder}/pid; wait")
    hooks.tell("POST_BACKUP")
    process = opstower.popen("backup", env={"HOOK_PRE_BACKUP": script})
    assert wait_for(lambda: os.path.exists(f"{folder}/pid") and (pathlib.Path(folder) / "pid").stat().st_size > 0)
    process.send_signal(sent)
    process.communicate(timeout=90)
    assert process.returncode == code and backups.all_of(opstower) == []
    assert wait_for(lambda: not any(map(is_alive, pids(folder))), 5)
    (told,) = hooks.told()
    assert told["OPSTOWER_RESULT"] == "failed" and told["OPSTOWER_EXIT_CODE"] == str(code)


def test_what_a_hook_leaves_running_is_not_waited_for(opstower, small, hooks, folder):
    script = hooks.script("daemon", f"sleep 30 & echo $! > {folder}/child.pid")
    start = time.monotonic()
    opstower("backup", env={"HOOK_POST_BACKUP": script})
    assert time.monotonic() - start < 20
    pid = int((pathlib.Path(folder) / "child.pid").read_text(encoding="utf-8"))
    assert is_alive(pid), "an application that the hook has started goes on"
    os.kill(pid, signal.SIGKILL)


# ---- failures --------------------------------------------------------------------------------------------------------

def test_on_failure(opstower, small, hooks, server):
    hooks.tell("ON_FAILURE")
    opstower("backup")
    assert hooks.told() == []
    url = server.url("no_such_database") + "&password=hunter22"
    opstower("backup", env={"DATABASE_URL": url}, check=5)
    opstower("verify", "nonsense", check=10)
    opstower("hold", "remove", "nonsense", check=10)
    told = hooks.told()
    assert [(each["event"], each["OPSTOWER_ACT"], each["OPSTOWER_EXIT_CODE"]) for each in told] == [
        ("on-failure", "backup", "5"), ("on-failure", "verify", "10"), ("on-failure", "hold-remove", "10")]
    assert "no_such_database" in told[0]["OPSTOWER_ERROR"] and "hunter22" not in json.dumps(told)
    result = opstower("verify", "nonsense", env={"HOOK_ON_FAILURE": hooks.script("fail", "exit 9")}, check=10)
    assert "[WARN] the on-failure hook failed: fail failed with exit code 9" in result.stderr


# ---- restore ---------------------------------------------------------------------------------------------------------

def test_restore_hooks_surround_it(opstower, small, hooks, server):
    backup = backups.take(opstower, small)
    small.query("DELETE FROM t")
    count = f"psql -X -At -d '{small.url}' -c 'SELECT count(*) FROM t' | sed 's/^/MINE_ROWS=/' >> told\n"
    script = hooks.script("tell", TELL + count)
    opstower.env.update(HOOK_PRE_RESTORE=script, HOOK_POST_RESTORE=script, HOOK_PRE_BACKUP=script, HOOK_POST_BACKUP=script)
    opstower("restore", "latest", "--force")
    before, after = hooks.told()
    assert (before["event"], before["BACKUPS"], before["MINE_ROWS"]) == ("pre-restore", "2", "0")
    assert (after["event"], after["BACKUPS"], after["MINE_ROWS"]) == ("post-restore", "3", "200")
    assert before["OPSTOWER_FILE"] == after["OPSTOWER_FILE"] == str(backup.path)
    assert before["OPSTOWER_DATABASE"] == after["OPSTOWER_DATABASE"] == small.name and before["OPSTOWER_ID"] == backup.id
    assert after["OPSTOWER_RESULT"] == "ok" and "OPSTOWER_RESULT" not in before
    assert after["OPSTOWER_REPLACED"] in server.databases()
    assert "OPSTOWER_PRE_RESTORE_BACKUP" in after


def test_no_hooks_where_the_live_database_stays(opstower, small, hooks):
    backups.take(opstower, small)
    hooks.tell("PRE_RESTORE", "POST_RESTORE")
    opstower("restore", "latest", "--force", "--target-db", small.name + "_copy")
    opstower("restore", "latest", "--table", "t")
    opstower("restore", "latest", check=12)
    assert hooks.told() == []


def test_a_pre_restore_hook_that_fails(opstower, small, hooks):
    backups.take(opstower, small)
    small.query("DELETE FROM t")
    hooks.tell("POST_RESTORE")
    result = opstower("restore", "latest", "--force", env={"HOOK_PRE_RESTORE": hooks.script("fail", "exit 1")}, check=11)
    assert "nothing was restored: the pre-restore hook failed" in result.stderr
    assert "The live database was not changed" in result.stderr
    assert small.value("SELECT count(*) FROM t") == 0 and len(backups.all_of(opstower)) == 1
    assert [each["OPSTOWER_RESULT"] for each in hooks.told()] == ["failed"]


def test_post_restore_runs_after_a_failed_restore(opstower, small, hooks):
    backup = backups.take(opstower, small)
    hooks.tell("POST_RESTORE")
    spoil = hooks.script("spoil", f"truncate -s 100 {backup.path}")
    opstower("restore", "latest", "--force", env={"HOOK_PRE_RESTORE": spoil}, check=False)
    (told,) = hooks.told()
    assert told["OPSTOWER_RESULT"] == "failed" and int(told["OPSTOWER_EXIT_CODE"]) > 0
    assert small.value("SELECT count(*) FROM t") == 200


def test_no_post_hook_is_warned_of(opstower, small, hooks):
    backup = backups.take(opstower, small)
    spoil = hooks.script("spoil", f"truncate -s 100 {backup.path}")
    result = opstower("restore", "latest", "--force", env={"HOOK_PRE_RESTORE": spoil}, check=False)
    assert result.returncode not in (0, 1) and "what it stopped or switched on stays so" in result.stderr


def test_a_post_restore_hook_that_fails(opstower, small, hooks):
    backups.take(opstower, small)
    small.query("DELETE FROM t")
    result = opstower("restore", "latest", "--force", "--json",
                      env={"HOOK_POST_RESTORE": hooks.script("fail", "exit 1"), "HEALTHCHECK_URL": "http://127.0.0.1:9/"}, check=1)
    assert "[ERROR] the restore is done and proven, but the post-restore hook failed" in result.stderr
    assert json.loads(result.stdout)["healthcheck"] == "not asked: the post-restore hook failed"
    assert small.value("SELECT count(*) FROM t") == 200


ENDING = [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGXCPU]


def by_default():
    """For preexec_fn: a shell that started the tests in the background has let them ignore some signals."""
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)


def test_post_restore_runs_after_an_interrupt(opstower, small, hooks, folder):
    """Whichever signal it was, so that the application does not stay stopped; and the journal has the restore."""
    backups.take(opstower, small)
    sleepy = hooks.script("sleepy", f"touch {folder}/running; sleep 60")
    hooks.tell("POST_RESTORE")
    for number in ENDING:
        process = opstower.popen("restore", "latest", "--force", env={"HOOK_PRE_RESTORE": sleepy}, preexec_fn=by_default)
        assert wait_for(lambda: os.path.exists(f"{folder}/running"))
        os.kill(process.pid, number)
        _, said = process.communicate(timeout=90)
        assert process.returncode == 128 + number and f"interrupted by {number.name}" in said.decode()
        os.unlink(f"{folder}/running")
    codes = [128 + number for number in ENDING]
    assert [each["OPSTOWER_EXIT_CODE"] for each in hooks.told()] == [str(code) for code in codes]
    lines = (pathlib.Path(opstower.backup_dir) / "journal.jsonl").read_text().splitlines()
    restores = [line for line in map(json.loads, lines) if line["act"] == "restore"]
    assert [line["code"] for line in restores] == codes


def test_a_hangup_that_was_ignored_ends_nothing(opstower, small, hooks, folder):
    """Under nohup, whose purpose that is."""
    backups.take(opstower, small)
    hook = hooks.script("hook", f"touch {folder}/running; sleep 0.5")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = opstower.popen("backup", "--local-only", env={"HOOK_PRE_BACKUP": hook})
    finally:
        signal.signal(signal.SIGHUP, before)
    assert wait_for(lambda: os.path.exists(f"{folder}/running"))
    os.kill(process.pid, signal.SIGHUP)
    process.communicate(timeout=90)
    assert process.returncode == 0


# ---- the examples ----------------------------------------------------------------------------------------------------

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "packaging/hooks"


@pytest.mark.parametrize("under", ["systemd", "pm2"])
def test_the_maintenance_script(opstower, small, hooks, folder, under):
    backup = backups.take(opstower, small)
    program = {"systemd": "systemctl", "pm2": "pm2"}[under]
    hooks.script(program, f'echo "$@" >> {folder}/calls; [ -e {folder}/flag ] && echo held >> {folder}/calls; exit 0')
    script = EXAMPLES / "maintenance.sh"
    env = {"HOOK_PRE_RESTORE": script, "HOOK_POST_RESTORE": script, "PATH": f"{folder}:{opstower.env['PATH']}",
           "MAINTENANCE_FLAG": f"{folder}/flag", "APP_RUNS_UNDER": under, "APP_SERVICE": "shop"}
    result = opstower("restore", "latest", "--force", env=env)
    calls = pathlib.Path(folder) / "calls"
    assert calls.read_text(encoding="utf-8") == "stop shop\nheld\nrestart shop\nheld\n"
    assert not os.path.exists(f"{folder}/flag") and "post-restore hook: maintenance mode off" in result.stdout
    backup.path.write_bytes(backup.path.read_bytes()[:100])
    opstower("restore", backup.id, "--force", env=env, check=8)
    assert not os.path.exists(f"{folder}/flag"), "verified before the hook: never on"


def test_the_failure_mail_script(opstower, small, hooks, folder):
    sendmail = hooks.script("sendmail", f"cat > {folder}/mail")
    opstower("verify", "nonsense", env={"HOOK_ON_FAILURE": EXAMPLES / "failure-mail.sh", "SENDMAIL": sendmail}, check=10)
    mail = (pathlib.Path(folder) / "mail").read_text(encoding="utf-8")
    assert mail.startswith("To: root\nSubject: opstower verify failed (exit code 10)\n\n") and "nonsense" in mail


def test_the_examples_are_clean_shell():
    subprocess.run(["sh", "-n", *EXAMPLES.glob("*.sh")], check=True)
    assert all(os.access(each, os.X_OK) for each in EXAMPLES.glob("*.sh"))


# ---- health ----------------------------------------------------------------------------------------------------------

class Application:
    """A health page: answers with the statuses in turn, the last one for ever."""

    def __init__(self, *statuses):
        self.statuses, self.asked = list(statuses), 0
        application = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                status = application.statuses[min(application.asked, len(application.statuses) - 1)]
                application.asked += 1
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/login")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *unused):  # pylint: disable=arguments-differ
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/api/health"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def application():
    made = []

    def make(*statuses):
        made.append(Application(*statuses))
        return made[-1]
    yield make
    for each in made:
        each.close()


def restore(opstower, url, *words, check=True, **env):
    return opstower("restore", "latest", "--force", "--no-pre-backup", "--drop-replaced", *words, check=check,
                    env={"HEALTHCHECK_URL": url, **env})


def test_health_is_waited_for(opstower, small, application):
    backups.take(opstower, small)
    app = application(503, 503, 204)
    result = restore(opstower, app.url)
    assert app.asked == 3 and "[INFO] Health check: ok after 2 s\n" in result.stdout
    assert journal(opstower, "restore")[-1]["healthcheck"] == "ok after 2 s"
    result = restore(opstower, app.url, "--json")
    assert json.loads(result.stdout)["healthcheck"] == "ok after 0 s"


@pytest.mark.parametrize("status, part", [(503, "HTTP 503"), (302, "HTTP 302"), (404, "HTTP 404"), (None, "127.0.0.1")])
def test_an_application_that_is_not_well(opstower, small, application, hooks, status, part):
    backups.take(opstower, small)
    small.query("DELETE FROM t")
    hooks.tell("POST_RESTORE", "ON_FAILURE")
    url = application(status).url if status else "http://127.0.0.1:9/"
    start = time.monotonic()
    result = restore(opstower, url, "--json", check=1, HEALTHCHECK_TIMEOUT="2")
    assert time.monotonic() - start < 30
    assert "[ERROR] the restore is done and proven, but " in result.stderr and part in result.stderr
    answer = json.loads(result.stdout)
    assert answer["healthcheck"].startswith("failed: ") and answer["healthcheck"].endswith("for 2 s") and answer["rows"] == 200
    assert small.value("SELECT count(*) FROM t") == 200
    after, failed = hooks.told()
    assert after["OPSTOWER_RESULT"] == "ok" and failed["OPSTOWER_HEALTHCHECK"] == answer["healthcheck"]
    line = journal(opstower, "restore")[-1]
    assert line["result"] == "failed" and line["code"] == 1 and part in line["healthcheck"]


def test_health_page_that_hangs(opstower, small):
    backups.take(opstower, small)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        start = time.monotonic()
        result = restore(opstower, f"http://127.0.0.1:{listening.getsockname()[1]}/", check=1, HEALTHCHECK_TIMEOUT="3")
        assert 3 <= time.monotonic() - start < 40 and "for 3 s" in result.stderr


def test_the_hook_starts_what_is_asked(opstower, small, hooks, folder):
    """The guide's step 6: restart the application, then curl its health."""
    port, claim = ports.claim()
    (pathlib.Path(folder) / "health").write_text("well", encoding="utf-8")
    restart = hooks.script("restart", f"""[ "$OPSTOWER_RESULT" = ok ] || exit 0
cd {folder} && nohup /usr/bin/python3 -m http.server -b 127.0.0.1 {port} > app.log 2>&1 &
echo $! > {folder}/app.pid""")
    backups.take(opstower, small)
    try:
        result = restore(opstower, f"http://127.0.0.1:{port}/health", HOOK_POST_RESTORE=restart)
        assert "Health check: ok after " in result.stdout
    finally:
        os.kill(int((pathlib.Path(folder) / "app.pid").read_text(encoding="utf-8")), signal.SIGKILL)
        claim.close()


def test_health_is_not_asked_without_a_restore_of_the_live_database(opstower, small, application):
    backups.take(opstower, small)
    app = application(200)
    opstower("restore", "latest", "--force", "--target-db", small.name + "_x", env={"HEALTHCHECK_URL": app.url})
    restore(opstower, app.url, "--in-place", check=12)
    assert app.asked == 0


def test_a_wrong_health_url(opstower, small):
    backups.take(opstower, small)
    small.query("DELETE FROM t")
    assert "HEALTHCHECK_URL" in restore(opstower, "localhost:4000/health", check=2).stderr
    assert small.value("SELECT count(*) FROM t") == 0
