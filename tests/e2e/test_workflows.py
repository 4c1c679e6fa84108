"""GitHub's workflows: well-formed, safe, with the guide's cadence and tests; and their steps do what they say, run here
as a runner would, against a real server and a real bucket.
"""
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess

import jsonschema
import pytest
import yaml

from lib import backups, runner

FOLDER = runner.ROOT / ".github/workflows"
FILES = sorted(path.name for path in FOLDER.iterdir())
BACKUPS = ["backup-verification.yml", "backup.yml", "pre-deployment-backup.yml"]
GUIDE_TESTS = ["File existence and integrity", "gzip compression validity", "PostgreSQL dump format",
               "Metadata completeness", "S3 upload verification", "Backup age check"]
YAMLLINT = ("{extends: default, rules: {line-length: {max: 120}, document-start: disable, comments: enable, "
            "truthy: {check-keys: false}}}")

NAME = {"type": "string", "minLength": 1}
TEXTS = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
STEP = {
    "type": "object", "required": ["name"], "additionalProperties": False,
    "properties": {"name": NAME, "id": NAME, "if": NAME, "env": TEXTS, "with": TEXTS, "shell": NAME, "run": NAME,
                   # a foreign action by the commit that was looked at, never by a tag that can be moved
                   "uses": {"type": "string", "pattern": r"^[\w-]+/[\w.-]+@[0-9a-f]{40}$"}},
    "oneOf": [{"required": ["run"]}, {"required": ["uses"]}],
}
JOB = {
    "type": "object", "additionalProperties": False, "required": ["runs-on", "timeout-minutes", "container", "steps"],
    "properties": {
        "runs-on": NAME, "timeout-minutes": {"type": "integer", "maximum": 360}, "env": TEXTS, "outputs": TEXTS,
        "container": {"type": ["string", "object"]}, "steps": {"type": "array", "minItems": 1, "items": STEP},
        "defaults": {"type": "object", "additionalProperties": False, "properties": {"run": TEXTS}},
    },
}
WORKFLOW = {
    "type": "object", "additionalProperties": False, "required": ["name", "on", "permissions", "concurrency", "jobs"],
    "properties": {
        "name": NAME,
        "on": {"type": "object", "minProperties": 1, "additionalProperties": False, "properties": {
            "push": {}, "pull_request": {}, "workflow_dispatch": {}, "workflow_call": {"type": "object"},
            "schedule": {"type": "array", "items": {"type": "object", "required": ["cron"], "additionalProperties": False,
                                                    "properties": {"cron": {"type": "string",
                                                                            "pattern": r"^\S+ \S+ \S+ \S+ \S+$"}}}}}},
        "permissions": {"const": {"contents": "read"}},
        "concurrency": {"type": "object", "required": ["group", "cancel-in-progress"], "additionalProperties": False,
                        "properties": {"group": NAME, "cancel-in-progress": {"type": "boolean"}}},
        "jobs": {"type": "object", "minProperties": 1, "additionalProperties": JOB},
    },
}


def load(name):
    """A workflow; YAML 1.1 takes the key `on` for true."""
    found = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in found.items()}


def steps(name):
    return [step for job in load(name)["jobs"].values() for step in job["steps"]]


def scripts():
    return [pytest.param(name, step, id=f"{name}: {step['name']}") for name in FILES for step in steps(name) if "run" in step]


# ---- as they stand ----

def test_the_files_that_the_guide_names_are_there():
    assert FILES == ["backup-verification.yml", "backup.yml", "ci.yml", "pre-deployment-backup.yml"]


@pytest.mark.parametrize("name", FILES)
def test_the_linter_finds_nothing(name):
    result = subprocess.run(["yamllint", "--strict", "-d", YAMLLINT, str(FOLDER / name)], capture_output=True, text=True,
                            check=False)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("name", FILES)
def test_the_schema_fits(name):
    """Least permissions, a concurrency group, a time limit, actions pinned to a commit, no key that GitHub does not know."""
    jsonschema.validate(load(name), WORKFLOW)


@pytest.mark.parametrize("name,step", scripts())
def test_scripts_are_sound(name, step):
    """shellcheck; no expression is put into a script, where its value would be code; nothing that prints what it does."""
    job = next(iter(load(name)["jobs"].values()))
    shell = job.get("defaults", {}).get("run", {}).get("shell", "sh")
    result = subprocess.run(["shellcheck", f"--shell={shell}", "-"], input=step["run"], capture_output=True, text=True,
                            check=False)
    assert result.returncode == 0, result.stdout
    assert "${{" not in step["run"] and "set -x" not in step["run"]
    secret_names = [key for key, value in step.get("env", {}).items() if "secrets." in str(value)]
    assert not any(key in step["run"] for key in secret_names)


