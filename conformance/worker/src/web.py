"""J: requests, responses, headers, URLs, forms and blobs, without an object."""

import js
from facts import each, outcome, worker
from js import URL, Blob, File, FormData, Headers, Request, Response, URLSearchParams


def pairs(headers):
    return [list(pair) for pair in headers]


def headers_of(change, init=None):
    headers = Headers.new(init)
    change(headers)
    return pairs(headers)


def do(*steps):
    """The value of the last step."""
    return steps[-1]


@worker
async def J1(env, given, made):
    def new(init):
        return lambda: pairs(Headers.new(init))

    return await each(
        {
            "none": lambda: pairs(Headers.new()),
            "pairs": new([["b", "2"], ["A", "1"], ["b", "3"]]),
            "object": new({"X-Y": " padded\t", "n": 5, "t": True}),
            "copy": lambda: pairs(Headers.new(Headers.new({"a": "1"}))),
            "pair of one": new([["a"]]),
            "pair of three": new([["a", "b", "c"]]),
            "a text": new("a: b"),
            "a number": new(5),
            "space in name": new({"a b": "x"}),
            "colon in name": new({"a:": "x"}),
            "line end in value": new({"a": "x\r\ny: z"}),
            "NUL in value": new({"a": "x\0"}),
            "line end at the end": new({"a": "x\r\n"}),
            "control character": new({"a": "x\u0001y"}),
            "latin-1": new({"a": "é"}),
            "beyond latin-1": new({"a": "€"}),
            "emoji": new({"a": "😀"}),
            "empty value": new({"a": ""}),
            "inner blanks": new({"a": "x  \t y"}),
        }
    )


@worker
async def J2(env, given, made):
    def get():
        h = Headers.new([["a", "1"], ["A", "2"]])
        return [h.get("A"), h.get("b"), h.has("a"), h.has("b")]

    def cookies():
        h = Headers.new([["set-cookie", "a=1"], ["x", "y"], ["Set-Cookie", "b=2, c"]])
        return [pairs(h), h.getSetCookie(), h.get("set-cookie")]

    def for_each():
        found = []
        Headers.new({"b": "1", "A": "2"}).forEach(
            lambda value, name, *_: found.append([name, value])
        )
        return found

    return await each(
        {
            "append": lambda: headers_of(
                lambda h: do(h.append("A", "1"), h.append("a", "2"), h.append("a", ""))
            ),
            "set": lambda: headers_of(
                lambda h: h.set("b", "9"), [["a", "1"], ["b", "2"], ["b", "3"], ["c", "4"]]
            ),
            "delete": lambda: headers_of(
                lambda h: do(h.delete("A"), h.delete("none")), {"a": "1", "b": "2"}
            ),
            "delete of no name": lambda: headers_of(lambda h: h.delete("a b")),
            "get of no name": lambda: Headers.new().get("a b"),
            "get": get,
            "cookies": cookies,
            "no cookies": lambda: Headers.new({"cookie": "a"}).getSetCookie(),
            "cookies set": lambda: headers_of(
                lambda h: h.set("set-cookie", "z"), [["set-cookie", "a"], ["set-cookie", "b"]]
            ),
            "keys": lambda: list(
                Headers.new(
                    [["b", "1"], ["a", "2"], ["set-cookie", "1"], ["set-cookie", "2"]]
                ).keys()
            ),
            "values": lambda: list(Headers.new([["b", "1"], ["a", "2"], ["b", "3"]]).values()),
            "forEach": for_each,
            "value undefined": lambda: headers_of(lambda h: h.set("a", js.undefined)),
            "value list": lambda: headers_of(lambda h: h.set("a", [1, 2])),
            "value float": lambda: headers_of(lambda h: h.set("a", 1.5)),
        }
    )


