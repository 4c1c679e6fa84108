"""Each channel of alerts: what is sent, to servers as they are, and to servers that refuse, stall and lie."""
import hashlib
import hmac
import json
import pathlib
import re
import smtplib

import jsonschema
import pytest

from lib import alertschemas, ports
from lib.hookserver import HookServer
from lib.smtpserver import SmtpServer, make_certificates, server_context

SLACK = "/services/T00000000/B00000000/aB3dE5gH7jK9mN1pQ3sT5vX7"
KEY = "0123456789abcdef0123456789ABCDEF"
PASSWORD = "p@ss:w/rd%20é"
HOOK_SECRET = "the-webhook's-secret"


@pytest.fixture
def hooks():
    with HookServer() as started:
        yield started


@pytest.fixture
def ca(folder):
    return make_certificates(folder)


@pytest.fixture
def all_channels(hooks):
    """Settings of all channels over HTTP."""
    return {"SLACK_WEBHOOK_URL": hooks.url(SLACK), "PAGERDUTY_SERVICE_KEY": KEY,
            "PAGERDUTY_EVENTS_URL": hooks.url("/v2/enqueue"), "ALERT_WEBHOOK_URL": hooks.url("/hook/9f8e7d6c5b4a"),
            "ALERT_WEBHOOK_SECRET": HOOK_SECRET, "HEARTBEAT_URL": hooks.url("/ping/0c0ffee0-0000-4000-8000-000000000000")}


def everything_written(opstower, *results):
    """All output and all files, but for the .env file."""
    text = "".join(result.output for result in results)
    for path in pathlib.Path(opstower.folder).rglob("*"):
        if path.is_file() and path.name not in (".env", "ca.key", "server.key"):
            text += path.read_text(encoding="utf-8", errors="replace")
    return text


def test_bodies_are_what_slack_and_pagerduty_publish(opstower, hooks, all_channels):
    said = opstower("alert", "test", env=all_channels)
    assert re.findall(r"\[INFO\] (\w+): accepted", said.stdout) == ["slack", "pagerduty", "webhook", "heartbeat"]
    slack, = hooks.posts(SLACK)
    jsonschema.validate(slack.json, alertschemas.SLACK)
    assert slack.headers["Content-Type"] == "application/json" and "Test alert" in slack.json["text"]
    trigger, resolve = hooks.posts("/v2/enqueue")
    for post in (trigger, resolve):
        jsonschema.validate(post.json, alertschemas.PAGERDUTY)
        assert post.json["routing_key"] == KEY
    assert [post.json["event_action"] for post in (trigger, resolve)] == ["trigger", "resolve"]
    assert trigger.json["dedup_key"] == resolve.json["dedup_key"]
    assert [post.path for post in hooks.posts("/ping/0c0ffee0-0000-4000-8000-000000000000/log")]


def test_the_webhook_is_signed(opstower, hooks, all_channels):
    opstower("alert", "test", "webhook", env=all_channels)
    post, = hooks.posts()
    expected = "sha256=" + hmac.new(HOOK_SECRET.encode(), post.body, hashlib.sha256).hexdigest()
    assert post.headers["X-Opstower-Signature"] == expected
    assert {"format", "id", "state", "severity", "key", "title", "text", "time", "host", "database", "facts"} <= set(post.json)


