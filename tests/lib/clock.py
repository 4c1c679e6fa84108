"""Another time for the program under test: Debian's faketime, preloaded.

The tests themselves can be run at another time too, say at the end of a month:
LD_PRELOAD=.../libfaketimeMT.so.1 FAKETIME=+SECONDS DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_RESET=1 /usr/bin/python3 -m pytest ...
"""
import glob
import os

from .runner import preloaded

HOUR = 3600
LIBRARY = "/usr/lib/*/faketime/libfaketimeMT.so.1"


def shifted(seconds):
    """Environment of a program whose clock is so far ahead (or behind) of our own."""
    found = glob.glob(LIBRARY)
    assert found, f"{LIBRARY} was not found; run packaging/install-deps.sh test"
    seconds += float(os.environ.get("FAKETIME", "0"))
    return {**preloaded(found[0]), "FAKETIME": f"{seconds:+.0f}", "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}
