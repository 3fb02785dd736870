# SPDX-License-Identifier: Apache-2.0
"""A Debian or Ubuntu in a folder of its own, for tests that need a system in which nothing of ours is installed.

    with DebianRoot("trixie", ["python3"]) as system:
        system.put("dist/x.whl", "wheel/x.whl")
        print(system.run("python3 --version"))

Made by debootstrap, which needs root: sudo is used if this is not root.
"""

import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile

# Ubuntu's debootstrap would ask Ubuntu's.
MIRRORS = dict.fromkeys(("bookworm", "trixie"), ["http://deb.debian.org/debian"])

# Users have no sbin, where debootstrap and chroot are.
PATH = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"


def run(*command, **more):
    command = [str(part) for part in command]
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def as_root(*command):
    return run(*([] if os.geteuid() == 0 else ["sudo", "-n"]), "env", f"PATH={PATH}", *command)


def why_not():
    """What keeps this machine from making one, or an empty string."""
    if not shutil.which("debootstrap", path=PATH):
        return "debootstrap is not installed"
    if os.geteuid() != 0 and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode != 0:
        return "this is not root, and sudo asks for a password"
    return ""


class DebianRoot:
    """The release with what every system has, and `packages`."""

    def __init__(self, release, packages=()):
        self.release, self.packages = release, tuple(packages)

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.release}-"))
        self.folder.chmod(0o755)
        self.root = self.folder / "root"
        try:
            as_root("debootstrap", "--variant=minbase", *([f"--include={','.join(self.packages)}"] if self.packages else []),
                    self.release, self.root, *MIRRORS.get(self.release, []))
            if not os.path.ismount(self.root / "proc"):  # As in every running system: programs find their own folder by it.
                as_root("mount", "-t", "proc", "proc", self.root / "proc")
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        for mounted in ("proc", "sys"):  # debootstrap leaves the latter there if it is stopped, and in some containers.
            if os.path.ismount(self.root / mounted):
                as_root("umount", "-l", self.root / mounted)
        as_root("rm", "-rf", "--one-file-system", self.folder)

    def put(self, source, target):
        """Copies a file or a folder to that place in the system."""
        as_root("mkdir", "-p", (self.root / target).parent)
        as_root("cp", "-RL", source, self.root / target)

    def run(self, script, **environment):
        """What a shell prints that runs the script, and ends at the first error."""
        environment = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
                       "DEBIAN_FRONTEND": "noninteractive", **environment}
        return as_root("env", "-i", *(f"{name}={value}" for name, value in environment.items()),
                       "chroot", self.root, "/bin/sh", "-ec", script)


def release_here():
    """The code name of this machine's release."""
    lines = pathlib.Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return shlex.split(next(line for line in lines if line.startswith("VERSION_CODENAME=")).partition("=")[2])[0]
