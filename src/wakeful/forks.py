"""What a child made by `os.fork` gives up at once: the lock, the files and the sockets of a server.

A forked child has all descriptors of its parent, and keeps them when the parent is killed. Then
nobody could start again: the lock is held, the port is taken. So in each child these descriptors
become ones of /dev/null. Their numbers stay taken: whatever of the parent's objects still uses
them in the child, at its end say, does no harm to another file.

A lock of `flock`, and a socket, live until their last descriptor is closed: to the parent nothing
changes. Children that run another program inherit nothing anyway (close-on-exec).

Invariants: one hook for the whole process, as for descriptors themselves; it keeps no owner alive.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")

_owners: WeakKeyDictionary[Any, Callable[[Any], Iterable[int]]] = WeakKeyDictionary()


def keep_from_children(owner: T, descriptors: Callable[[T], Iterable[int]]) -> None:
    """Have a child give up what an object has open.

    Args:
        owner: the object, for as long as it lives.
        descriptors: finds the descriptors; called in the child.
    """
    _owners[owner] = descriptors


def open_descriptors() -> Iterator[int]:
    """Everything this process has open."""
    for name in os.listdir("/dev/fd"):
        yield int(name)


def descriptors_of(files: Iterable[str]) -> Iterator[int]:
    """The descriptors of files that are where they were."""
    wanted = set()
    for file in files:
        with suppress(OSError):
            found = os.stat(file)
            wanted.add((found.st_dev, found.st_ino))
    for fd in open_descriptors():
        with suppress(OSError):  # that of the listing itself
            found = os.fstat(fd)
            if (found.st_dev, found.st_ino) in wanted:
                yield fd


def _give_up() -> None:
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    for owner, descriptors in list(_owners.items()):
        for fd in descriptors(owner):
            os.dup2(null, fd, inheritable=False)
    os.close(null)


os.register_at_fork(after_in_child=_give_up)