@pytest.mark.parametrize("name", FILES)
def test_secrets_are_given_to_the_steps_that_need_them_only(name):
    """Not to whole jobs or workflows, and to no action of others; and no secret is written in the file."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    workflow = load(name)
    inside = sum(str(step.get("env", {})).count("secrets.") for step in steps(name))
    assert text.count("${{ secrets.") == inside
    assert not any("secrets." in str(step.get("with", {})) for step in steps(name))
    assert all("env" not in job or "secrets." not in str(job["env"]) for job in workflow["jobs"].values())
    assert all(step["with"]["persist-credentials"] is False for step in steps(name) if "uses" in step)
    assert not re.search(r"postgres(ql)?://|AKIA[0-9A-Z]{16}", text)
    if name == "ci.yml":
        assert "secrets" not in text


@pytest.mark.parametrize("name", BACKUPS)
def test_variables_are_ones_that_the_program_knows(name):
    known = subprocess.run([runner.binary(), "backup", "--help"], capture_output=True, text=True, check=True).stdout
    for step in steps(name):
        for key in step.get("env", {}):
            assert key in known or key in ("FULL_TEST", "TAG"), key


def test_the_cadence_is_the_guides():
    assert load("backup.yml")["on"]["schedule"] == [{"cron": "0 * * * *"}]
    minute, hour, *rest = load("backup-verification.yml")["on"]["schedule"][0]["cron"].split()
    assert minute.isdigit() and hour.isdigit() and rest == ["*", "*", "0"]
    assert list(load("pre-deployment-backup.yml")["on"]) == ["workflow_call"]
    assert load("backup.yml")["concurrency"]["cancel-in-progress"] is False


def test_the_guides_tests_are_steps():
    names = [step["name"] for step in steps("backup-verification.yml")]
    assert names[-len(GUIDE_TESTS):] == GUIDE_TESTS


def test_ci_runs_what_the_project_runs():
    assert steps("ci.yml")[-1]["run"] == ".ci/run" and os.access(runner.ROOT / ".ci/run", os.X_OK)


# ---- as they run ----

class Runner:
    """Runs the scripts of a workflow's only job as GitHub's runner does: one shell each, the values of expressions in
    its environment. The program is built already; a step that fails does not keep those with a condition from running."""

    def __init__(self, folder, opstower, values):
        self.folder, self.values = pathlib.Path(folder, "work"), values
        self.folder.mkdir()
        self.output = self.folder / "output"
        bindir = self.folder / "bin"
        bindir.mkdir()
        shutil.copy2(runner.binary(), bindir / "opstower")
        self.env = {**opstower.env, "PATH": f"{bindir}:{opstower.env['PATH']}", "GITHUB_OUTPUT": str(self.output),
                    "GITHUB_PATH": os.devnull}

    def value(self, text):
        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda found: self.values[found.group(1)], str(text))

    def run_step(self, job, step):
        env = {key: self.value(value) for key, value in {**job.get("env", {}), **step.get("env", {})}.items()}
        shell = job.get("defaults", {}).get("run", {}).get("shell", "sh")
        command = {"sh": ["sh", "-e"], "bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"]}[shell]
        script = self.folder / "script"
        script.write_text(step["run"], encoding="utf-8")
        return subprocess.run([*command, str(script)], env={**self.env, **env}, cwd=self.folder, capture_output=True,
                              text=True, check=False, timeout=300)

    def __call__(self, name):
        """{name of step: exit code} and all that was said."""
        job = next(iter(load(name)["jobs"].values()))
        codes, said, failed = {}, "", False
        for step in job["steps"]:
            if "run" not in step or step["name"] == "Install and build" or (failed and "if" not in step):
                continue
            done = self.run_step(job, step)
            codes[step["name"]] = done.returncode
            said += done.stdout + done.stderr
            failed = failed or done.returncode != 0
        return codes, said


@pytest.fixture
def make_runner(folder, opstower, s3, bucket):
    def make(url, **values):
        env = s3.environment(bucket)
        opstower.env["AWS_ENDPOINT_URL_S3"] = env["AWS_ENDPOINT_URL_S3"]
        return Runner(folder, opstower, {
            "secrets.DATABASE_URL": url, "vars.BACKUP_S3_BUCKET": bucket, "vars.AWS_REGION": env["AWS_REGION"],
            "secrets.AWS_ACCESS_KEY_ID": env["AWS_ACCESS_KEY_ID"],
            "secrets.AWS_SECRET_ACCESS_KEY": env["AWS_SECRET_ACCESS_KEY"], "inputs.full-test": "", **values})
    return make


def dumps(s3, bucket):
    """Keys of the backups; the copy of a month's first one in the archive aside."""
    return [key for key in s3.objects(bucket) if key.endswith(".sql.gz") and "/monthly/" not in key]