@worker
async def J3(env, given, made):
    def new(*args, **init):
        def run():
            r = Response.new(*args, **init)
            return [r.status, r.statusText, r.ok, pairs(r.headers), r.body is None]

        return run

    async def json():
        r = Response.json({"a": [1, "é", None, True, 1.5]}, status=201)
        return [r.status, pairs(r.headers), await r.text()]

    found = await each(
        {
            "none": new(),
            "null": new(None),
            "text": new("x"),
            "empty": new(""),
            "bytes": new(b"\x01"),
            "number": new(5),
            "own type": new("x", headers={"Content-Type": "a/b"}),
            "params": lambda: new(URLSearchParams.new("a=1"))(),
            "blob": lambda: new(Blob.new(["x"], type="a/B"))(),
            "blob without a type": lambda: new(Blob.new(["x"]))(),
            "status text": new(None, status=299, statusText="Fine"),
            "status text wrong": new(None, statusText="a\nb"),
            "status 999": new(None, status=999),
            "status text of json": json,
            "json own type": lambda: pairs(
                Response.json(1, headers={"content-type": "a/b", "x": "y"}).headers
            ),
            "json null": lambda: Response.json(None).text(),
            "json text": lambda: Response.json("x\u2028").text(),
            "json list": lambda: Response.json([]).text(),
            "json status 204": lambda: Response.json(1, status=204).status,
        }
    )
    for status in (100, 101, 199, 200, 204, 205, 299, 304, 404, 599, 600, 0, -1, 1000000000):
        found[f"empty {status}"] = await outcome(
            lambda status=status: Response.new(None, status=status).status
        )
        found[f"text {status}"] = await outcome(
            lambda status=status: Response.new("x", status=status).status
        )
    for name, status in (
        ("404", "404"),
        ("200.7", 200.7),
        ("undefined", None),
        ("NaN", float("nan")),
        ("x", "x"),
        ("true", True),
    ):
        found[f"status {name}"] = await outcome(
            lambda status=status: Response.new(None, status=status).status
        )
    return found


@worker
async def J4(env, given, made):
    def moved(*args):
        def run():
            r = Response.redirect(*args)
            return [r.status, pairs(r.headers)]

        return run

    return await each(
        {
            "plain": moved("https://example.com"),
            "301": moved("https://example.com/a b?c d#e f", 301),
            "303": moved("https://example.com", 303),
            "307": moved("https://example.com", 307),
            "308": moved("https://example.com", 308),
            "300": moved("https://example.com", 300),
            "200": moved("https://example.com", 200),
            "304": moved("https://example.com", 304),
            "relative": moved("/x"),
            "wrong": moved("http://"),
            "other": moved("mailto:a@b"),
            "unicode": moved("https://é.example/ü?ö"),
        }
    )


@worker
async def J5(env, given, made):
    def used(read):
        async def run():
            r = Response.new("[1]")
            await r.text()
            found = read(r)
            return await found if hasattr(found, "__await__") else found

        return run

    async def null_twice():
        r = Response.new(None)
        return [await r.text(), await r.text(), r.bodyUsed]

    async def empty_twice():
        r = Response.new("")
        await r.text()
        return await r.text()

    async def is_used():
        r = Response.new("x")
        before = r.bodyUsed
        await r.text()
        return [before, r.bodyUsed]

    async def locked():
        r = Response.new("x")
        r.body.getReader()
        return await r.text()

    async def clone():
        r = Response.new("x", status=201, headers={"a": "b"})
        c = r.clone()
        return [c.status, pairs(c.headers), await r.text(), await c.text()]

    def apart():
        r = Response.new("x")
        r.clone().headers.set("a", "b")
        return r.headers.get("a")

    async def blob():
        b = await Response.new("xy", headers={"content-type": "A/B; c=D"}).blob()
        return [b.size, b.type, await b.text()]

    async def form():
        return pairs(await Response.new(URLSearchParams.new("a=1&b=%20+&a=é")).formData())

    def multipart(boundary):
        kind = "multipart/form-data" + boundary
        return lambda: Response.new("x", headers={"content-type": kind}).formData()

    def json(text):
        return lambda: Response.new(text).json()

    return await each(
        {
            "text": used(lambda r: r.text()),
            "json": used(lambda r: r.json()),
            "bytes used": used(lambda r: r.arrayBuffer()),
            "clone used": used(lambda r: r.clone()),
            "as a body": used(lambda r: Response.new(r.body)),
            "null twice": null_twice,
            "empty twice": empty_twice,
            "used": is_used,
            "locked": locked,
            "clone": clone,
            "clone keeps headers apart": apart,
            "json empty": json(""),
            "json wrong": json("{a}"),
            "json cut": json("[1,"),
            "json NaN": json("NaN"),
            "json BOM": json("\ufeff[1]"),
            "json big": json("[12345678901234567890, 1e400, -0, 1.0, 1e2]"),
            "json twice": json('{"a":1,"a":2,"__proto__":3}'),
            "text BOM": lambda: Response.new("\ufeffx").text(),
            "text not UTF-8": lambda: Response.new(b"\x78\xff\xe2\x82").text(),
            "blob": blob,
            "bytes": lambda: Response.new("é").bytes(),
            "form of none": lambda: Response.new("x").formData(),
            "form urlencoded": form,
            "form without type": lambda: Response.new(bytes(1)).formData(),
            "form without boundary": multipart(""),
            "form broken": multipart("; boundary=b"),
        }
    )