def test_schemas_refuse_what_slack_and_pagerduty_refuse():
    for schema, wrong in [
            (alertschemas.SLACK, {}), (alertschemas.SLACK, {"text": ""}),
            (alertschemas.SLACK, {"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]}),
            (alertschemas.SLACK, {"blocks": [{"type": "section", "text": "bare"}]}),
            (alertschemas.PAGERDUTY, {"routing_key": KEY, "event_action": "trigger"}),
            (alertschemas.PAGERDUTY, {"routing_key": KEY, "event_action": "resolve"}),
            (alertschemas.PAGERDUTY, {"routing_key": KEY, "event_action": "trigger",
                                      "payload": {"summary": "s", "source": "s", "severity": "bad"}})]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


# ---- mail ----

def mail_settings(smtp, ca=None, **more):
    return {"ALERT_EMAIL": "ops@opstower.com, second@example.org", "ALERT_EMAIL_FROM": "backup@opstower.com",
            "SMTP_URL": smtp.url, "ALERT_CA_BUNDLE": ca, "DATABASE_NAME": "app", **more}


@pytest.mark.parametrize("how", ["starttls", "smtps"])
def test_mail_with_tls_and_login(opstower, folder, ca, how):
    with SmtpServer(folder, user="böb@x", password=PASSWORD, **{how: True}) as smtp:
        said = opstower("alert", "test", env=mail_settings(smtp, ca))
    assert "[INFO] email: accepted" in said.stdout
    mail, = smtp.mails
    assert mail.tls and mail.login == "böb@x" and smtp.logins == [("böb@x", PASSWORD)]
    assert mail.sender == "backup@opstower.com" and mail.receivers == ["ops@opstower.com", "second@example.org"]
    assert mail.message["Subject"] == "[opstower app] Info: Test alert"
    assert mail.message["From"] == "backup@opstower.com" and "second@example.org" in mail.message["To"]
    assert mail.message["Date"].datetime and re.fullmatch(r"<[\w-]+@opstower\.com>", mail.message["Message-ID"])
    assert mail.message.get_content_type() == "text/plain" and "Nothing is wrong" in mail.text
    assert not mail.message.defects and b"\n" not in mail.raw.replace(b"\r\n", b"")


@pytest.mark.parametrize("database", ["grün — \N{SNOWMAN}" + "ß" * 40, "evil\r\nBcc: mallory@example.org", "=?UTF-8?Q?x?=",
                                      ".\r\n.\r\nMAIL FROM:<x@y>"])
def test_no_name_breaks_a_mail(opstower, database):
    """Beyond ASCII, attempts to add headers or commands, what looks encoded."""
    with SmtpServer() as smtp:
        opstower("alert", "test", env=mail_settings(smtp, DATABASE_NAME=database))
    mail, = smtp.mails
    shown = re.sub(r"[\r\n]", " ", database)
    assert mail.message["Subject"] == f"[opstower {shown}] Info: Test alert"
    assert mail.message["Bcc"] is None and not mail.message.defects
    assert f"database: {shown}" in mail.text.splitlines() and mail.text.rstrip().splitlines()[-1].startswith("time: ")
    assert max(len(line) for line in mail.raw.split(b"\r\n")) <= 998
    assert all(byte < 128 for byte in mail.raw)


def test_a_password_is_not_sent_without_tls(opstower, folder):
    """The server offers no STARTTLS, as if someone on the way had cut it out."""
    with SmtpServer(folder, user="bob", password="secret-word") as smtp:
        said = opstower("alert", "test", env=mail_settings(smtp), check=1)
        assert "offers no STARTTLS" in said.stderr and smtp.logins == [] and smtp.mails == []
        never = mail_settings(smtp, SMTP_STARTTLS="never", SMTP_URL="smtp://bob:secret-word@mail.invalid:25")
        assert "without TLS" in opstower("alert", "test", env=never, check=1).stderr


@pytest.mark.parametrize("wrong, says", [
    ({"ALERT_CA_BUNDLE": None}, "certificate"),
    ({"SMTP_URL": "smtp://bob:wrong-word@localhost:{port}"}, "refuses the login: 535"),
    ({"ALERT_EMAIL": "ops@opstower.com\nBcc: x@y"}, "is not a mail address"),
    ({"ALERT_EMAIL_FROM": "<x@y>"}, "ALERT_EMAIL_FROM"),
    ({"SMTP_URL": "smtp://bob:sec/ret@localhost:{port}"}, "SMTP_URL in the environment is ambiguous"),
    ({"SMTP_URL": "http://localhost:{port}"}, "cannot be used"),
])
def test_mail_that_cannot_go_says_why(opstower, folder, ca, wrong, says):
    with SmtpServer(folder, starttls=True, user="bob", password="secret-word") as smtp:
        env = {name: value and value.format(port=smtp.port) for name, value in wrong.items()}
        said = opstower("alert", "test", env={**mail_settings(smtp, ca), **env}, check=False)
    assert said.returncode == (2 if "ambiguous" in says else 1)
    assert says in said.stderr and smtp.mails == []
    assert "secret-word" not in said.output and "wrong-word" not in said.output and "sec/ret" not in said.output


def test_refused_receivers_are_a_failure(opstower):
    with SmtpServer() as smtp:
        smtp.refuse = {"RCPT": "550 no such user here"}
        assert "550 no such user here" in opstower("alert", "test", env=mail_settings(smtp), check=1).stderr
        smtp.refuse = {"DATA": "452 try later"}
        assert "452 try later" in opstower("alert", "test", env=mail_settings(smtp), check=1).stderr
    assert smtp.mails == []


TWO = ["ops@opstower.com", "second@example.org"]


@pytest.mark.parametrize("bad, plan, says", [
    ("first", {"RCPT {}": "550 5.1.1 no such user"}, "550 5.1.1 no such user"),
    ("last", {"RCPT {}": "550 5.1.1 no such user"}, "550 5.1.1 no such user"),
    ("first", {"RCPT {}": "450 4.2.0 greylisted"}, "450 4.2.0 greylisted"),
    ("first", {"RCPT {}": "421 too many errors"}, ""),
    ("last", {"DATA {}": "554 one of them is not wanted"}, "554 one of them is not wanted"),
    ("first", {"DATA {}": "554 one of them is not wanted"}, "554 one of them is not wanted"),
    ("gone", {}, "not a mail address"),
    ("gön@example.org", {}, "not a mail address"),
])
def test_one_bad_receiver_keeps_the_mail_from_no_other(opstower, bad, plan, says):
    """Whichever it is, and however the server says so; the test tells who did not get it."""
    address = {"first": TWO[0], "last": TWO[1]}.get(bad, bad)
    everybody = [*TWO] if address in TWO else [TWO[0], address, TWO[1]]
    with SmtpServer() as smtp:
        smtp.refuse = {what.format(address): answer for what, answer in plan.items()}
        said = opstower("alert", "test", "email", env=mail_settings(smtp, ALERT_EMAIL=",".join(everybody)), check=1)
        got = sorted(to for mail in smtp.mails for to in mail.receivers)
    assert got == sorted(set(everybody) - {address})
    assert f"not for {address}" in said.stderr and says in said.stderr


def test_the_mail_server_is_a_real_one(folder, ca):
    """The server that these tests trust refuses what a mail server refuses."""
    with SmtpServer(folder, starttls=True, user="bob", password="right") as smtp:
        with smtplib.SMTP("localhost", smtp.port) as client:
            with pytest.raises(smtplib.SMTPResponseException):
                client.sendmail("a@b.c", ["d@e.f"], b"x")


# ---- refusals ----

@pytest.mark.parametrize("plan, says", [
    ((404, {"body": "no_team"}), "Slack answered 404: no_team"),
    ((403, {"body": "invalid_token\n<secret>"}), "Slack answered 403"),
    ((302, {"headers": {"Location": "http://127.0.0.1:1/"}}), "Slack answered 302"),
    ((500, {}), "Slack answered 500"),
    (("stall", {}), "no answer from 127.0.0.1"),
    (("close", {}), "closed the connection"),
])
def test_a_refusal_is_told_and_the_others_are_tried(opstower, hooks, all_channels, plan, says):
    answer, more = plan
    hooks.plan(SLACK, answer, **more)
    said = opstower("alert", "test", "--json", env={**all_channels, "ALERT_TIMEOUT": "1"}, check=1)
    found = {each["channel"]: each for each in json.loads(said.stdout)}
    assert says in found["slack"]["error"] and "\n" not in found["slack"]["error"]
    assert [found[name]["accepted"] for name in ("slack", "pagerduty", "webhook", "heartbeat")] == [False, True, True, True]
    assert "[ERROR] 1 of 4 channels did not accept the test alert" in said.stderr


def test_nobody_listens(opstower):
    port, claim = ports.claim()
    with claim:
        said = opstower("alert", "test", env={"SLACK_WEBHOOK_URL": f"http://127.0.0.1:{port}{SLACK}"}, check=1)
    assert "Connection refused" in said.stderr


def test_https_is_checked(opstower, folder, ca):
    with HookServer(server_context(folder)) as hooks:
        env = {"SLACK_WEBHOOK_URL": hooks.url(SLACK)}
        assert "not trusted" in opstower("alert", "test", env=env, check=1).stderr
        opstower("alert", "test", env={**env, "ALERT_CA_BUNDLE": ca})
        assert len(hooks.posts(SLACK)) == 1


@pytest.mark.parametrize("url, says", [
    ("http://hooks.example.com/services/T/B/secret00", "plain http"),
    ("hooks.slack.com/services/T/B/secret00", "cannot be used"),
    ("https://hooks.slack.com/services/T B/secret00", "blank"),
    ("ftp://hooks.slack.com/services/T/B/secret00", "cannot be used"),
    ("https://user:pw000@hooks.slack.com/services/T/B/secret00", "cannot be used"),
])
def test_addresses_that_cannot_be_used(opstower, url, says):
    said = opstower("alert", "test", env={"SLACK_WEBHOOK_URL": url}, check=1)
    assert says in said.stderr and "secret00" not in said.output


def test_a_heartbeat_that_the_service_does_not_know(opstower, hooks, all_channels):
    """healthchecks.io answers 200 then, and says so in the body only."""
    hooks.plan("/ping/0c0ffee0-0000-4000-8000-000000000000/log", 200, body="OK (not found)")
    assert "OK (not found)" in opstower("alert", "test", "heartbeat", env=all_channels, check=1).stderr


def test_words(opstower, all_channels):
    assert "no alert channel is set" in opstower("alert", "test", check=2).stderr
    assert "the channel email is not set" in opstower("alert", "test", "email", env=all_channels, check=2).stderr
    assert "did you mean pagerduty" in opstower("alert", "test", "pagerdutty", env=all_channels, check=2).stderr
    assert "did you mean test" in opstower("alert", "tset", check=2).stderr
    assert "needs the key" in opstower("alert", "close", check=2).stderr
    assert "no open alert has the key" in opstower("alert", "close", "app/x", env=all_channels, check=10).stderr
    assert "0 open alerts, 0 waiting" in opstower("alert", "list").stdout
    assert json.loads(opstower("alert", "list", "--json").stdout) == {"open": [], "queue": [], "dropped": 0}


def test_no_secret_is_written_anywhere(opstower, hooks, all_channels, folder, ca):
    """Not even where the server repeats what it was sent."""
    secret_paths = [SLACK, "/v2/enqueue", "/hook/9f8e7d6c5b4a", "/ping/0c0ffee0-0000-4000-8000-000000000000"]
    results = [opstower("alert", "test", env=all_channels)]
    for path in secret_paths:
        hooks.plan(path, 400, body=f"cannot post to {hooks.url(path)} {path} with {KEY} {HOOK_SECRET}")
    hooks.plan("/ping/0c0ffee0-0000-4000-8000-000000000000/log", 400, body="/ping/0c0ffee0-0000-4000-8000-000000000000/log")
    with SmtpServer(folder, starttls=True, user="bob", password=PASSWORD) as smtp:
        smtp.refuse = {"RCPT": f"550 no {PASSWORD.encode('ascii', 'ignore').decode()}"}
        env = {**all_channels, **mail_settings(smtp, ca)}
        results.append(opstower("alert", "test", env=env, check=1))
        results.append(opstower("backup", "--local-only", env={**env, "DATABASE_URL": "postgresql://u:dbpw00@127.0.0.1:1/app"},
                                check=5))
        results.append(opstower("alert", "list", env=env))
    text = everything_written(opstower, *results)
    assert '"act":"alert"' in text and '"queue"' in text and "cannot post to" in text
    for secret in (SLACK, "9f8e7d6c5b4a", "0c0ffee0-0000", KEY, HOOK_SECRET, PASSWORD, "p%40ss", "dbpw00"):
        assert secret not in text, secret
