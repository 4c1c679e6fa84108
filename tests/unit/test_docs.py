"""What the documents say is what the source has: files, options, variables, exit codes, links; and the manual page is clean."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ["README.md", "ARCHITECTURE.md", "docs/HOOKS.md", "docs/FORMAT.md", "docs/PROOF.md", "docs/SECURITY.md"]
MANUAL = ROOT / "docs/opstower.1"
SCRIPTS = {"backup-database.sh": "backup", "verify-backup.sh": "verify", "restore-database.sh": "restore"}


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def manual():
    """The manual page as people read it, in one line per paragraph."""
    shown = subprocess.run(["groff", "-man", "-Tascii", "-P-cbou", "-rLL=1000n", str(MANUAL)], capture_output=True,
                           text=True, check=True).stdout
    return shown.replace("\u2010", "-")


def binary():
    return os.path.abspath(os.environ.get("OPSTOWER", ROOT / "build/opstower"))


def section(heading):
    """One section of README.md."""
    return text_of("README.md").split(heading + "\n", 1)[1].split("\n## ", 1)[0]


def help_of(*words):
    return subprocess.run([binary(), *words, "--help"], capture_output=True, text=True, check=True).stdout


def option_names():
    """Flags (with dashes) and variables of the option tables."""
    table = "".join(text_of(path.relative_to(ROOT)) for path in sorted((ROOT / "src/config").glob("rows_*.c")))
    flags = re.findall(r'\.flag = "([a-z0-9-]+)"', table)
    return ["--" + flag for flag in flags] + re.findall(r'\.env = "([A-Z0-9_]+)"', table)


def told_to_hooks():
    """The variables that hooks are given."""
    return sorted(set(re.findall(r'"(OPSTOWER_[A-Z0-9_]+)"', text_of("src/cmd/hooking.c"))))


def exit_codes():
    codes = re.findall(r"^    OT_[A-Z_]+ = (\d+),", text_of("src/base/error.h"), re.M)
    return sorted({int(code) for code in codes} | {143})


def has_word(text, word):
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def test_the_tables_were_read():
    assert len(option_names()) > 30 and "--jobs" in option_names() and "DATABASE_URL" in option_names()
    assert exit_codes()[:3] == [0, 1, 2] and len(exit_codes()) > 15


def test_every_source_file_is_in_architecture():
    page = text_of("ARCHITECTURE.md")
    files = [path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.c")]
    assert files and [name for name in files if name not in page] == []


def test_architecture_names_no_file_that_is_not_there():
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.[ch])`", text_of("ARCHITECTURE.md"))
    assert len(named) > 50 and [name for name in named if not (ROOT / "src" / name).exists()] == []


def rows_of(page):
    """The rows of a page's tables, as lists of cells."""
    lines = [line for line in text_of(page).splitlines() if re.match(r"\| (?!-)", line)]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in rows if row[-1].strip() != "test"]


def assert_names_tests(row, columns):
    assert len(row) == columns and all(row), row
    named = re.findall(r"`([\w/.]+)::(\w+)`", row[-1])
    assert named, row
    for file, test in named:
        path = ROOT / "tests" / file
        assert path.exists(), file
        assert re.search(rf"(def {test}\(|\b{test}\b)", path.read_text(encoding="utf-8")), (file, test)


@pytest.mark.parametrize("row", rows_of("docs/PROOF.md"), ids=lambda row: row[0][:60])
def test_what_could_make_a_proof_wrong_names_a_test_that_is_there(row):
    assert_names_tests(row, 3)


@pytest.mark.parametrize("row", rows_of("docs/SECURITY.md"), ids=lambda row: row[1][:60])
def test_what_stops_whom_names_a_test_that_is_there(row):
    assert_names_tests(row, 4)


@pytest.mark.parametrize("name", option_names())
def test_option_is_documented(name):
    assert has_word(section("## Settings"), name), "README.md"
    assert has_word(manual(), name), "docs/opstower.1"


