"""The last step before PostgreSQL: run as a script in the child, it sheds root, ties the child to us and becomes it.

A script and not a `preexec_fn`, because only a process of one thread may enter a user namespace and because Python
between fork and exec can deadlock in a server with threads. Python and the standard library only: it starts in 15 ms.

Arguments: how (self | namespace | account), uid, gid, pid of the parent to die with (0: outlive it), program, its
arguments. Without a program it only tries. Ends with `REFUSED` when the kernel forbids what `how` asks for.
"""

import ctypes
import errno
import os
import signal
import sys
from pathlib import Path

REFUSED = 77
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Does as the arguments say; returns only when there is no program to become."""
    how, uid, gid, parent, *command = sys.argv[1:]
    try:
        if how == "namespace":
            enter_namespace(int(uid), int(gid))
        elif how == "account":
            become(int(uid), int(gid))
    except OSError as error:
        sys.stderr.write(f"{how}: {error.strerror}\n")
        sys.exit(REFUSED)
    os.umask(0o077)
    # After the change of identity: the kernel forgets the death signal on every such change.
    if int(parent):
        die_with(int(parent))
    if command:
        os.execv(command[0], command)  # noqa: S606 (the caller's program, without a shell between)


def enter_namespace(uid: int, gid: int) -> None:
    """Root outside stays the owner of its files and is `uid` inside, which is what PostgreSQL asks for."""
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    proc = Path("/proc/self")
    (proc / "setgroups").write_text("deny")
    (proc / "uid_map").write_text(f"{uid} {outer_uid} 1")
    (proc / "gid_map").write_text(f"{gid} {outer_gid} 1")


def become(uid: int, gid: int) -> None:
    """Gives root up for good."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def die_with(parent: int) -> None:
    """Asks the kernel for the signal of a fast shutdown at the parent's death, however it dies (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)


if __name__ == "__main__":
    main()
