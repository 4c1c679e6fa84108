"""Another time for the program under test: Debian's faketime, preloaded."""
import glob

from .runner import preloaded

HOUR = 3600
LIBRARY = "/usr/lib/*/faketime/libfaketimeMT.so.1"


def shifted(seconds):
    """Environment of a program whose clock is so far ahead (or behind)."""
    found = glob.glob(LIBRARY)
    assert found, f"{LIBRARY} was not found; run packaging/install-deps.sh test"
    return {**preloaded(found[0]), "FAKETIME": f"{seconds:+.0f}", "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}