METHODS = [
    "get",
    "Post",
    "patch",
    "PATCH",
    "propfind",
    "PURGE",
    "QUERY",
    "CONNECT",
    "connect",
    "TRACE",
    "TRACK",
    "FOO",
    "M-SEARCH",
]


@worker
async def J6(env, given, made):
    def new(url, **init):
        def run():
            r = Request.new(url, **init)
            return [r.method, r.url, r.redirect, pairs(r.headers), r.body is None]

        return run

    found = await each(
        {
            "plain": new("http://h"),
            "get with a body": new("http://h", body="x"),
            "head with a body": new("http://h", method="HEAD", body="x"),
            "get with null": new("http://h", body=None),
            "post": new("http://h", method="POST", body="x"),
            "post without": new("http://h", method="POST"),
            "post empty": new("http://h", method="POST", body=""),
            "params": lambda: new(
                "http://h", method="POST", body=URLSearchParams.new({"a": "1"})
            )(),
            "relative": new("/x"),
            "empty": new(""),
            "ftp": new("ftp://h/x"),
            "user": new("http://a:b@h/"),
            "fragment": new("http://h/#x"),
            "of a URL": lambda: new(URL.new("http://h/a?b"))(),
            "of a number": new(5),
            "redirect": new("http://h", redirect="manual"),
            "redirect error": new("http://h", redirect="error"),
            "redirect wrong": new("http://h", redirect="x"),
            "cache": new("http://h", cache="no-store"),
            "cf": lambda: Request.new("http://h", cf={"a": 1}).cf,
            "no cf": lambda: Request.new("http://h").cf,
            "method empty": new("http://h", method=""),
        }
    )
    for method in (*METHODS, "a b", "GET\n", "é"):
        found[f"method {method}"] = await outcome(
            lambda method=method: Request.new("http://h", method=method).method
        )
    return found


@worker
async def J7(env, given, made):
    def post():
        return Request.new("http://h/a", method="POST", body="x", headers={"a": "1"})

    async def of_request():
        a = post()
        b = Request.new(a)
        return [b.method, pairs(b.headers), a.bodyUsed, await b.text()]

    async def other_method():
        b = Request.new(post(), method="PUT")
        return [b.method, await b.text()]

    async def other_body():
        a = post()
        b = Request.new(a, body="y")
        return [a.bodyUsed, await b.text(), pairs(b.headers)]

    async def url_from():
        b = Request.new("http://h/other", post())
        return [b.method, b.url, pairs(b.headers), await b.text()]

    async def of_used():
        a = post()
        await a.text()
        return Request.new(a).method

    async def of_used_other():
        a = post()
        await a.text()
        return await Request.new(a, body="y").text()

    async def clone():
        a = post()
        b = a.clone()
        return [await a.text(), await b.text(), b.url, pairs(b.headers)]

    def stand():
        r = Request.new("http://h")
        r.headers.set("x", "y")
        return r.headers.get("x")

    async def form():
        f = FormData.new()
        f.append("a", "1")
        f.append("f", File.new(["xy"], "n.txt", type="text/x"))
        g = await Request.new("http://h", method="POST", body=f).formData()
        file = g.get("f")
        return [g.get("a"), file.name, file.type, file.size, await file.text(), list(g.keys())]

    return await each(
        {
            "of a request": of_request,
            "other method": other_method,
            "get of a post": lambda: Request.new(post(), method="GET").method,
            "other body": other_body,
            "other headers": lambda: pairs(Request.new(post(), headers={"b": "2"}).headers),
            "url from a request": url_from,
            "of a used one": of_used,
            "of a used one, other body": of_used_other,
            "clone": clone,
            "clone of get": lambda: Request.new("http://h").clone().method,
            "headers stand": stand,
            "signal": lambda: Request.new("http://h").signal.aborted,
            "form": form,
        }
    )


