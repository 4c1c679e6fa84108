"""PostgreSQL's own regression database: what its tests leave behind, made by them from Debian's source package.

What is downloaded and built is kept in build/regression, so that it is fetched once.
"""
import contextlib
import glob
import os
import pathlib
import re
import shutil
import subprocess

from . import oracle, pgserver

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "regression"


def server_version():
    """("15", "15.18-0+deb12u1") of the server programs."""
    text = subprocess.run([pgserver.program("postgres"), "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+)\.\d+ \(Debian ([^)]+)\)", text)
    assert found, f"the regression database is built for Debian's packages, not for {text}"
    return found[1], found[2]


def archives():
    """The (URI, suite) pairs of the machine's own apt sources, in either of their formats."""
    pairs = []
    for path in glob.glob("/etc/apt/sources.list.d/*.sources"):
        for block in re.split(r"\n\s*\n", pathlib.Path(path).read_text(encoding="utf-8")):
            fields = dict(re.findall(r"^(\w[\w-]*):[ \t]*(.*)$", block, re.M))
            pairs += [(uri, suite) for uri in fields.get("URIs", "").split() for suite in fields.get("Suites", "").split()]
    for path in ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*.list")]:
        if os.path.exists(path):
            pairs += re.findall(r"^deb (?:\[[^]]*\] )?(\S+) (\S+)", pathlib.Path(path).read_text(encoding="utf-8"), re.M)
    return pairs


class Apt:
    """apt with lists of its own, so that the machine's stay as they are."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("lists/partial", "archives/partial"):
            os.makedirs(folder / name, exist_ok=True)
        keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
        lines = [f"{kind} [signed-by={keyring}] {uri} {suite} main" for uri, suite in archives() for kind in ("deb", "deb-src")]
        (folder / "sources.list").write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.options = [f"-oDir::Etc::sourcelist={folder}/sources.list", "-oDir::Etc::sourceparts=/dev/null",
                        f"-oDir::State::lists={folder}/lists", f"-oDir::Cache::archives={folder}/archives",
                        "-oDir::Cache::pkgcache=", "-oDir::Cache::srcpkgcache=", "-oAPT::Sandbox::User=root",
                        "-oDebug::NoLocking=1", "-oAcquire::Retries=3"]

    def __call__(self, *arguments, check=True):
        return subprocess.run(["apt-get", *self.options, "-qq", *arguments], cwd=self.folder, check=check,
                              capture_output=not check, stdin=subprocess.DEVNULL).returncode == 0


def fetch(folder):
    """The source package and the server's headers, of the version that is installed or the nearest there is."""
    major, version = server_version()
    apt = Apt(folder)
    apt("update")
    for command, package in ((["source", "--download-only"], f"postgresql-{major}"), (["download"], f"postgresql-server-dev-{major}")):
        if not apt(*command, f"{package}={version}", check=False):
            apt(*command, package)


def unpack(folder):
    (folder / "source").mkdir()
    subprocess.run(["tar", "-xf", str(next(folder.glob("postgresql-*.orig.tar.*"))), "-C", str(folder / "source"),
                    "--wildcards", "*/src/test/regress/*"], check=True)
    subprocess.run(["dpkg-deb", "-x", str(next(folder.glob("postgresql-server-dev-*.deb"))), str(folder / "headers")], check=True)
    return next((folder / "source").glob("postgresql-*/src/test/regress"))


def build(folder):
    """tests/regress of the source, and beside it lib/ with the libraries that the tests load."""
    fetch(folder)
    tests = unpack(folder)
    libraries = folder / "lib"
    libraries.mkdir()
    major = server_version()[0]
    headers = next((folder / "headers").glob(f"usr/include/postgresql/{major}/server"))
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-w", f"-I{headers}", f"-I{headers.parent}/internal",
                    str(tests / "regress.c"), "-o", str(libraries / "regress.so")], check=True)
    for name in ("autoinc.so", "refint.so"):
        shutil.copy2(os.path.join(pgserver.pg_config("pkglibdir"), name), libraries)
    shutil.copytree(tests, folder / "tests")


def prepared():
    """The folder with tests/ and lib/, made if it is not there."""
    if not (CACHE / "tests").is_dir():
        shutil.rmtree(CACHE, ignore_errors=True)
        CACHE.mkdir(parents=True)
        build(CACHE)
    return CACHE


@contextlib.contextmanager
def made(server, dbname="regression"):
    """Runs the tests in a database of that server. What they leave in it is the point, not whether they pass; it refers
    to libraries that stay until the end."""
    cache = prepared()
    place = pgserver.temporary_folder("opstower-regress-", pgserver.fast_place())
    try:
        for name in ("tests", "lib"):
            shutil.copytree(cache / name, f"{place}/{name}")
        subprocess.run(["chmod", "-R", "a+rwX", place], check=True)
        program = os.path.join(pgserver.pg_config("pkglibdir"), "pgxs/src/test/regress/pg_regress")
        subprocess.run([program, f"--dbname={dbname}", f"--inputdir={place}/tests", f"--outputdir={place}/tests",
                        f"--dlpath={place}/lib", f"--bindir={server.bindir}", f"--host={server.socket}", "--user=postgres",
                        "--max-connections=10", f"--schedule={place}/tests/parallel_schedule"],
                       cwd=f"{place}/tests", env=oracle.clean_environment(), check=False, stdin=subprocess.DEVNULL,
                       capture_output=True, timeout=1200)
        yield
    finally:
        shutil.rmtree(place, ignore_errors=True)