def test_documents_name_no_option_that_is_not_there():
    known = set(option_names()) | {"--help", "--version"}
    shown = manual()
    assert {flag for flag in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", shown)} <= known
    journald_fields = {"OPSTOWER_ACT", "OPSTOWER_RESULT"}
    own = {name for name in option_names() if not name.startswith("--")}
    variables = own | {f"{name}_FILE" for name in own} | journald_fields | set(told_to_hooks())
    for page in (text_of("README.md"), text_of("docs/HOOKS.md"), shown):
        assert set(re.findall(r"\b(?:BACKUP|DATABASE|OPSTOWER|AWS)_[A-Z0-9_]+\b", page)) <= variables


@pytest.mark.parametrize("name", told_to_hooks())
def test_what_hooks_are_told_is_documented(name):
    assert has_word(text_of("docs/HOOKS.md"), name), "docs/HOOKS.md"
    assert has_word(manual(), name), "docs/opstower.1"


def test_help_shows_every_option():
    commands = re.findall(r"^  ([a-z]+) +[A-Z]", help_of().split("Commands:", 1)[1], re.M)
    assert "backup" in commands
    shown = "".join(help_of(command) for command in commands)
    assert [name for name in option_names() if not has_word(shown, name)] == []


@pytest.mark.parametrize("code", exit_codes())
def test_exit_code_is_documented(code):
    assert has_word(section("## Exit codes"), str(code)), "README.md"
    assert re.search(rf"^ +{code}\b", manual().split("EXIT STATUS", 1)[1].split("EXAMPLES", 1)[0], re.M), "docs/opstower.1"
    assert has_word(help_of().split("Exit codes:", 1)[1], str(code)), "opstower --help"


def test_every_check_of_status_is_documented():
    table = text_of("src/engine/health.c").split("} rows[] = {", 1)[1].split("};", 1)[0]
    checks = re.findall(r'^ +\{"([a-z0-9_]+)", ', table, re.M)
    documented = re.findall(r"^\| `([a-z0-9_]+)`: ", section("## Monitoring"), re.M)
    assert len(checks) > 15 and sorted(checks) == sorted(documented)


def anchors(page):
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if re.match(r"[a-z]+://", target):
            continue
        path, _, anchor = target.partition("#")
        found = (ROOT / page).parent / path if path else ROOT / page
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found.resolve().relative_to(ROOT).as_posix()), target


@pytest.mark.parametrize("page", PAGES + ["docs/opstower.1"])
def test_no_paths_of_somebodys_machine(page):
    assert re.findall(r"(?<![\w.])/(?:work|home|root|mnt)\b\S*", text_of(page)) == []
    assert str(ROOT) not in text_of(page)


def test_the_manual_page_is_clean():
    result = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-rCHECKSTYLE=3", "-z", str(MANUAL)], capture_output=True,
                            text=True, check=True)
    assert result.stderr == ""
    name, version = re.search(r'^\.TH (\w+) 1 [\d-]+ "opstower ([\d.]+)"', text_of("docs/opstower.1"), re.M).groups()
    assert name == "OPSTOWER" and f'TOOL_VERSION "{version}"' in text_of("src/base/version.h")


def run_script(path, *words, cwd, env):
    return subprocess.run([str(path), *words], capture_output=True, text=True, check=False, cwd=cwd,
                          env={"PATH": "/usr/bin:/bin", **env})


@pytest.fixture
def project(tmp_path):
    """A project folder with the scripts and a program that says what it was given."""
    root = tmp_path / "my project"
    (root / "scripts").mkdir(parents=True)
    (root / "build").mkdir()
    for name in SCRIPTS:
        (root / "scripts" / name).write_text(text_of("scripts/" + name), encoding="utf-8")
        (root / "scripts" / name).chmod(0o755)
    fake(root / "build/opstower", "built")
    return root


def fake(path, who):
    path.write_text(f'#!/bin/sh\necho "{who}|$*|${{OPSTOWER_ENV_FILE:-none}}"\nexit 7\n', encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.parametrize("name,command", SCRIPTS.items())
def test_script_runs_the_command(project, tmp_path, name, command):
    assert os.access(ROOT / "scripts" / name, os.X_OK)
    result = run_script(project / "scripts" / name, "a", "--b c", cwd=tmp_path, env={})
    assert (result.returncode, result.stdout) == (7, f"built|{command} a --b c|none\n"), result.stderr


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_finds_program_and_env_file(project, tmp_path, name):
    link, script = tmp_path / "link", project / "scripts" / name
    link.symlink_to(script)
    (project / ".env").write_text("", encoding="utf-8")
    own = f"{project}/.env"
    assert run_script(link, cwd=tmp_path, env={}).stdout.endswith(f"|{own}\n")
    assert run_script(link, cwd=tmp_path, env={"OPSTOWER_ENV_FILE": "x"}).stdout.endswith("|x\n")
    assert run_script(link, cwd=project, env={}).stdout.endswith(f"|{own}\n")
    (tmp_path / ".env").write_text("DATABASE_NAME=of_another_program\n", encoding="utf-8")
    assert run_script(link, cwd=tmp_path, env={}).stdout.endswith(f"|{own}\n")
    (project / ".env").unlink()
    assert run_script(link, cwd=tmp_path, env={}).stdout.endswith("|none\n")
    fake(tmp_path / "other", "other")
    assert run_script(script, cwd=tmp_path, env={"OPSTOWER": f"{tmp_path}/other"}).stdout.startswith("other|")
    (project / "build/opstower").unlink()
    fake(tmp_path / "opstower", "path")
    assert run_script(script, cwd=tmp_path, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}).stdout.startswith("path|")
    (tmp_path / "opstower").unlink()
    missing = run_script(script, cwd=tmp_path, env={"OPSTOWER": "/nonexistent"})
    assert missing.returncode == 3 and missing.stderr.startswith("[ERROR] /nonexistent was not found")
