"""The state of the backend in files, which a restart keeps.

How it misbehaves stands in the environment: `BEHAVIOUR` is a list of words, each explained where it is asked for.
"""

import os
import socket
import threading
from pathlib import Path

from connectrpc.code import Code
from connectrpc.errors import ConnectError

DIRECTORY = Path(os.environ["STATE"])
BEHAVIOUR = set(os.environ.get("BEHAVIOUR", "").split(","))
# The connection of the request that this thread serves.
CONNECTION = threading.local()


def directory(name):
    path = DIRECTORY / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def write(kind, name, content):
    """Stores bytes under a name, atomically. Returns whether they are new."""
    path = directory(kind) / name
    if path.exists():
        return False
    draft = directory("drafts") / f"{name}.{threading.get_ident()}"
    draft.write_bytes(content)
    draft.rename(path)
    return True


def read(kind, name):
    path = directory(kind) / name
    return path.read_bytes() if path.exists() else None


def created(kind, name):
    """The time at which it was stored, in seconds since 1970."""
    return (directory(kind) / name).stat().st_mtime_ns / 1e9


def names(kind):
    """All names, the oldest first."""
    return [path.name for path in sorted(directory(kind).iterdir(), key=lambda path: path.stat().st_mtime_ns)]


def once(word, name=None):
    """Whether this behaviour is on and was not used yet."""
    return word in BEHAVIOUR and write("done", name or word, b"")


def cut():
    """Closes the connection without a response."""
    CONNECTION.socket.shutdown(socket.SHUT_RDWR)
    raise ConnectError(Code.ABORTED, "the connection is cut")
