"""Small file systems that tests fill up, where mounting is allowed (as root, outside most containers)."""
import os
import subprocess

from . import pgserver


def _can_mount():
    if os.geteuid() != 0:
        return False
    test = "d=$(mktemp -d) && mount -t tmpfs none $d && umount $d; r=$?; rmdir $d; exit $r"
    return subprocess.run(["sh", "-c", test], check=False, capture_output=True).returncode == 0


CAN_MOUNT = _can_mount()


class Disk:
    """A file system of so many megabytes at a path; for_server: owned by the user that PostgreSQL runs as."""

    def __init__(self, path, megabytes, for_server=False):
        self.path, self.filler = str(path), os.path.join(path, "filler")
        user = pgserver.server_user()
        owner = f",uid={user.pw_uid},gid={user.pw_gid}" if for_server and user else ""
        options = f"size={megabytes}m,mode=0700{owner}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "opstower-test", self.path], check=True)

    def fill_script(self, left_kb):
        """Shell commands that fill it, once, but for so many kilobytes."""
        return (f'if [ ! -e "{self.filler}" ]; then\n  free=$(df -k --output=avail "{self.path}" | tail -1)\n'
                f'  [ $free -le {left_kb} ] || head -c $(( (free - {left_kb}) * 1024 )) /dev/zero > "{self.filler}"\nfi\n')

    def fill(self, left_kb):
        subprocess.run(["bash", "-c", self.fill_script(left_kb)], check=True)

    def free(self):
        if os.path.exists(self.filler):
            os.unlink(self.filler)

    def unmount(self):
        subprocess.run(["umount", "-l", self.path], check=True)
