"""Give up file access rights for good, through the Linux kernel's Landlock.

A ruleset binds the thread that enforces it and everything that this thread starts later, so enforce
it before starting other threads. Layers add up: each takes rights away. Landlock doesn't govern
connections to Unix sockets that have a name in a file system, UDP, or files' modes and attributes.
Numbers and layout: ``linux/landlock.h``; https://docs.kernel.org/userspace-api/landlock.html.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
import sys
from collections.abc import Iterable

# System calls, the same on all architectures that Python runs on.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION_FLAG, PATH_BENEATH, NO_NEW_PRIVS = 1, 1, 38
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
MAKE_SOCK = 1 << 9
TRUNCATE = 1 << 14
READ = EXECUTE | READ_FILE | READ_DIR
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
# File rights by ABI version: up to MAKE_SYM, then with REFER, then with TRUNCATE. From 4 on
# Landlock also governs TCP bind and connect, from 6 on abstract Unix sockets and signals outward.
RIGHTS = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF}
TCP_ABI, TCP = 4, 0b11
SCOPE_ABI, SCOPES = 6, 0b11


@functools.cache
def abi() -> int:
    """Return the Landlock version that this machine's Linux has enabled; 0 if there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_FLAG)))


def restrict(
    readable: Iterable[str],
    listed: Iterable[str],
    writable: Iterable[str],
    sockets: Iterable[str],
    *,
    tcp: bool,
) -> None:
    """Give up all rights to files except these below the given paths; raises ``OSError``.

    ``listed`` folders may be listed and nothing more, ``writable`` ones are readable too, and Unix
    sockets may be made in ``sockets``. Unless ``tcp`` is set, TCP is given up as well, where this
    Landlock governs it. Signals and abstract Unix sockets reach only processes under the same
    ruleset.
    """
    rights = RIGHTS[min(abi(), max(RIGHTS))]
    network = TCP if abi() >= TCP_ABI and not tcp else 0
    scopes = SCOPES if abi() >= SCOPE_ABI else 0
    handled = struct.pack("=QQQ", rights, network, scopes)
    ruleset = _call(CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    try:
        granted = ((readable, READ), (listed, READ_DIR), (writable, rights), (sockets, MAKE_SOCK))
        for paths, allowed in granted:
            for path in paths:
                _allow(ruleset, path, allowed)
        if _libc().prctl(NO_NEW_PRIVS, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "the kernel refused no_new_privs")
        _call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, allowed: int) -> None:
    """Add a rule for a folder or file, if it exists."""
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # a path that doesn't exist needs no rule
    try:
        allowed &= -1 if os.path.isdir(path) else OF_FILES
        rule = struct.pack("=Qi", allowed, handle)
        _call(ADD_RULE, ruleset, PATH_BENEATH, rule, 0)
    finally:
        os.close(handle)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc().syscall(number, *arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock system call {number} failed: {os.strerror(error)}")
    return result


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