def test_backup_then_verification(make_runner, db, s3, bucket, sample_sql):
    database = db(sample_sql)
    run = make_runner(database.url)
    codes, said = run("backup.yml")
    assert codes == {"Back up": 0}, said
    assert len(dumps(s3, bucket)) == 1 and run.values["secrets.AWS_SECRET_ACCESS_KEY"] not in said
    codes, said = run("backup-verification.yml")
    assert codes == {"Verify the latest backup in S3": 0, **dict.fromkeys(GUIDE_TESTS, 0)}, said
    run.values["inputs.full-test"] = "true"
    codes, said = run("backup-verification.yml")
    assert set(codes.values()) == {0} and "Full restoration test: PASS" in said, said


def test_verification_of_a_damaged_backup_fails_and_says_where(make_runner, db, s3, bucket, sample_sql):
    database = db(sample_sql)
    run = make_runner(database.url)
    run("backup.yml")
    key = dumps(s3, bucket)[0]
    body = bytearray(s3.client().get_object(Bucket=bucket, Key=key)["Body"].read())
    body[len(body) // 2] ^= 0xFF
    s3.client().put_object(Bucket=bucket, Key=key, Body=bytes(body))
    codes, said = run("backup-verification.yml")
    assert codes["Verify the latest backup in S3"] == 8, said
    assert codes["gzip compression validity"] != 0 or codes["PostgreSQL dump format"] != 0
    assert codes["File existence and integrity"] == 0


def test_verification_without_a_backup_fails_in_every_step(make_runner, db):
    codes, said = make_runner(db().url)("backup-verification.yml")
    assert len(codes) == 1 + len(GUIDE_TESTS) and 0 not in codes.values(), said


def test_an_old_backup_fails_the_age_check(make_runner, db, s3, bucket):
    """The age is that of the data: the snapshot's time, as the metadata in S3 has it."""
    run = make_runner(db().url)
    run("backup.yml")
    key = dumps(s3, bucket)[0].replace(".sql.gz", ".meta.json")
    meta = json.loads(s3.client().get_object(Bucket=bucket, Key=key)["Body"].read())
    for hours, passes in ((1, True), (3, False), (5, False)):
        taken = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=hours, minutes=1)
        meta["snapshot_time"] = taken.isoformat(timespec="seconds")
        s3.client().put_object(Bucket=bucket, Key=key, Body=json.dumps(meta).encode())
        codes, said = run("backup-verification.yml")
        assert (codes["Backup age check"] == 0) is passes and codes["gzip compression validity"] == 0, said


def test_a_failed_backup_fails_the_run(make_runner, db):
    run = make_runner(db().url.replace("/t", "/no_such_", 1))
    codes, said = run("backup.yml")
    assert codes == {"Back up": 5}, said


def test_pre_deployment_backup_is_tagged_and_tells_its_id(make_runner, db, s3, bucket, opstower):
    database = db()
    run = make_runner(database.url, **{"inputs.tag": "v2.3.1; rm -rf $HOME"})
    codes, said = run("pre-deployment-backup.yml")
    assert codes == {"Back up": 0}, said
    told = run.output.read_text(encoding="utf-8").strip().removeprefix("id=")
    assert [os.path.basename(key) for key in dumps(s3, bucket)] == [f"{told}.sql.gz"]
    listed = opstower("list", "--json", env={**s3.environment(bucket), "DATABASE_URL": database.url}).stdout
    assert '"type": "pre-deployment"' in listed and '"tag": "v2.3.1; rm -rf $HOME"' in listed
    run.values["secrets.DATABASE_URL"] = "postgresql:///x?host=/nowhere"
    run.output.unlink()
    codes, said = run("pre-deployment-backup.yml")
    assert codes["Back up"] != 0 and not run.output.exists() and not backups.all_of(opstower), said
