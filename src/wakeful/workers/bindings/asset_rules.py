"""Which file a path is answered with, or where it is redirected to: a table, without any I/O.

Source: Cloudflare docs on html_handling and not_found_handling; its assets Worker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

Exists = Callable[[str], bool]

PATH_CHARS_MAX: Final = 4096  # longer ones no file has
OK: Final = 200
NOT_FOUND: Final = 404
TEMPORARY: Final = 307


class Found(msgspec.Struct, frozen=True):
    """A file to send.

    Attributes:
        file: its path, "/about.html".
        status: what it is sent with.
    """

    file: str
    status: int = OK


class Redirect(msgspec.Struct, frozen=True):
    """A redirect to another path."""

    path: str


class Step(msgspec.Struct, frozen=True):
    """One step of a rule: if the file exists, answer with it, or redirect to `to` if that is given.

    Both are made of `path` and of `base`, the path without the ending that has chosen the step.
    """

    file: str
    to: str | None = None


INDEX, INDEX_HTML, SLASH, HTML, ANY = "/index", "/index.html", "/", ".html", ""
ENDINGS: Final = (INDEX, INDEX_HTML, SLASH, HTML, ANY)
HERE: Final = Step("{path}")
PAGE: Final = "{base}.html"
INSIDE: Final = "{base}/index.html"
ROOT: Final[Mapping[str, tuple[Step, ...]]] = {
    INDEX: (HERE, Step(INSIDE, "/")),
    INDEX_HTML: (Step(INSIDE, "/"),),
    SLASH: (Step(INSIDE),),
}
HANDLING: Final[Mapping[str, Mapping[str, tuple[Step, ...]]]] = {
    "auto-trailing-slash": {
        INDEX: (HERE, Step(INSIDE, "{base}/"), Step(PAGE, "{base}")),
        INDEX_HTML: (Step(INSIDE, "{base}/"), Step(PAGE, "{base}")),
        SLASH: (Step(INSIDE), Step(PAGE, "{base}")),
        HTML: (Step(PAGE, "{base}"), Step(INSIDE, "{base}/")),
        ANY: (HERE, Step("{path}.html"), Step("{path}/index.html", "{path}/")),
    },
    "force-trailing-slash": {
        INDEX: (HERE, Step(INSIDE, "{base}/"), Step(PAGE, "{base}/")),
        INDEX_HTML: (Step(INSIDE, "{base}/"), Step(PAGE, "{base}/")),
        SLASH: (Step(INSIDE), Step(PAGE)),
        HTML: (Step(PAGE, "{base}/"), HERE, Step(INSIDE, "{base}/")),
        ANY: (HERE, Step("{path}.html", "{path}/"), Step("{path}/index.html", "{path}/")),
    },
    "drop-trailing-slash": {
        INDEX: (HERE, Step(PAGE, "{base}"), Step(INSIDE, "{base}")),
        INDEX_HTML: (Step(INSIDE, "{base}"), HERE, Step(PAGE, "{base}")),
        SLASH: (Step(PAGE, "{base}"), Step(INSIDE, "{base}")),
        HTML: (Step(PAGE, "{base}"), Step(INSIDE, "{base}")),
        ANY: (HERE, Step("{path}.html"), Step("{path}/index.html")),
    },
    "none": {ANY: (HERE,)},
}


class Rules(msgspec.Struct, frozen=True):
    """How one Worker's assets are found.

    Attributes:
        html_handling: a key of HANDLING.
        not_found_handling: "none", "404-page" or "single-page-application".
    """

    html_handling: str
    not_found_handling: str

    def answer(self, path: str, exists: Exists) -> Found | Redirect | None:
        """Decide how a path is answered; None: there is nothing.

        Args:
            path: decoded, "/about".
            exists: whether there is a file of a path.
        """
        return self._page(path, exists, redirects=True) or self._missing(path, exists)

    def _page(self, path: str, exists: Exists, *, redirects: bool) -> Found | Redirect | None:
        for base, step in self._steps(path):
            file = step.file.format(path=path, base=base)
            if step.to is None:
                if exists(file):
                    return Found(file)
            elif redirects and exists(file):
                to = step.to.format(path=path, base=base)
                # Only where that leads to this very file, and not to a third place.
                if not exists(to) and self._page(to, exists, redirects=False) == Found(file):
                    return Redirect(to)
        return None

    def _steps(self, path: str) -> list[tuple[str, Step]]:
        handling = HANDLING[self.html_handling]
        ending = next(ending for ending in ENDINGS if path.endswith(ending))
        base = path.removesuffix(ending)
        chosen = handling.get(ending, ())
        if not base and self.html_handling == "drop-trailing-slash":
            chosen = ROOT.get(ending, chosen)
        steps = [] if ending == ANY else [(base, step) for step in chosen]
        return [*steps, *((path, step) for step in handling[ANY])]

    def _missing(self, path: str, exists: Exists) -> Found | None:
        if self.not_found_handling == "single-page-application" and exists("/index.html"):
            return Found("/index.html")
        if self.not_found_handling == "404-page":
            path = path[:PATH_CHARS_MAX]
            while path:
                path = path.rpartition("/")[0]
                if exists(f"{path}/404.html"):
                    return Found(f"{path}/404.html", NOT_FOUND)
        return None
