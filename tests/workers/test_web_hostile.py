"""What clients send to be parsed, made to take long: forms, headers, URLs."""

import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeful.workers.proxies import JsTypeError
from wakeful.workers.web.headers import Headers
from wakeful.workers.web.multipart import parse_form
from wakeful.workers.web.urls import URL, form_pairs

MULTIPART = "multipart/form-data; boundary=b"
URLENCODED = "application/x-www-form-urlencoded"
SECONDS_MAX = 2.0  # each takes milliseconds, and took many seconds


def form_of_parts(head: bytes, count: int) -> bytes:
    named = b'--b\r\nContent-Disposition: form-data; name="a"\r\n'
    return (named + head + b"\r\n\r\nx\r\n") * count + b"--b--"


@pytest.mark.parametrize(
    "parse",
    [
        lambda: parse_form(form_of_parts(b"A:" + b"\t" * 8000 + b"\rx", 30), MULTIPART),
        lambda: parse_form(form_of_parts(b'A: b;c="' * 900, 30), MULTIPART),
        lambda: parse_form(form_of_parts(b'Content-Disposition: x;c="\\' * 200, 30), MULTIPART),
        lambda: parse_form(form_of_parts(b"A: b\r\n" + b" c\r\n" * 100_000, 30), MULTIPART),
        lambda: parse_form(form_of_parts(b"A: b\r\n" * 100_000, 30), MULTIPART),
        lambda: parse_form(form_of_parts(b"", 1) + b"\r--b" * 1_000_000, MULTIPART),
        lambda: parse_form(b"a=" + b"%41" * 4_000_000, URLENCODED),
        lambda: parse_form(b"a=" + b"%" * 1_000_000, URLENCODED),
        lambda: URL("http://" + "ä" * 500_000),
        lambda: URL("http://" + "ä." * 500_000),
        lambda: URL("http://h:" + "1" * 500_000),
        lambda: URL("http://h/" + "a/../" * 10_000),
    ],
)
def test_nothing_takes_long(parse: Callable[[], object]) -> None:
    began = time.thread_time()
    with suppress(JsTypeError):
        parse()
    assert time.thread_time() - began < SECONDS_MAX


@given(st.text("a%4=&+ \n\r1Fg\t.é?_", max_size=20))
def test_queries_are_read_as_the_standard_library_does(query: str) -> None:
    assert form_pairs(query.encode()) == parse_qsl(query, keep_blank_values=True)


def test_half_a_surrogate_pair_in_a_header_can_be_sent() -> None:
    """No server could encode it: it is what JavaScript makes of it."""
    assert Headers({"x": "a\ud800b"}).raw() == [("x", "a\ufffdb")]
