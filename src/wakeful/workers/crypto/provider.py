"""The parts that stand on the package `cryptography`, which may not be installed.

They are imported when they are first asked for: importing `cryptography` takes some 40 ms.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from wakeful.workers.crypto.algorithms import not_supported

NOT_INSTALLED: Final = (
    "crypto.subtle has {} only with the package cryptography. Install it: "
    'pip install "wakeful[crypto]"'
)


def provided(part: str, what: str) -> Any:
    """Import a module beside this one that needs `cryptography`.

    Args:
        part: its name.
        what: what the Worker wants of it.

    Raises:
        JsDomException: the package is not installed; it says what to write.
    """
    try:
        return import_module(f"wakeful.workers.crypto.{part}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "cryptography":
            raise
        raise not_supported(NOT_INSTALLED.format(what)) from None
