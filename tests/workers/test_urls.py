"""URL: the same hosts and parts as in a browser; the facts are what Node.js says."""

import pytest

from wakeful.workers.web.urls import URL, sent


@pytest.mark.parametrize(
    ("text", "href"),
    [
        ("http://h", "http://h/"),
        ("HTTP://User:pw@Example.COM:80/a/../b/./c?x=1#f", "http://User:pw@example.com/b/c?x=1#f"),
        ("https://h:8443/é b?q=ü", "https://h:8443/%C3%A9%20b?q=%C3%BC"),
        (" http:\\\\h\\a\\b ", "http://h/a/b"),
        ("http://h/%7Ea%2fb/%2e%2E/", "http://h/"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://[::1]:8787/x", "http://[::1]:8787/x"),
        ("http://h/a'b?c'd", "http://h/a'b?c%27d"),
        ("http://h/a/..", "http://h/"),
        ("ws://h/chat", "ws://h/chat"),
        ("mailto:a b@é?s='#f", "mailto:a b@%C3%A9?s='#f"),
        ("foo://H:80/a/../b\\c", "foo://H:80/b\\c"),
        ("foo:/a/..//b", "foo:/.//b"),
        ("file:///a/../b", "file:///b"),
        ("file:\\\\LOCALHOST/x?y", "file:///x?y"),
        ("file://Host/x", "file://host/x"),
        ("http://017700000001/", "http://127.0.0.1/"),
        ("http://0x/", "http://0.0.0.0/"),
        ("http://[1:0:0:2:0:0:0:3]/", "http://[1:0:0:2::3]/"),
        ("http://[1:2:3:4:5:6:7:8]/", "http://[1:2:3:4:5:6:7:8]/"),
        ("http://h/?#", "http://h/?#"),
    ],
)
def test_url_is_normalised(text: str, href: str) -> None:
    assert URL(text).href == href
    assert URL(URL(text)).href == href


@pytest.mark.parametrize(
    ("relative", "href"),
    [
        ("/x", "http://h/x"),
        ("y?z", "http://h/a/y?z"),
        ("../y", "http://h/y"),
        ("?q", "http://h/a/b?q"),
        ("#f", "http://h/a/b?old#f"),
        ("//other/x", "http://other/x"),
        ("https://k", "https://k/"),
    ],
)
def test_relative_url(relative: str, href: str) -> None:
    assert URL(relative, "http://h/a/b?old#old").href == href


@pytest.mark.parametrize(
    "text",
    [
        *("", "/rel", "rel", "http://", "http://a b/", "http://h:x/", "http://h:99999", "://h"),
        *("http://1.2.3.4.5/", "http://1.2.3.256", "http://0x.0x.0xz.1.", "http://[::1%25a]/"),
        *("http://[1]/", "http://a@/", "foo://:80/", "foo://a b/", "http://a\u200db.example/"),
    ],
)
def test_no_url(text: str) -> None:
    with pytest.raises(TypeError, match="Invalid URL"):
        URL(text)
    assert not URL.canParse(text)


def test_parts_of_a_url() -> None:
    url = URL.new("https://u:p@h:81/a?x=1&y=2#f")
    assert (url.protocol, url.host, url.hostname, url.port) == ("https:", "h:81", "h", "81")
    assert (url.pathname, url.search, url.hash, url.origin) == (
        "/a",
        "?x=1&y=2",
        "#f",
        "https://h:81",
    )
    assert (url.username, url.password, str(url), url.toJSON()) == ("u", "p", url.href, url.href)
    assert url.searchParams.get("y") == "2"


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("http://straße.de/", "xn--strae-oqa.de"),  # once another host: strasse.de
        ("http://faß.example/", "xn--fa-hia.example"),
        ("http://\uff27\uff2f.example/", "go.example"),
        ("http://a\u00adb.example/", "ab.example"),
        ("http://日本。jp/", "xn--wgv71a.jp"),
        ("http://☃.net/", "xn--n3h.net"),
        ("http://a%41.example/", "aa.example"),
        ("http://4294967295/", "255.255.255.255"),
        ("http://0300.168.0.xF0/", "0300.168.0.xf0"),
        ("http://256/", "0.0.1.0"),
        ("http://[::ffff:1.2.3.4]/", "[::ffff:102:304]"),
    ],
)
def test_hosts_are_those_of_a_browser(text: str, host: str | None) -> None:
    found = URL.parse(text)
    assert (found and found.host) == host


@pytest.mark.parametrize(
    ("text", "href"),
    [
        ("file:///C:/a/../..", "file:///C:/"),
        ("file:///C|/x", "file:///C:/x"),
        ("file://C:/x", "file:///C:/x"),
        ("http://h/\ud800?\udc00#\ud800", "http://h/%EF%BF%BD?%EF%BF%BD#%EF%BF%BD"),
        ("http:h", "http://h/"),
        ("http://user@:p@h/", "http://user%40:p@h/"),
        ("http://h/a\tb\nc", "http://h/abc"),
    ],
)
def test_corners_of_urls(text: str, href: str) -> None:
    assert URL(text).href == href


def test_origin_of_a_blob() -> None:
    assert URL("blob:https://a.b/c").origin == "https://a.b"


def test_url_and_query_change_each_other() -> None:
    url = URL("http://h/?x=1#f")
    params = url.searchParams
    params.append("y", "a b")
    assert url.href == "http://h/?x=1&y=a+b#f"
    url.search = "?z='"
    assert params is url.searchParams
    assert (params.items(), url.search) == ([("z", "'")], "?z=%27")
    url.href = "http://k/?w=2"
    assert params.items() == [("w", "2")]
    params.delete("w")
    assert url.href == "http://k/"


def test_a_part_that_cannot_be_stays() -> None:
    url = URL("http://u@h:81/p")
    for part, value in (("host", "a b"), ("port", "x"), ("protocol", "foo"), ("hostname", "")):
        setattr(url, part, value)
    assert url.href == "http://u@h:81/p"
    with pytest.raises(TypeError, match="Failed to set the 'href'"):
        url.href = "nothing"


def test_what_is_sent_of_a_url() -> None:
    assert sent("http://u:p@h/a?b#c") == "http://h/a?b"
    assert sent("http://h/@?#") == "http://h/@?"