URLS = [
    "http://h",
    "HTTP://EXAMPLE.com:80/A/../B/./c",
    "https://h:443/",
    "https://h:8443/x/%2e%2E/y",
    'http://h/a b"<>`{}|^\\c',
    "http://h/?a b\"<>'`{}|^\\",
    'http://h/#a b"<>`{}|^\\',
    "http://h/%zz%",
    "http://h/é?é#é",
    "http://münchen.de/",
    "http://h//a//b/",
    "http://h/a;b=c,d@e:f!$&'()*+",
    "http:h/x",
    "http:/h/x",
    "http:///h/x",
    "  http://h/ \n",
    "http://h/a\tb\nc",
    "http://user:p%40ss@h/",
    "http://a@b@h/",
    "http://1.2.3",
    "http://0x7f.1/",
    "http://256/",
    "http://1.2.3.4.5/",
    "http://127.0.0.1:0/",
    "http://[::1]:80/",
    "http://[1:2::3:4]/",
    "http://[::ffff:1.2.3.4]/",
    "http://[zz]/",
    "http://h:99999/",
    "http://h:x/",
    "http://",
    "http://?x",
    "http://h?x",
    "http://h#x",
    "http://h/?",
    "http://h/#",
    "http://h/?#",
    "http://a b/",
    "http://a%20b/",
    "http://a%41b/",
    "http://h/..",
    "http://h/a/..",
    "http://h/../../x",
    "http://h/.",
    "http://h/%2F",
    "ws://h:80/",
    "wss://h",
    "ftp://h/x",
    "mailto:a@b",
    "data:text/plain,x",
    "javascript:alert(1)",
    "file:///x/y",
    "x",
    "//h/x",
    "http://xn--/",
    "http://a..b/",
    "http://.h/",
    "http://h./",
    "http://\uff41.com/",
    "http://h%00/",
    "http://a_b/",
    "http://-a/",
    "http://h/\U0001f600",
    "http://h/a%c3%a9",
]


@worker
async def J8(env, given, made):
    def parts(url):
        u = URL.new(url)
        return [
            u.href,
            u.protocol,
            u.username,
            u.password,
            u.host,
            u.pathname,
            u.search,
            u.hash,
            u.origin,
        ]

    return {url: await outcome(lambda url=url: parts(url)) for url in URLS}


RELATIVE = [
    "",
    "g",
    "./g",
    "g/",
    "/g",
    "//g",
    "?y",
    "g?y",
    "#s",
    "g#s",
    "g?y#s",
    ";x",
    ".",
    "./",
    "..",
    "../",
    "../g",
    "../..",
    "../../g",
    "../../../g",
    "/./g",
    "g.",
    ".g",
    "g..",
    "./../g",
    "g/./h",
    "g/../h",
    "http:g",
    "http:/g",
    "https:g",
    "\\g",
    "g\\h",
    "%2e%2e/g",
    " g ",
    "g h",
    "a:b",
    "1:b",
    "?",
    "#",
]


