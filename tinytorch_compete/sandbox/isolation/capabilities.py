"""The layers that hold limits on this machine: which work, their promises, and remedies."""

from __future__ import annotations

import functools
import os

import msgspec

from tinytorch_compete.kernel import landlock
from tinytorch_compete.sandbox.isolation import bubblewrap, cgroup, seccomp


class Capability(msgspec.Struct, frozen=True):
    """One layer: whether it works here, its promise, and how to get it where it doesn't."""

    name: str
    works: bool
    promise: str
    remedy: str = ""


@functools.cache
def survey() -> tuple[Capability, ...]:
    """Try all layers on this machine, once."""
    group = cgroup.make_group(processes=8) if os.name == "posix" else None
    if group:
        group.close()
    walls = bubblewrap.find() if os.name == "posix" else None
    root = os.name == "posix" and os.geteuid() == 0
    return (
        Capability(
            f"walls: bubblewrap{f' ({walls})' if walls else ''}",
            walls is not None,
            "no network, no files of this machine but a read-only system, bounded scratch space, "
            "everything dead at the end",
            "Linux: apt install bubblewrap, or allow user namespaces "
            "(sysctl kernel.apparmor_restrict_unprivileged_userns=0). "
            "Elsewhere: grade on a Linux machine; without walls, grade trusted code only.",
        ),
        Capability(
            f"memory cap: {group.name if group else 'cgroup'}",
            group is not None,
            "the whole process tree is killed at the cap, and its peak is the kernel's own figure",
            "Run as root, or: systemd-run --user --scope -p Delegate=yes tito compete grade … "
            "Without it a watcher looks 50 times a second: fast allocations overshoot.",
        ),
        Capability(
            "soft cap: rlimits",
            os.name == "posix",
            "an allocation beyond the budget raises MemoryError, which the next cell survives "
            "(Linux); files, open files and core dumps are bounded",
            "Not available on Windows: only time and a polled memory limit hold there.",
        ),
        Capability(
            "system-call filter: seccomp",
            walls is not None and seccomp.program() is not None,
            "no new user namespaces, io_uring, tracing of other processes, or nameless memory",
            "Needs bubblewrap on x86-64 or 64-bit ARM.",
        ),
        Capability(
            "own user for each kernel",
            root and walls is not None,
            "kernels can't touch each other's files or signals even without walls between them",
            "Run as root; as an ordinary user all kernels are that user, behind walls.",
        ),
        Capability(
            f"rights to files: {_landlock_name()}",
            landlock.abi() > 0,
            "files can be created, changed or renamed only in the scratch folders; without walls "
            "no other files of this user can be read"
            + (", and there is no TCP" if landlock.abi() >= landlock.TCP_ABI else ""),
            "Linux 5.13 or newer with Landlock on (lsm=landlock,… on its command line). Without it "
            "an ordinary user's kernels can fill this disk until somebody stops them.",
        ),
    )


def _landlock_name() -> str:
    """Landlock, with its version if it is on here."""
    return f"Landlock (version {landlock.abi()})" if landlock.abi() else "Landlock"


def _open_ways() -> str:
    """The ways out that student code has where there are no walls."""
    if not landlock.abi():
        return "read this user's files and use the network"
    network = "UDP" if landlock.abi() >= landlock.TCP_ABI else "the network"
    return (
        f"use {network} and connect to this user's services by their Unix sockets, through which "
        "it can get at files that Landlock denies to it"
    )


def weaknesses() -> list[str]:
    """The limits that this machine can't enforce, a sentence each; empty where all of them hold."""
    walls, cap = survey()[:2]
    sentences = []
    if not walls.works:
        sentences.append(
            f"There are no walls: student code can {_open_ways()}. Grade trusted code only."
        )
    if not cap.works:
        sentences.append(
            "There is no hard memory cap: each process is limited, the whole tree only watched."
        )
    return sentences
