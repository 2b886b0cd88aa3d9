"""What Workers give to an R2 bucket, read and checked.

Errors:  the texts and codes of workerd and of wrangler's local R2.
Source:  Cloudflare docs on R2; workerd r2-bucket.c++.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from http.client import HTTPMessage
from typing import Any, Final

import msgspec

from wakeful.workers.bindings.r2_conditions import ANY, Condition, Range
from wakeful.workers.proxies import JsException, JsRangeError, JsTypeError, options_of
from wakeful.workers.values import js_string, milliseconds, utf8
from wakeful.workers.web.headers import Headers

KEY_BYTES_MAX: Final = 1024
METADATA_BYTES_MAX: Final = 8192
LISTED_MAX: Final = 1_000
KEYS_MAX: Final = 1_000  # of one delete
# Members of httpMetadata, and the headers they come from.
HTTP: Final = {
    "contentType": "content-type",
    "contentLanguage": "content-language",
    "contentDisposition": "content-disposition",
    "contentEncoding": "content-encoding",
    "cacheControl": "cache-control",
}
EXPIRY: Final = "cacheExpiry"
CLASSES: Final = ("Standard", "InfrequentAccess")
RANGE: Final = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.ASCII | re.IGNORECASE)
ETAG: Final = re.compile(r'\s*(\*|(?:W/)?"[^"]*")\s*(?:,|$)|\s*,|\s+$')
INCLUDES: Final = ("httpMetadata", "customMetadata")
WHOLE: Final = Range(lenient=True)


def refused(action: str, text: str, code: int) -> JsException:
    """An error of R2."""
    return JsException(f"{action}: {text} ({code})")


def read_options(action: str, given: object, named: dict[str, Any]) -> dict[str, Any]:
    """The members of an options object, and of those given by name.

    Raises:
        JsException: an object is to be encrypted, which would not happen.
    """
    members = options_of(given, named.items())
    if members.get("ssecKey") is not None:
        raise refused(action, "wakeful does not provide ssecKey. Encrypt the bytes yourself", 10029)
    return members


def read_key(action: str, key: object) -> bytes:
    """A key.

    Raises:
        JsException: it is too long.
    """
    name = utf8(js_string(key))
    if len(name) > KEY_BYTES_MAX:
        raise refused(action, "The specified object name is not valid.", 10020)
    return name


def read_keys(given: object) -> tuple[bytes, ...]:
    """A key, or some of them.

    Raises:
        JsException: there are too many.
    """
    several = given if isinstance(given, list | tuple) else (given,)
    if len(several) > KEYS_MAX:
        text = f"delete can have at most {KEYS_MAX} keys, and there are {len(several)}."
        raise refused("delete", text, 10029)
    return tuple(read_key("delete", key) for key in several)


def _headers(given: object) -> Headers | None:
    """Return the headers, if headers were given in place of an object."""
    return Headers(given) if isinstance(given, Headers | HTTPMessage) else None


# --- parts of an object ----------------------------------------------------------------------


def read_range(given: object) -> Range:
    """Read the range of a get: an object, or headers that may have one.

    Raises:
        JsException: the value is not a range.
    """
    headers = _headers(given)
    if headers is not None:
        return _range_header(headers.get("range") or "")
    members = options_of(given)
    if not members:
        return WHOLE
    offset, length, suffix = (
        _whole(members.get(name), name, what)
        for name, what in (
            ("offset", "Starting offset"),
            ("length", "Length"),
            ("suffix", "Suffix"),
        )
    )
    if suffix is not None and (offset is not None or length is not None):
        other = "length" if offset is None else "offset"
        raise JsTypeError(f"Suffix is incompatible with {other}.")
    return Range(offset or 0, length, suffix)


def _whole(value: Any, name: str, what: str) -> int | None:
    if value is None:
        return None
    kind = "suffix" if name == "suffix" else "range"
    if value < 0:
        text = f"{what} ({js_string(value)}) must be greater than or equal to 0."
        raise JsRangeError(f"Invalid {kind}. {text}")
    if value != int(value):
        text = f"{what} ({js_string(value)}) must be an integer, not floating point."
        raise JsRangeError(f"Invalid range. {text}")
    return int(value)


def _range_header(text: str) -> Range:
    found = RANGE.fullmatch(text)
    first, last = found.groups() if found else ("", "")
    if first and (not last or int(first) <= int(last)):
        length = int(last) - int(first) + 1 if last else None
        return Range(int(first), length, lenient=True)
    return Range(suffix=int(last), lenient=True) if last and not first else WHOLE


# --- conditions ------------------------------------------------------------------------------


def read_condition(given: object) -> Condition | None:
    """`onlyIf`: an object, or headers.

    Raises:
        JsException: something in it is wrong.
    """
    if given is None:
        return None
    headers = _headers(given)
    if headers is not None:
        return Condition(
            _etags(headers.get("if-match")),
            _etags(headers.get("if-none-match")),
            _time(headers.get("if-unmodified-since")),
            _time(headers.get("if-modified-since")),
            seconds=True,
        )
    members = options_of(given)
    return Condition(
        _etag(members.get("etagMatches")),
        _etag(members.get("etagDoesNotMatch")),
        _moment(members.get("uploadedBefore")),
        _moment(members.get("uploadedAfter")),
        seconds=bool(members.get("secondsGranularity")),
    )


def _etag(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    text = js_string(value)
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        raise JsTypeError(f"Conditional ETag should not be wrapped in quotes ({text}).")
    return (text,)


def _etags(header: str | None) -> tuple[str, ...] | None:
    if header is None:
        return None
    found = tuple(_listed(header))
    return (ANY,) if ANY in found else found


def _listed(header: str) -> Iterator[str]:
    at = 0
    while at < len(header):
        found = ETAG.match(header, at)
        if found is None:
            raise JsException(f"Invalid conditional header: {header}")
        if found[1]:
            yield found[1].replace('"', "")
        at = found.end()


def _moment(value: object) -> int | None:
    return None if value is None else int(milliseconds(value))


def _time(header: str | None) -> int | None:
    """Parse the time of a header; an invalid time sets no condition."""
    try:
        return None if header is None else _moment(parsedate_to_datetime(header))
    except ValueError:
        return None


# --- metadata --------------------------------------------------------------------------------


class About(msgspec.Struct, frozen=True):
    """The metadata that a Worker wants to keep with an object.

    Attributes:
        http: httpMetadata; the expiry is in milliseconds since 1970.
        custom: customMetadata.
        storage: the storage class.
    """

    http: dict[str, Any]
    custom: dict[str, str]
    storage: str

    def written(self, version: str, checksums: dict[str, str]) -> str:
        """Return the metadata as JSON, with the fields that are known once the bytes are."""
        members = {"version": version, "checksums": checksums, **msgspec.structs.asdict(self)}
        return json.dumps(members, separators=(",", ":"))


def read_about(action: str, given: dict[str, Any]) -> About:
    """Metadata and storage class.

    Raises:
        JsException: something in it is wrong.
    """
    custom = {
        js_string(name): js_string(value)
        for name, value in options_of(given.get("customMetadata")).items()
    }
    if sum(map(_size, [*custom, *custom.values()])) > METADATA_BYTES_MAX:
        text = "Your metadata headers exceed the maximum allowed metadata size."
        raise refused(action, text, 10012)
    return About(
        _http(given.get("httpMetadata")), custom, _class(action, given.get("storageClass"))
    )


def _size(text: str) -> int:
    """Return the size of a text as JavaScript stores it."""
    narrow = all(ord(one) < 256 for one in text)
    return len(text) if narrow else len(text.encode("utf-16-le", "surrogatepass"))


def _http(given: object) -> dict[str, Any]:
    headers = _headers(given)
    if headers is not None:
        members = {name: headers.get(header) for name, header in HTTP.items()}
        expiry = _time(headers.get("expires"))
    else:
        members = options_of(given)
        expiry = _moment(members.get(EXPIRY))
    found: dict[str, Any] = {
        name: js_string(members[name]) for name in HTTP if members.get(name) is not None
    }
    return found if expiry is None else found | {EXPIRY: expiry}


def _class(action: str, given: object) -> str:
    name = CLASSES[0] if given is None else js_string(given)
    if name not in CLASSES:
        raise refused(action, f"The storage class {name} is none of {', '.join(CLASSES)}.", 10029)
    return name


# --- listings --------------------------------------------------------------------------------


def read_limit(given: object) -> int:
    """Read how many entries a listing may have.

    Raises:
        JsException: the value is not a number in the allowed range.
    """
    if given is None:
        return LISTED_MAX
    if not isinstance(given, int | float) or not 1 <= given <= LISTED_MAX:
        raise refused("list", f"MaxKeys params must be positive integer <= {LISTED_MAX}.", 10022)
    return int(given)


def read_include(given: Any) -> frozenset[str]:
    """Read which metadata a listing has.

    Raises:
        JsRangeError: one of them is unknown.
    """
    names = frozenset(map(js_string, given or ()))
    for name in names.difference(INCLUDES):
        raise JsRangeError(f"Unsupported include value {name}")
    return names