@worker
async def J9(env, given, made):
    base = "http://a/b/c/d;p?q#f"
    found = {url: await outcome(lambda url=url: URL.new(url, base).href) for url in RELATIVE}
    return found | await each(
        {
            "base wrong": lambda: URL.new("x", "y").href,
            "base undefined": lambda: URL.new("http://h", js.undefined).href,
            "canParse": lambda: [
                URL.canParse("http://h"),
                URL.canParse("x"),
                URL.canParse("x", "http://h"),
            ],
            "parse": lambda: [URL.parse("x"), URL.parse("/x", "http://h").href],
        }
    )


@worker
async def J10(env, given, made):
    def put(name, value):
        def run():
            u = URL.new("https://u:p@h:8080/a?b#c")
            setattr(u, name, value)
            return u.href

        return run

    def append():
        u = URL.new("http://h/?a=~1")
        u.searchParams.append("b c", "é&=")
        return u.href

    def delete():
        u = URL.new("http://h/?a=1")
        u.searchParams.delete("a")
        return u.href

    def kept():
        u = URL.new("http://h/?a=%20~'")
        return [u.search, u.searchParams.toString(), u.href]

    def follow():
        u = URL.new("http://h/?a=1")
        p = u.searchParams
        u.search = "?b=2"
        return [p.get("a"), p.get("b"), p is u.searchParams]

    return await each(
        {
            "href": put("href", "http://x/y"),
            "href wrong": put("href", "x"),
            "protocol": put("protocol", "http"),
            "protocol wrong": put("protocol", "mailto:"),
            "protocol with colon": put("protocol", "http:foo"),
            "username": put("username", "é:@"),
            "no username": put("username", ""),
            "password": put("password", ""),
            "password odd": put("password", "a/b"),
            "host": put("host", "x:99"),
            "host without port": put("host", "x"),
            "host own port": put("host", "x:443"),
            "host empty": put("host", ""),
            "host wrong": put("host", "a b"),
            "host with a path": put("host", "x/y"),
            "hostname": put("hostname", "x"),
            "hostname with port": put("hostname", "x:99"),
            "hostname empty": put("hostname", ""),
            "port": put("port", "443"),
            "port number": put("port", 99),
            "port empty": put("port", ""),
            "port text": put("port", "9x"),
            "port wrong": put("port", "x"),
            "port large": put("port", "70000"),
            "pathname": put("pathname", "x y/../z"),
            "pathname odd": put("pathname", "a?b#c"),
            "pathname empty": put("pathname", ""),
            "search": put("search", "x y#z"),
            "search empty": put("search", ""),
            "search mark": put("search", "?"),
            "search quotes": put("search", "'\"<>"),
            "hash": put("hash", "x y`"),
            "hash empty": put("hash", ""),
            "hash mark": put("hash", "#"),
            "params append": append,
            "params delete": delete,
            "params kept": kept,
            "params follow": follow,
            "json": lambda: js.JSON.stringify({"u": URL.new("http://h")}),
            "string": lambda: str(URL.new("http://h/a b")),
        }
    )


