"""Static assets: files of a directory, answered before the Worker, and through `env.ASSETS`.

Files are looked up when they are asked for: what is changed is sent changed. Only regular files
inside of the directory are, also where symbolic links lead out of it.

Differences to Cloudflare: a path is not redirected to its canonical percent-encoding, since
servers decode it before we see it; an ETag is made of a file's time and size, not its contents.
Source:  Cloudflare docs on static assets; its router and assets Workers.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Sequence
from hashlib import blake2b
from io import BufferedReader
from mimetypes import MimeTypes
from stat import S_ISREG
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec

from wakeful.workers.bindings.asset_rules import PATH_CHARS_MAX, TEMPORARY, Found, Redirect, Rules
from wakeful.workers.config.resources import META_FILES, Assets
from wakeful.workers.proxies import JsProxy, options_of
from wakeful.workers.web.body import Content
from wakeful.workers.web.outgoing import Fetching, make_request
from wakeful.workers.web.requests import JsRequest
from wakeful.workers.web.responses import JsResponse, Response
from wakeful.workers.web.streams import ReadableStream

READ: Final = ("GET", "HEAD")
CACHE: Final = "public, max-age=0, must-revalidate"
CHUNK_BYTES: Final = 64 * 1024  # of a larger file, read in a thread
SEPARATORS: Final = frozenset(f"\0\\{os.sep}{os.altsep or ''}") - {"/"}
LOCATION_SAFE: Final = "/!'()*"  # what encodeURIComponent leaves, and the slashes
# What Python calls otherwise, or does not know in all of its versions.
MEDIA_TYPES: Final = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".ttf": "font/ttf",
    ".otf": "font/otf",
    ".md": "text/markdown",
    ".map": "application/json",
}


class File(msgspec.Struct, frozen=True):
    """A file that may be sent.

    Attributes:
        path: where it is, without symbolic links.
        size: bytes.
        tag: changes when the file does.
    """

    path: str
    size: int
    tag: str


class AssetServer:
    """Answers requests with files.

    Args:
        assets: which files, and how.
        navigation: what a browser goes to is answered by assets where they have a page for what
            does not exist, before the Worker is asked.

    Attributes:
        binding: the name in `env`, if there is one.
    """

    def __init__(self, assets: Assets, *, navigation: bool) -> None:
        self.binding = assets.binding
        self._root = str(assets.directory)
        self._rules = Rules(assets.html_handling, assets.not_found_handling)
        self._bare = Rules(assets.html_handling, "none")
        self._navigation = navigation
        self._worker_first = assets.worker_first
        self._to_worker = [tuple(rule.split("*")) for rule in assets.to_worker]
        self._to_assets = [tuple(rule.split("*")) for rule in assets.to_assets]
        self._types = MimeTypes()
        for ending, kind in MEDIA_TYPES.items():
            self._types.add_type(kind, ending)

    def comes_first(self, request: JsRequest) -> bool:
        """Whether a request is answered by assets, without asking the Worker."""
        pathname, _ = _split(request.url)
        if any(matches(rule, pathname) for rule in self._to_assets):
            return True
        if self._worker_first or any(matches(rule, pathname) for rule in self._to_worker):
            return False
        navigates = self._navigation and request.headers.get("sec-fetch-mode") == "navigate"
        rules = self._rules if navigates else self._bare
        path = _decoded(pathname)
        return rules.answer(_collapsed(path), self._exists) is not None

    async def fetch(self, request: JsRequest) -> JsResponse:
        """The answer to a request."""
        pathname, query = _split(request.url)
        path = _decoded(pathname)
        collapsed = _collapsed(path)
        answer = self._rules.answer(collapsed, self._exists)
        if answer is None:
            return JsResponse.received(404, (), None)
        if request.method not in READ:
            return JsResponse.received(405, [("allow", ", ".join(READ))], None)
        if isinstance(answer, Found) and collapsed == path:
            return await self._send(request, answer)
        to = answer.path if isinstance(answer, Redirect) else collapsed
        location = quote(to, safe=LOCATION_SAFE, errors="replace") + query
        return JsResponse.received(TEMPORARY, [("location", location)], None)

    async def _send(self, request: JsRequest, found: Found) -> JsResponse:
        file = self._file(found.file)
        if file is None:
            return JsResponse.received(404, (), None)  # it has gone meanwhile
        headers = self._headers(request, found.file, file)
        if _is_known(file.tag, request.headers.get("if-none-match")):
            return JsResponse.received(304, headers, None)
        try:
            content = None if request.method == "HEAD" else await _content(file)
        except OSError:
            return JsResponse.received(404, (), None)
        return JsResponse.received(found.status, headers, content)

    def _headers(self, request: JsRequest, name: str, file: File) -> list[tuple[str, str]]:
        headers = [("etag", file.tag)]
        kind, encoding = self._types.guess_type(name)
        if kind is not None and encoding is None:
            text = kind.startswith("text/")
            headers.append(("content-type", f"{kind}; charset=utf-8" if text else kind))
        if not request.headers.has("authorization") and not request.headers.has("range"):
            headers.append(("cache-control", CACHE))
        return headers

    def _exists(self, path: str) -> bool:
        return self._file(path) is not None

    def _file(self, path: str) -> File | None:
        """Return the file of a path, if it may be sent."""
        if len(path) > PATH_CHARS_MAX or path[1:] in META_FILES or not _is_plain(path):
            return None
        full = self._root.rstrip("/") + path
        try:
            status = os.stat(full)  # most paths end here: they are for the Worker
            real = os.path.realpath(full, strict=True)
        except (OSError, ValueError):
            return None
        if not real.startswith(self._root.rstrip(os.sep) + os.sep) or not S_ISREG(status.st_mode):
            return None
        if os.path.relpath(real, self._root) in META_FILES:
            return None  # by a symbolic link, or in other letters
        stamp = f"{path}\0{status.st_mtime_ns}\0{status.st_size}\0{status.st_ino}"
        digest = blake2b(stamp.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return File(real, status.st_size, f'"{digest}"')


class AssetsBinding(JsProxy):
    """`env.ASSETS`."""

    js_name = "Fetcher"

    def __init__(self, server: AssetServer) -> None:
        self._server = server

    async def fetch(self, resource: object, options: object = None, **named: Any) -> Response:
        """The asset that a request asks for; its host does not matter.

        A redirect to the canonical path of a page is followed, unless the request says "manual".
        The request of a client says so: what is passed on gets the answer that the client gets.
        """
        request = make_request(resource, options_of(options, named.items()))
        return await Fetching(request, self._answer)

    async def _answer(self, request: JsRequest) -> Response:
        return (await self._server.fetch(request)).__wakeful_transfer__()


def matches(rule: Sequence[str], path: str) -> bool:
    """Whether a path matches the parts of a rule, with anything in between.

    The leftmost place for each part is as good as any other, so it takes one pass.
    """
    first, *rest = rule
    if not rest:
        return path == first
    if not path.startswith(first):
        return False
    *middle, last = rest
    at = len(first)
    for part in middle:
        at = path.find(part, at) + len(part)
        if at < len(part):
            return False
    return path.endswith(last) and at + len(last) <= len(path)


def _split(url: str) -> tuple[str, str]:
    """Split a URL into path and query; a URL from outside is taken as its sender wrote it."""
    rest, sign, query = url.partition("://")[2].partition("?")
    return f"/{rest.partition('/')[2]}", sign + query


def _is_plain(path: str) -> bool:
    """Whether a path begins at the root, and each of its parts is a name."""
    whole = f"{path}/"
    odd = any(part in whole for part in ("//", "/./", "/../", *SEPARATORS))
    return path.startswith("/") and not odd


def _decoded(pathname: str) -> str:
    """Decode a path as files are named; bytes that are not UTF-8 stay encoded."""
    parts = []
    for part in pathname.split("/"):
        try:
            parts.append(unquote(part, errors="strict"))
        except UnicodeDecodeError:
            parts.append(part)
    return "/".join(parts)


def _collapsed(path: str) -> str:
    # Also so that no redirect can lead to another host: //host/path would.
    return re.sub("/+", "/", path)


def _is_known(tag: str, given: str | None) -> bool:
    """Whether the client's cached version is current."""
    if given is None:
        return False
    tags = [one.strip().removeprefix("W/") for one in given.split(",")]
    return tag in tags or tags == ["*"]


async def _content(file: File) -> Content:
    if file.size > CHUNK_BYTES:
        return ReadableStream(_chunks(file))
    with _opened(file) as opened:
        return opened.read(CHUNK_BYTES)


async def _chunks(file: File) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    with _opened(file) as opened:
        while chunk := await loop.run_in_executor(None, opened.read, CHUNK_BYTES):
            yield chunk


def _opened(file: File) -> BufferedReader:
    def open_here(path: str, flags: int) -> int:
        return os.open(path, flags | os.O_NOFOLLOW)

    return open(file.path, "rb", opener=open_here)
