"""The guide's three scripts: the same as the commands, from wherever they are called."""
import os
import pathlib
import shutil
import subprocess

import pytest

from lib import backups, runner

SCRIPTS = {"backup-database.sh": "backup", "verify-backup.sh": "verify", "restore-database.sh": "restore"}
FOLDER = runner.ROOT / "scripts"


@pytest.fixture
def database(db):
    made = db()
    made.query("CREATE TABLE small (id int PRIMARY KEY); INSERT INTO small SELECT generate_series(1, 50)")
    return made


@pytest.fixture
def project(folder):
    """A project of one's own: scripts and build/opstower as in the repository, and no .env yet."""
    root = pathlib.Path(folder) / "my project"
    shutil.copytree(FOLDER, root / "scripts")
    (root / "build").mkdir()
    (root / "build" / "opstower").symlink_to(runner.binary())
    return root


def run(opstower, script, *arguments, env=None, cwd="/", check=0):
    result = subprocess.run([str(script), *map(str, arguments)], env=opstower.environment({"OPSTOWER": None, **(env or {})}),
                            cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=120)
    assert result.returncode == check, result
    return result


@pytest.mark.parametrize("script", SCRIPTS)
def test_is_executable_and_passes_its_arguments_on(opstower, project, script):
    command = SCRIPTS[script]
    assert os.access(FOLDER / script, os.X_OK)
    shown = run(opstower, project / "scripts" / script, "--help")
    assert shown.stdout == opstower(command, "--help").stdout
    wrong = run(opstower, project / "scripts" / script, "--no such option", check=2)
    assert wrong.stderr == opstower(command, "--no such option", check=2).stderr


def test_the_guides_story_with_the_scripts_alone(opstower, project, database):
    env = {"DATABASE_URL": database.url}
    scripts = project / "scripts"
    made = run(opstower, scripts / "backup-database.sh", "--local-only", env=env)
    assert made.stdout.startswith("[INFO] OpsTower Database Backup - Started\n")
    backup = backups.all_of(opstower)[0]
    run(opstower, scripts / "verify-backup.sh", backup.path, "--full-test", env=env)
    assert backup.meta["state"] == "proven"
    database.query("DELETE FROM small")
    run(opstower, scripts / "restore-database.sh", backup.path, "--force", env=env)
    assert database.value("SELECT count(*) FROM small") == 50
    backup.path.write_bytes(backup.path.read_bytes()[:-100])
    run(opstower, scripts / "verify-backup.sh", backup.path, env=env, check=8)
    run(opstower, scripts / "restore-database.sh", backup.path, "--force", env=env, check=8)


@pytest.mark.parametrize("where", ["/", "the project", "scripts", "a link"])
def test_finds_the_project_and_its_dotenv_from(opstower, project, database, folder, where):
    (project / ".env").write_text(f"DATABASE_URL={database.url}\nBACKUP_DIR='{folder}/from dotenv'\n")
    os.chmod(project / ".env", 0o600)
    cwd = {"/": "/", "the project": project, "scripts": project / "scripts", "a link": "/"}[where]
    script = project / "scripts" / "backup-database.sh"
    if where == "a link":
        link = pathlib.Path(folder) / "backup-now"
        link.symlink_to(script)
        script = link
    run(opstower, script, "--local-only", cwd=cwd, env={"BACKUP_DIR": None})
    assert any(name.endswith(".sql.gz") for name in os.listdir(f"{folder}/from dotenv"))


def test_a_relative_call_works_too(opstower, project, database):
    run(opstower, "./scripts/backup-database.sh", "--local-only", cwd=project, env={"DATABASE_URL": database.url})
    assert len(backups.all_of(opstower)) == 1


def test_the_environment_wins_over_the_projects_dotenv(opstower, project, database):
    (project / ".env").write_text("DATABASE_URL=postgresql://nobody@192.0.2.1:1/nothing\n")
    run(opstower, project / "scripts" / "backup-database.sh", env={"DATABASE_URL": database.url})
    assert len(backups.all_of(opstower)) == 1


def test_a_program_that_is_missing_is_said(opstower, project):
    (project / "build" / "opstower").unlink()
    for script in SCRIPTS:
        result = run(opstower, project / "scripts" / script, env={"PATH": "/usr/bin:/bin"}, check=3)
        assert result.stderr.startswith("[ERROR] ") and "not found" in result.stderr


def test_opstower_names_another_program(opstower, project, database):
    (project / "build" / "opstower").unlink()
    run(opstower, project / "scripts" / "backup-database.sh", env={"OPSTOWER": runner.binary(), "DATABASE_URL": database.url})
    assert len(backups.all_of(opstower)) == 1