@worker
async def J11(env, given, made):
    def query(*init):
        def run():
            p = URLSearchParams.new(*init)
            return [pairs(p), p.toString(), p.size]

        return run

    def get():
        p = URLSearchParams.new("a=1&a=2&b=")
        return [
            p.get("a"),
            p.getAll("a"),
            p.get("b"),
            p.get("c"),
            p.getAll("c"),
            p.has("b"),
            p.has("c"),
            p.has("a", "2"),
            p.has("a", "3"),
        ]

    def put():
        p = URLSearchParams.new("a=1&b=2&a=3")
        p.set("a", "9")
        p.set("c", "8")
        return p.toString()

    def delete():
        p = URLSearchParams.new("a=1&a=2&b=3")
        p.delete("a", "1")
        one = p.toString()
        p.delete("a")
        return [one, p.toString()]

    def sort():
        p = URLSearchParams.new("b=2&a=1&b=1&é=1&😀=1&\ufffd=1")
        p.sort()
        return p.toString()

    def for_each():
        found = []
        URLSearchParams.new("a=1&b=2").forEach(lambda value, name, *_: found.append([name, value]))
        return found

    return await each(
        {
            "text": query("?a=1&b=2&a=3"),
            "none": query(),
            "empty": query(""),
            "amps": query("&&a&=&b=&=c&"),
            "plus": query("a+b=c+d&e=%2B"),
            "percent": query("a=%zz&b=%&c=%4&d=%41"),
            "two equals": query("a=b=c"),
            "marks": query("??a=1"),
            "object": query({"a": 1, "c": js.undefined, "d": True, "e f": "é"}),
            "list": query([["a", "1"], ["a", "2"]]),
            "pair of one": query([["a"]]),
            "of params": lambda: query(URLSearchParams.new("a=1"))(),
            "unsafe": query([["a~!*'()-._", "~!*'()-._ /?:@&=+$,#[]\"<>`{}|^\\%"]]),
            "emoji": query([["😀", "\ud800"]]),
            "line ends": query([["a", "x\r\ny\n"]]),
            "NUL": query("a=\0&b=%00"),
            "get": get,
            "set": put,
            "delete": delete,
            "sort": sort,
            "forEach": for_each,
            "keys": lambda: [
                list(URLSearchParams.new("a=1&b=2").keys()),
                list(URLSearchParams.new("a=1&b=2").values()),
            ],
        }
    )


@worker
async def J12(env, given, made):
    def kinds(*args, **options):
        def run():
            blob = Blob.new(*args, **options)
            return [blob.size, blob.type]

        return run

    async def parts():
        b = Blob.new(["a", b"b", Blob.new(["c"])])
        return [b.size, await b.text()]

    async def cut():
        b = Blob.new(["abcdef"], type="a/b")
        found = [
            b.slice(1, 3),
            b.slice(-2),
            b.slice(2, -1),
            b.slice(4, 2),
            b.slice(0, 99, "C/D"),
            b.slice(),
        ]
        return [[await p.text(), p.type] for p in found]

    async def data():
        return [await Blob.new(["é"]).bytes(), await Blob.new(["é"]).arrayBuffer()]

    def file():
        f = File.new(["x"], "n", type="a/b", lastModified=5)
        return [f.name, f.type, f.size, f.lastModified]

    return await each(
        {
            "empty": kinds(),
            "parts": parts,
            "type": kinds([], type="Text/PLAIN;Charset=X"),
            "type not ASCII": kinds([], type="é"),
            "type odd": kinds([], type="a\u0000b"),
            "number": lambda: Blob.new([5]).text(),
            "a text": kinds("abc"),
            "slice": cut,
            "bytes": data,
            "stream": lambda: Response.new(Blob.new(["xyz"]).stream()).text(),
            "file": file,
            "file without a name": lambda: File.new(["x"]).name,
        }
    )


def entries(form):
    return [[k, v if isinstance(v, str) else [v.name, v.type, v.size]] for k, v in form]


@worker
async def J13(env, given, made):
    def form(change):
        def run():
            f = FormData.new()
            change(f)
            return entries(f)

        return run

    def get():
        f = FormData.new()
        f.append("a", "1")
        f.append("a", "2")
        return [f.get("a"), f.getAll("a"), f.get("b"), f.getAll("b"), f.has("a"), f.has("b")]

    def keys():
        f = FormData.new()
        f.append("b", "1")
        f.append("a", "2")
        return [list(f.keys()), list(f.values())]

    async def empty():
        return entries(await Response.new(FormData.new()).formData())

    return await each(
        {
            "append": form(
                lambda f: do(
                    f.append("a", "1"),
                    f.append("b", 2),
                    f.append("c", js.undefined),
                    f.append("d", True),
                )
            ),
            "set": form(
                lambda f: do(
                    f.append("a", "1"),
                    f.append("b", "2"),
                    f.append("a", "3"),
                    f.set("a", "9"),
                    f.set("z", "0"),
                )
            ),
            "delete": form(
                lambda f: do(
                    f.append("a", "1"),
                    f.append("a", "2"),
                    f.append("b", "3"),
                    f.delete("a"),
                    f.delete("q"),
                )
            ),
            "blob": form(
                lambda f: do(
                    f.append("a", Blob.new(["x"], type="a/b")),
                    f.append("b", Blob.new(["x"]), "name"),
                    f.append("c", File.new(["xy"], "f")),
                    f.append("d", File.new(["xy"], "f"), "g"),
                )
            ),
            "text with a name": form(lambda f: f.append("a", "x", "name")),
            "get": get,
            "keys": keys,
            "type": lambda: Response.new(FormData.new()).headers.get("content-type").split("=")[0],
            "empty": empty,
        }
    )


