"""Forms as bodies: multipart/form-data and application/x-www-form-urlencoded, both ways.

Limits:  at most PARTS_MAX parts, HEADERS_MAX headers in each, of HEADER_BYTES_MAX; the body's size
         is the server's business.
Errors:  JsTypeError for a body that is no form of its type.
Source:  RFC 7578; the HTML standard on encoding and the Fetch standard on parsing them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Final, NoReturn

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from wakeful.workers.proxies import JsTypeError
from wakeful.workers.values import utf8
from wakeful.workers.web.blobs import JsFile
from wakeful.workers.web.forms import Entry, JsFormData
from wakeful.workers.web.urls import form_pairs

PARTS_MAX: Final = 1000  # as in werkzeug and python-multipart, against bodies of empty parts
HEADERS_MAX: Final = 32  # of a part
HEADER_BYTES_MAX: Final = 8192
BOUNDARY_CHARS_MAX: Final = 70  # RFC 2046
NO_BOUNDARY: Final = (
    "No boundary string in Content-Type header. The multipart/form-data MIME type requires a "
    "boundary parameter, e.g. 'Content-Type: multipart/form-data; boundary=\"abcd\"'. See RFC "
    "7578, section 4."
)

MULTIPART: Final = "multipart/form-data"
URLENCODED: Final = "application/x-www-form-urlencoded"
PARAMETER: Final = re.compile(r';\s*([\w*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))')
LIMITS: Final = (
    f"A form has at most {PARTS_MAX} parts, each with at most {HEADERS_MAX} headers of at most "
    f"{HEADER_BYTES_MAX} bytes."
)


def parse_form(body: bytes, content_type: str) -> JsFormData:
    """The form that a body is.

    Raises:
        JsTypeError: the type is not one of a form, or the body does not fit it.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == URLENCODED:
        return _urlencoded(body)
    if kind == MULTIPART:
        boundary = _parameters(content_type).get("boundary", "")
        if not 0 < len(boundary) <= BOUNDARY_CHARS_MAX:
            _refuse(NO_BOUNDARY)
        return _multipart(body, utf8(boundary))
    _refuse(
        "Unrecognized Content-Type header value. FormData can only parse the following MIME types: "
        f"{MULTIPART}, {URLENCODED}"
    )


def _urlencoded(body: bytes) -> JsFormData:
    if body.count(b"&") >= PARTS_MAX:
        _refuse(f"The form has more than {PARTS_MAX} fields.")
    form = JsFormData()
    form.pairs = [*form_pairs(body)]
    return form


def _multipart(body: bytes, boundary: bytes) -> JsFormData:
    if b"--" + boundary not in body:
        _refuse("No initial boundary string (or you have a truncated message).")
    form = JsFormData()
    try:
        form.pairs = [_entry(part, content) for part, content in _parts(body, boundary)]
    except ParserLimitReached as error:
        _refuse(f"{error}. {LIMITS}")
    except MultipartError as error:
        _refuse(f"The multipart form cannot be read: {error}.")
    return form


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[MultipartSegment, bytes]]:
    part: MultipartSegment | None = None
    content: list[bytes] = []
    with _parser(boundary) as parser:
        for event in parser.parse(body):
            if isinstance(event, MultipartSegment):
                part, content = event, []
            elif event is not None:
                content.append(bytes(event))
            elif part is not None:
                yield part, b"".join(content)


def _parser(boundary: bytes) -> PushMultipartParser:
    return PushMultipartParser(
        boundary,
        max_header_size=HEADER_BYTES_MAX,
        max_header_count=HEADERS_MAX,
        max_segment_count=PARTS_MAX,
        header_charset="latin-1",  # which has a character for each byte
        strict=True,  # its other mode joins lines of a header, which takes long
    )


def _entry(part: MultipartSegment, content: bytes) -> Entry:
    fields = {
        name: value.encode("latin-1").decode("utf-8", "replace") for name, value in part.headerlist
    }
    parameters = _parameters(fields["Content-Disposition"])
    name = parameters.get("name", part.name or "")
    if "filename" not in parameters:
        return name, content.decode("utf-8", "replace")
    kind = fields.get("Content-Type", "text/plain").strip()
    return name, JsFile([content], parameters["filename"], type=kind)


def _parameters(header: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, quoted, bare in PARAMETER.findall(header):
        value = re.sub(r'\\(["\\])', r"\1", quoted) if quoted else bare
        for code, character in (("%0A", "\n"), ("%0D", "\r"), ("%22", '"')):
            value = value.replace(code, character)
        found.setdefault(name.lower(), value)
    return found


def write_form(form: JsFormData) -> tuple[bytes, str]:
    """A form as a multipart body, and the Content-Type that goes with it.

    The boundary is drawn from the contents: it is no part of them, and the same form always makes
    the same body.
    """
    parts = [_head_and_content(name, value) for name, value in form.pairs]
    digest = sha256()
    for head, content in parts:
        digest.update(head + content)
    boundary = f"----formdata-wakeful-{digest.hexdigest()[:32]}"
    line = utf8(boundary)
    pieces = [b"--" + line + b"\r\n" + head + content + b"\r\n" for head, content in parts]
    return b"".join(pieces) + b"--" + line + b"--\r\n", f"{MULTIPART}; boundary={boundary}"


def _head_and_content(name: str, value: str | JsFile) -> tuple[bytes, bytes]:
    head = f'Content-Disposition: form-data; name="{_escaped(name)}"'
    if isinstance(value, str):
        return utf8(f"{head}\r\n\r\n"), utf8(value)
    kind = value.type or "application/octet-stream"
    head += f'; filename="{_escaped(value.name)}"\r\nContent-Type: {kind}'
    return utf8(f"{head}\r\n\r\n"), value.data


def _escaped(text: str) -> str:
    return text.replace("\n", "%0A").replace("\r", "%0D").replace('"', "%22")


def _refuse(problem: str) -> NoReturn:
    raise JsTypeError(problem)
