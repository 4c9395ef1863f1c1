"""A small system-call filter: no new namespaces, io_uring, tracing, hidden memory, odd sockets.

bubblewrap drops capabilities, but a new user namespace would hand them out again inside itself, and
with them most of the kernel's attack surface. Sockets of other families than Unix, IP and netlink
are refused: a network namespace doesn't hold vsock, for one. So are files in memory and System V
segments, which belong to no process that a watcher could ask. A kernel can't leave the cores that
it is timed on. Refused calls fail with ``EPERM``, except ``clone3``, which fails with ``ENOSYS`` so
that glibc falls back to ``clone``, whose flags a filter can read.
Layout and constants: ``linux/filter.h``, ``linux/seccomp.h``, ``linux/audit.h``.
"""

from __future__ import annotations

import errno
import itertools
import platform
import struct

# The audit number of the architecture, and the numbers of the calls to refuse on it.
_COMMON = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "memfd_secret": 447,
}
_ARCHITECTURES = {
    "x86_64": (
        0xC000003E,
        {"clone": 56, "clone3": 435, "unshare": 272, "socket": 41, "socketpair": 53},
        {"ptrace": 101, "setns": 308, "add_key": 248, "request_key": 249, "keyctl": 250, "bpf": 321}
        | {"perf_event_open": 298, "userfaultfd": 323, "mount": 165}
        | {"process_vm_readv": 310, "process_vm_writev": 311, "sched_setaffinity": 203}
        | {"memfd_create": 319, "shmget": 29},
    ),
    "aarch64": (
        0xC00000B7,
        {"clone": 220, "clone3": 435, "unshare": 97, "socket": 198, "socketpair": 199},
        {"ptrace": 117, "setns": 268, "add_key": 217, "request_key": 218, "keyctl": 219, "bpf": 280}
        | {"perf_event_open": 241, "userfaultfd": 282, "mount": 40}
        | {"process_vm_readv": 270, "process_vm_writev": 271, "sched_setaffinity": 122}
        | {"memfd_create": 279, "shmget": 194},
    ),
}
_CLONE_NEWUSER = 0x10000000
_FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET (which ipykernel needs), AF_INET6, AF_NETLINK
_X32_BIT = 0x40000000
_NUMBER, _ARCH, _ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000


def program() -> bytes | None:
    """The filter as an array of ``sock_filter``; ``None`` where this machine isn't known."""
    if platform.machine() not in _ARCHITECTURES:
        return None
    arch, calls, refused = _ARCHITECTURES[platform.machine()]
    code = [
        _step(_LOAD, _ARCH),
        *_return_unless_equal(arch, _KILL),
        _step(_LOAD, _NUMBER),
        *_return_if(_JUMP_AT_LEAST, _X32_BIT, _ERRNO | errno.ENOSYS),
        *_return_if(_JUMP_EQUAL, calls["clone3"], _ERRNO | errno.ENOSYS),
    ]
    for number in (*refused.values(), *_COMMON.values()):
        code += _return_if(_JUMP_EQUAL, number, _ERRNO | errno.EPERM)
    for number in (calls["clone"], calls["unshare"]):
        # the first argument of both is the flags
        code += [
            _step(_JUMP_EQUAL, number, 0, 4),
            _step(_LOAD, _ARGUMENT),
            *_return_if(_JUMP_ANY_BIT, _CLONE_NEWUSER, _ERRNO | errno.EPERM),
            _step(_LOAD, _NUMBER),
        ]
    for number in (calls["socket"], calls["socketpair"]):
        allowed = [_return_if(_JUMP_EQUAL, family, _ALLOW) for family in _FAMILIES]
        body = [_step(_LOAD, _ARGUMENT), *itertools.chain.from_iterable(allowed)]
        body.append(_step(_RETURN, _ERRNO | errno.EAFNOSUPPORT))
        code += [_step(_JUMP_EQUAL, number, 0, len(body)), *body]
    return b"".join([*code, _step(_RETURN, _ALLOW)])


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _return_if(jump: int, value: int, verdict: int) -> list[bytes]:
    return [_step(jump, value, 0, 1), _step(_RETURN, verdict)]


def _return_unless_equal(value: int, verdict: int) -> list[bytes]:
    return [_step(_JUMP_EQUAL, value, 1, 0), _step(_RETURN, verdict)]