@worker
async def J14(env, given, made):
    async def md5():
        return await js.crypto.subtle.digest("MD5", b"")

    return await each(
        {
            "encode": lambda: [
                js.encodeURIComponent("a b/é&'()*!~"),
                js.encodeURI("http://h/a b?é#x%"),
                js.decodeURIComponent("%C3%A9%20"),
            ],
            "decode wrong": lambda: js.decodeURIComponent("%"),
            "encode half": lambda: js.encodeURIComponent("\ud800"),
            "btoa": lambda: [js.btoa("abc"), js.btoa(""), js.btoa("\xff")],
            "btoa wrong": lambda: js.btoa("€"),
            "atob": lambda: [
                js.atob("YWJj"),
                js.atob(" YW Jj "),
                js.atob("YQ"),
                js.atob("YQ=="),
                js.atob(""),
            ],
            "atob wrong": lambda: js.atob("Y"),
            "atob odd": lambda: js.atob("YQ=a"),
            "atob sign": lambda: js.atob("Y_=="),
            "encoder": lambda: js.TextEncoder.new().encode("é\ud800"),
            "decoder": lambda: js.TextDecoder.new().decode(b"\xef\xbb\xbf\xc3\xa9\xff"),
            "decoder fatal": lambda: js.TextDecoder.new("utf-8", fatal=True).decode(b"\xff"),
            "decoder latin1": lambda: js.TextDecoder.new("latin1").decode(b"\x80\xe9"),
            "decoder unknown": lambda: js.TextDecoder.new("x").encoding,
            "decoder BOM": lambda: js.TextDecoder.new("utf-8", ignoreBOM=True).decode(
                b"\xef\xbb\xbfa"
            ),
            "clone": lambda: js.structuredClone(
                {"a": [1, js.Date.new(5), {1}, None], "b": {"c": "x"}}
            ),
            "json text": lambda: js.JSON.stringify(
                {"a": [1.0, 1e21, 1e-7, 0.1, True, None, 'é\u0007"\\'], "b": {}}
            ),
            "json date": lambda: js.JSON.stringify({"d": js.Date.new(1767323045006)}),
            "json indent": lambda: js.JSON.stringify({"a": [1, 2], "b": [], "c": {}}, None, 2),
            "json NaN": lambda: js.JSON.stringify([float("nan"), float("inf"), -0.0]),
            "json wrong": lambda: js.JSON.parse("{"),
            "json halves": lambda: js.JSON.stringify("\ud800"),
            "digest": lambda: js.crypto.subtle.digest("SHA-256", js.TextEncoder.new().encode("x")),
            "digest md5": md5,
            "digest wrong": lambda: js.crypto.subtle.digest("SHA-3", b""),
            "uuid": lambda: len(js.crypto.randomUUID()),
            "random": lambda: js.crypto.getRandomValues(js.Uint8Array.new(4)).length,
            "random large": lambda: js.crypto.getRandomValues(js.Uint8Array.new(65537)).length,
            "date": lambda: [
                js.Date.new(0).toISOString(),
                js.Date.new("2020-01-02T03:04:05Z").getTime(),
                js.Date.new(1.7).getTime(),
                js.Date.new("2020-01-02").getTime(),
            ],
            "date wrong": lambda: js.Date.new("x").toISOString(),
            "agent": lambda: js.navigator.userAgent,
        }
    )
