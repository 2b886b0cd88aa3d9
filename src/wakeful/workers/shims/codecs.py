"""Text and bytes as JavaScript turns one into the other: TextEncoder, TextDecoder, atob, btoa.

Source:  Encoding standard; HTML standard, section Base64; the texts are V8's.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from wakeful.workers.proxies import (
    JsBytes,
    JsDict,
    JsException,
    JsProxy,
    JsRangeError,
    JsTypeError,
    JsURIError,
    options_of,
)
from wakeful.workers.shims.typed_arrays import TypedArray, Uint8Array
from wakeful.workers.values import js_string, utf8

URI_PART: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()"
URI: Final = URI_PART + b";/?:@&=+$,#"
NO_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")
RESERVED: Final = re.compile("(%(?:3B|2F|3F|3A|40|26|3D|2B|24|2C|23))", re.IGNORECASE)
NO_URI: Final = "URI malformed"
NO_BASE64: Final = (
    "atob() called with invalid base64-encoded data. (Only whitespace, '+', '/', alphanumeric "
    "ASCII, and up to two terminal '=' signs when the input data length is divisible by 4 are "
    "allowed.)"
)
STREAMED: Final = {"utf-8": "utf-8", "utf8": "utf-8", "utf-16": "utf-16-le", "latin1": "cp1252"}


class TextEncoder(JsProxy):
    """Text to UTF-8."""

    js_name = "TextEncoder"
    encoding: Final = "utf-8"

    def encode(self, text: object = "") -> JsBytes:
        """The bytes of a text."""
        return JsBytes(utf8(js_string(text)))

    def encodeInto(self, text: object, target: TypedArray) -> JsDict:
        """Put the bytes of a text into an array, as many characters as fit.

        Returns:
            `read`, the UTF-16 units that went in, and `written`, the bytes.

        Raises:
            JsTypeError: the target is not a Uint8Array.
        """
        if not isinstance(target, Uint8Array):
            raise JsTypeError("TextEncoder.encodeInto() needs a Uint8Array")
        whole = utf8(js_string(text))
        fitting = whole[: len(target)].decode("utf-8", "ignore").encode()
        target.set(fitting)
        return JsDict(read=len(fitting.decode().encode("utf-16-le")) // 2, written=len(fitting))


class TextDecoder(JsProxy):
    """Bytes to text.

    Raises:
        JsRangeError: the encoding is not known.
    """

    js_name = "TextDecoder"

    def __init__(self, label: str = "utf-8", options: Any = None, **named: Any) -> None:
        given = options_of(options, named.items())
        self.fatal = bool(given.get("fatal"))
        self.ignoreBOM = bool(given.get("ignoreBOM"))
        name = label.strip().lower()
        try:
            self._info = codecs.lookup(STREAMED.get(name, name))
        except LookupError:
            raise JsRangeError(f'"{label}" is not a valid encoding.') from None
        self.encoding = self._info.name
        self._decoder = self._fresh()
        self._begun = False

    def decode(self, data: Any = b"", options: Any = None, **named: Any) -> str:
        """The text of bytes; with `stream`, what is cut off at their end waits for the next ones.

        Raises:
            JsTypeError: the bytes are not valid text, and the decoder is fatal.
        """
        goes_on = bool(options_of(options, named.items()).get("stream"))
        try:
            text = self._decoder.decode(bytes(data), final=not goes_on)
        except UnicodeDecodeError:
            self._decoder, self._begun = self._fresh(), False
            raise JsTypeError("Failed to decode input.") from None
        if not self._begun and not self.ignoreBOM:
            text = text.removeprefix("\ufeff")
        self._begun = goes_on and (self._begun or bool(text))
        if not goes_on:
            self._decoder = self._fresh()
        return text

    def _fresh(self) -> codecs.IncrementalDecoder:
        make = self._info.incrementaldecoder
        assert make is not None, "every encoding of text has one"
        return make("strict" if self.fatal else "replace")


def atob(text: object) -> str:
    """What base64 stands for, a character for each byte.

    Raises:
        JsException: the text is not base64.
    """
    packed = "".join(js_string(text).split())
    try:
        padded = packed + "=" * (-len(packed) % 4)
        return base64.b64decode(padded, validate=True).decode("latin-1")
    except (binascii.Error, ValueError):
        raise JsException(NO_BASE64, CHARACTER) from None


def btoa(text: object) -> str:
    """The base64 of a text whose characters are bytes.

    Raises:
        JsException: a character is not a byte.
    """
    try:
        return base64.b64encode(js_string(text).encode("latin-1")).decode()
    except UnicodeEncodeError:
        why = "btoa() can only operate on characters in the Latin1 (ISO/IEC 8859-1) range."
        raise JsException(why, CHARACTER) from None


CHARACTER: Final = "InvalidCharacterError"


def encode_uri_component(value: object) -> str:
    """`encodeURIComponent`: text as a part of a URL.

    Raises:
        JsURIError: there is half a surrogate pair in it.
    """
    return _encoded(value, URI_PART)


def encode_uri(value: object) -> str:
    """`encodeURI`: text as a URL.

    Raises:
        JsURIError: there is half a surrogate pair in it.
    """
    return _encoded(value, URI)


def decode_uri_component(value: object) -> str:
    """`decodeURIComponent`: the text that a part of a URL stands for.

    Raises:
        JsURIError: the escapes are malformed.
    """
    text = js_string(value)
    try:
        if NO_ESCAPE.search(text):
            raise JsURIError(NO_URI)
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise JsURIError(NO_URI) from None


def decode_uri(value: object) -> str:
    """`decodeURI`: the same, but for escapes of what separates parts of a URL.

    Raises:
        JsURIError: the escapes are malformed.
    """
    parts = RESERVED.split(js_string(value))
    parts[::2] = map(decode_uri_component, parts[::2])
    return "".join(parts)


def _encoded(value: object, kept: bytes) -> str:
    try:
        pairs = js_string(value).encode("utf-16-le", "surrogatepass")
        data = pairs.decode("utf-16-le").encode()
    except UnicodeDecodeError:
        raise JsURIError(NO_URI) from None
    return "".join(chr(b) if b in kept else f"%{b:02X}" for b in data)
