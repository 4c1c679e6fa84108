"""A machine with a real systemd as its init, for units and timers: this one's root file system below a layer in memory,
in namespaces and a control group of its own. It needs root and a kernel that lets it mount; its network is ours.

    with Machine({"/tmp/xyz/socket": "/srv/socket"}) as machine:    # folders of ours, and where it has them
        machine.run("systemctl", "start", "some.service")
        machine.path / "etc/..."                                    # its files, as seen from here
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from . import runner

PROGRAM = "/usr/local/bin/opstower"
KNOWN = "TEST_MACHINE_CAN_BOOT"
LIMIT_S = 60
APART = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--cgroup"]

# Nothing that is enabled here is started there, and nothing that would reach for hardware or the kernel's settings.
BOOT = r"""
set -eu
folder=$1; shift
mount --make-rprivate /
mount -t tmpfs -o mode=0755,size=1g machine "$folder/layer"
mkdir "$folder/layer/upper" "$folder/layer/work"
mount -t overlay -o "lowerdir=/,upperdir=$folder/layer/upper,workdir=$folder/layer/work" machine "$folder/root"
cd "$folder/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=0755 run run
mount -t tmpfs -o mode=1777 tmp tmp
while [ $# -gt 0 ]; do mkdir -p ".$2"; mount --bind "$1" ".$2"; shift 2; done
rm -rf etc/systemd/system etc/opstower var/lib/systemd/timers
mkdir -p etc/systemd/system etc/systemd/journald.conf.d etc/opstower
: > etc/fstab
printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n' > etc/systemd/journald.conf.d/test.conf
for unit in systemd-udevd.service systemd-udev-trigger.service systemd-modules-load.service systemd-sysctl.service \
    proc-sys-fs-binfmt_misc.automount sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount dev-mqueue.mount
do ln -s /dev/null "etc/systemd/system/$unit"; done
tr -d - < /proc/sys/kernel/random/uuid > etc/machine-id
pivot_root . mnt
exec chroot . /bin/sh -c 'umount -l /mnt; export container=test; exec /lib/systemd/systemd --system \
    --unit=basic.target --log-target=journal --show-status=no' < /dev/null > /dev/null 2>&1
"""

# All that BOOT needs of the kernel.
TRY = """mount --make-rprivate / && d=$(mktemp -d) && mount -t tmpfs x $d && mkdir $d/u $d/w $d/r $d/c &&
mount -t overlay -o lowerdir=/,upperdir=$d/u,workdir=$d/w x $d/r && mount -t cgroup2 x $d/c &&
rmdir $(mktemp -d $d/c/test-XXXXXXXX); r=$?; umount -R $d; rmdir $d; exit $r"""


def _try():
    if os.geteuid() != 0 or not os.path.exists("/lib/systemd/systemd"):
        return False
    return subprocess.run([*APART, "sh", "-c", TRY], check=False, capture_output=True).returncode == 0


def _can_boot():
    """Tried once, and told to the processes that we start: all of them must select the same tests."""
    if KNOWN not in os.environ:
        os.environ[KNOWN] = "yes" if _try() else "no"
    return os.environ[KNOWN] == "yes"


CAN_BOOT = _can_boot()


class ControlGroup:
    """One of our own below wherever we are: what systemd makes of it is gone with it."""

    def __init__(self, name):
        mounted = [line.split()[1] for line in pathlib.Path("/proc/mounts").read_text(encoding="ascii").splitlines()
                   if line.split()[2] == "cgroup2"]
        ours = [line.strip().split("::")[1] for line in open("/proc/self/cgroup", encoding="ascii") if line.startswith("0::")]
        self.path = pathlib.Path(mounted[0] + ours[0]) / name if mounted and ours else None
        if self.path:
            self.path.mkdir()

    def enter(self):
        """Called by a child of ours."""
        if self.path:
            (self.path / "cgroup.procs").write_text("0", encoding="ascii")

    def remove(self):
        """All that was in it has ended, or is about to."""
        until = time.monotonic() + LIMIT_S
        while self.path and self.path.exists():
            for folder in sorted(self.path.rglob("*/"), reverse=True):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            with contextlib.suppress(OSError):
                self.path.rmdir()
            if time.monotonic() > until:
                raise RuntimeError(f"{self.path} is still in use")
            time.sleep(0.01)


class Machine:
    """See the top of the file."""

    def __init__(self, shared=None):
        self.shared = [str(word) for pair in (shared or {}).items() for word in pair]
        self.folder = self.init = self.starter = self.group = None

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="opstower-machine-"))
        for name in ("layer", "root"):
            (self.folder / name).mkdir()
        self.group = ControlGroup(self.folder.name)
        self.starter = subprocess.Popen(  # pylint: disable=subprocess-popen-preexec-fn
            ["setpriv", "--pdeathsig", "KILL", *APART, "bash", "-c", BOOT, "boot", self.folder, *self.shared],
            stdin=subprocess.DEVNULL, preexec_fn=self.group.enter)
        try:
            self.wait()
            shutil.copy2(runner.binary(), self.path / PROGRAM.lstrip("/"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.starter.kill()     # and with it, by --kill-child, all that runs in the machine
        self.starter.wait()
        self.group.remove()
        for name in ("layer", "root"):
            (self.folder / name).rmdir()
        self.folder.rmdir()

    def wait(self):
        """Until it is up."""
        state, until = "", time.monotonic() + LIMIT_S
        while time.monotonic() < until and self.starter.poll() is None:
            children = pathlib.Path(f"/proc/{self.starter.pid}/task/{self.starter.pid}/children").read_text(encoding="ascii")
            if children:
                self.init = int(children.split()[0])
                state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
                if state == "running":
                    return
            time.sleep(0.05)
        raise RuntimeError(f"the machine did not come up: {state}")

    @property
    def path(self):
        """Its root, as seen from here."""
        return pathlib.Path(f"/proc/{self.init}/root")

    def run(self, *command, check=True, env=None):
        """A finished process with text output. check: exit code 0 is demanded."""
        enter = ["nsenter", f"--target={self.init}", "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--root", "--wdns=/"]
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
                       "HOME": "/root", **(env or {})}
        done = subprocess.run([*enter, *map(str, command)], capture_output=True, text=True, check=False, env=environment,
                              stdin=subprocess.DEVNULL, timeout=300)
        assert not check or done.returncode == 0, \
            f"$ {' '.join(map(str, command))}\n{done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def property(self, unit, name):
        """What systemd says of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).stdout.strip()

    def log(self, *words):
        """What journalctl shows; of the messages their texts, unless words ask for another form."""
        return self.run("journalctl", "--output=cat", "--no-pager", *words).stdout
