"""tests/run counts what ran: a test that failed, was skipped or never ran, and a worker that crashed, all count as failed."""
import importlib.machinery
import importlib.util
import pathlib

import pytest

from lib import ports

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUITES = {
    "all is well": ("def test_a(): pass\ndef test_b(): pass", 2, []),
    "one fails": ("def test_a(): pass\ndef test_b(): assert False", 1, ["test_b (failure)"]),
    "one is skipped": ("import pytest\ndef test_a(): pass\n@pytest.mark.skip\ndef test_b(): pass", 1, ["test_b (skipped)"]),
    "a fixture fails": ("import pytest\n@pytest.fixture\ndef x(): assert False\ndef test_a(): pass\ndef test_b(x): pass", 1,
                        ["test_b (error)"]),
    "a process crashes": ("import os\ndef test_a(): pass\ndef test_b(): os._exit(0)", 1, ["test_b (error)"]),
    "nothing is there": ("", 0, ["ended with code 5"]),
    "it cannot be read": ("def test_a(: pass", 0, ["(error)"]),
}


@pytest.fixture(scope="module")
def run():
    loader = importlib.machinery.SourceFileLoader("run", str(ROOT / "tests/run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("run", loader))
    loader.exec_module(module)
    return module


def run_suite(run, folder, text, options):
    (folder / "test_suite.py").write_text(text, encoding="utf-8")
    return run.run_pytest("suite", folder, "not alone", options, [folder])


@pytest.mark.parametrize("what", SUITES)
def test_workers_are_counted(run, tmp_path, what):
    text, passed, failures = SUITES[what]
    score = run_suite(run, tmp_path, text, run.workers(2))
    if what == "a process crashes":     # again and again
        failures = failures * len(score.failures) or failures
    assert score.passed == passed and len(score.failures) == len(failures), score.failures
    assert all(words in line for words, line in zip(failures, score.failures)), score.failures


def test_a_process_that_crashes_without_workers_is_a_failure(run, tmp_path):
    score = run_suite(run, tmp_path, SUITES["a process crashes"][0], [])
    assert len(score.failures) == 1 and "no test report" in score.failures[0]


def test_two_runs_never_have_the_same_ports(monkeypatch):
    monkeypatch.setattr(ports, "FIRST_PORTS", [31990])
    first, held = ports.claim()
    with pytest.raises(RuntimeError):
        ports.claim()
    held.close()
    again, held = ports.claim()
    held.close()
    assert first == again == 31990
