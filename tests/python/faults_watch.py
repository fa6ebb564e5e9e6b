# SPDX-License-Identifier: Apache-2.0
"""What faults_test.py needs of Linux: a folder that is watched, and a disk that is full."""
import contextlib
import ctypes
import os
import select
import subprocess
import tempfile

PAGE = os.sysconf("SC_PAGESIZE")
WRITES = 0x2 | 0x100  # IN_MODIFY, IN_CREATE
LIBC = ctypes.CDLL(None, use_errno=True)


class Folder:
    """Tells when a file is made or written in a folder, by inotify, for a look now and then would
    miss what is there for a millisecond only."""

    def __init__(self, path):
        self.path = os.fsencode(path)

    def __enter__(self):
        self.events = LIBC.inotify_init()
        if self.events < 0 or LIBC.inotify_add_watch(self.events, self.path, WRITES) < 0:
            raise OSError(ctypes.get_errno(), "inotify")
        return self

    def __exit__(self, *_):
        os.close(self.events)

    def wait_for_write(self, process):
        """Returns when something was written, or the process has ended."""
        ended = os.pidfd_open(process.pid)
        try:
            select.select([self.events, ended], [], [], 120)
        finally:
            os.close(ended)


class Disk:
    """A small disk in memory, mounted on a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.filler = tempfile.TemporaryFile(dir=folder)

    def leave(self, pages):
        """Fills the disk but for so many pages."""
        self.filler.write(bytes(PAGE * (os.statvfs(self.folder).f_bavail - pages)))
        self.filler.flush()


@contextlib.contextmanager
def disk(folder):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "eta-faults", folder], check=True)
    try:
        mounted = Disk(folder)
        with mounted.filler:
            yield mounted
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def can_mount():
    with tempfile.TemporaryDirectory() as folder:
        try:
            with disk(folder):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False
