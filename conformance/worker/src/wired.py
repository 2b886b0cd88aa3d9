"""M: what goes over the wire."""

import re
from urllib.parse import parse_qs, urlparse

import js
from workers import Response


async def wired(request):
    url = urlparse(request.url)
    give = parse_qs(url.query).get("give", [None])[0]
    match give:
        case "text":
            return Response("text")
        case "empty":
            return Response("")
        case "null":
            return Response(None)
        case "204":
            return Response(None, status=204, headers={"a": "b"})
        case "205":
            return Response(None, status=205)
        case "304":
            return Response(None, status=304, headers={"etag": "x"})
        case "bytes":
            return Response(b"\0\xff")
        case "length":
            return Response("text", headers={"content-length": "2"})
        case "cookies":
            return Response(
                "x", headers=[("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x", "1"), ("x", "2")]
            )
        case "latin":
            return Response("x", headers={"a": "é", "b": "€"})
        case "418":
            return Response("x", status=418)
        case "hop":
            return Response(
                "x",
                headers={
                    "connection": "x-y",
                    "transfer-encoding": "gzip",
                    "keep-alive": "5",
                    "x-y": "1",
                    "date": "never",
                    "server": "me",
                    "upgrade": "h3",
                },
            )
        case "redirect":
            return Response.redirect("http://h/é x")
        case "encoded":
            return Response("x", headers={"content-encoding": "identity"})
        case "gzip":
            return js.Response.new(
                "plain", headers={"content-encoding": "gzip"}, encodeBody="manual"
            )
        case "head":
            return Response("longer", headers={"a": "b"})
    shown = [
        list(pair)
        for pair in request.js_object.headers
        if pair[0] not in ("host", "cf-connecting-ip")
    ]
    return js.Response.json(
        [
            str(request.method),
            re.sub(r":\d+", "", request.url, count=1),
            shown,
            await request.text(),
            request.js_object.redirect,
        ]
    )
