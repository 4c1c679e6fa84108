"""Ports on loopback that several test runs at once do not take from each other."""
import random
import socket

BLOCK = 10
FIRST_PORTS = range(20000, 32000, BLOCK)     # below those that the kernel gives to clients


def claim():
    """The first of BLOCK free ports, and the claim on them: close it when they are free again.

    The claim is an abstract socket: no other run can have the same one, and it ends with us however we end.
    """
    for first in random.SystemRandom().sample(FIRST_PORTS, len(FIRST_PORTS)):
        held = socket.socket(socket.AF_UNIX)
        try:
            held.bind(f"\0opstower-test-ports-{first}")
            for port in range(first, first + BLOCK):
                socket.create_server(("127.0.0.1", port)).close()
            return first, held
        except OSError:
            held.close()
    raise RuntimeError("no free ports on 127.0.0.1")
