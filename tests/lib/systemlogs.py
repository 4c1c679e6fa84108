"""A system's log for the program alone: /dev/log of a real rsyslogd, or journald's socket, seen only in its namespace."""
import os
import pathlib
import signal
import socket
import struct
import subprocess
import time

from . import runner

RSYSLOG = """
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{folder}/log")
*.*;auth,authpriv.none action(type="omfile" file="{folder}/syslog" template="RSYSLOG_TraditionalFileFormat")
"""

# A /dev of links and bind mounts with `log` in it, and a /run with journald's socket in it; then the command.
PRIVATE = """set -e
mount -t tmpfs none "$STAGE"
for node in null zero full random urandom tty; do
    touch "$STAGE/$node"
    mount --bind "/dev/$node" "$STAGE/$node"
done
mkdir "$STAGE/shm"
mount --bind /dev/shm "$STAGE/shm"
ln -s /proc/self/fd "$STAGE/fd"
[ ! -e "$FOLDER/log" ] || ln -s "$FOLDER/log" "$STAGE/log"
mount --rbind "$STAGE" /dev
if [ -e "$FOLDER/journald" ]; then
    mount -t tmpfs none /run
    mkdir -p /run/systemd/journal
    ln -s "$FOLDER/journald" /run/systemd/journal/socket
fi
exec "$@"
"""


def run_with(folder, opstower, *arguments, env=None, check=True):
    """opstower with the logs in this folder as the system's. Needs a mount namespace: root, or user namespaces."""
    os.makedirs(f"{folder}/stage", exist_ok=True)
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    environment = {**opstower.environment(env), "STAGE": f"{folder}/stage", "FOLDER": folder}
    result = subprocess.run([*unshare, "sh", "-c", PRIVATE, "sh", runner.binary(), *arguments], env=environment,
                            cwd=opstower.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                            check=False)
    made = runner.Result(["opstower", *arguments], result.returncode, result.stdout, result.stderr)
    if check is not False:
        assert made.returncode == (0 if check is True else check), made
    return made


class Rsyslog:
    """A real rsyslogd with a socket and a file in a folder."""

    def __init__(self, folder):
        self.folder = folder
        config = pathlib.Path(folder) / "rsyslog.conf"
        config.write_text(RSYSLOG.format(folder=folder), encoding="utf-8")
        self.process = subprocess.Popen(["/usr/sbin/rsyslogd", "-n", "-f", config, "-i", f"{folder}/rsyslog.pid"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait(lambda: os.path.exists(f"{folder}/log"))

    def wait(self, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None and time.monotonic() < deadline, "rsyslogd did not do it"
            time.sleep(0.05)

    def grep(self, word, count=1):
        """The lines of /var/log/syslog with that word, once there are so many."""
        path = pathlib.Path(self.folder) / "syslog"

        def found():
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            return [line for line in text.splitlines() if word in line]
        self.wait(lambda: len(found()) >= count)
        return found()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


class Journald:
    """The receiving end of journald's native protocol (systemd's JOURNAL_NATIVE_PROTOCOL)."""

    def __init__(self, folder):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"{folder}/journald")
        self.socket.settimeout(20)

    def receive(self):
        """The fields of one entry."""
        return parse(self.socket.recv(1 << 20))

    def stop(self):
        self.socket.close()


def parse(data):
    fields = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:      # the value has newlines: its size, then its bytes, then a newline
            (size,) = struct.unpack_from("<Q", rest)
            value, rest = rest[8:8 + size], rest[8 + size + 1:]
        assert name.decode() not in fields, f"{name} twice"
        fields[name.decode()] = value.decode()
        data = rest
    return fields
