// J: requests, responses, headers, URLs, forms and blobs, without an object.

import { each, outcome } from "./facts.js";

const pairs = (headers) => [...headers];

function headersOf(change, init) {
  const headers = new Headers(init);
  change(headers);
  return pairs(headers);
}

export const inWorker = {
  async J1() {
    return await each({
      none: () => pairs(new Headers()),
      pairs: () => pairs(new Headers([["b", "2"], ["A", "1"], ["b", "3"]])),
      object: () => pairs(new Headers({ "X-Y": " padded\t", n: 5, t: true })),
      copy: () => pairs(new Headers(new Headers({ a: "1" }))),
      "pair of one": () => pairs(new Headers([["a"]])),
      "pair of three": () => pairs(new Headers([["a", "b", "c"]])),
      "a text": () => pairs(new Headers("a: b")),
      "a number": () => pairs(new Headers(5)),
      "space in name": () => pairs(new Headers({ "a b": "x" })),
      "colon in name": () => pairs(new Headers({ "a:": "x" })),
      "line end in value": () => pairs(new Headers({ a: "x\r\ny: z" })),
      "NUL in value": () => pairs(new Headers({ a: "x\0" })),
      "line end at the end": () => pairs(new Headers({ a: "x\r\n" })),
      "control character": () => pairs(new Headers({ a: "x\u0001y" })),
      "latin-1": () => pairs(new Headers({ a: "é" })),
      "beyond latin-1": () => pairs(new Headers({ a: "€" })),
      "emoji": () => pairs(new Headers({ a: "😀" })),
      "empty value": () => pairs(new Headers({ a: "" })),
      "inner blanks": () => pairs(new Headers({ a: "x  \t y" })),
    });
  },
  async J2() {
    return await each({
      append: () => headersOf((h) => { h.append("A", "1"); h.append("a", "2"); h.append("a", ""); }),
      set: () => headersOf((h) => h.set("b", "9"), [["a", "1"], ["b", "2"], ["b", "3"], ["c", "4"]]),
      "delete": () => headersOf((h) => { h.delete("A"); h.delete("none"); }, { a: "1", b: "2" }),
      "delete of no name": () => headersOf((h) => h.delete("a b")),
      "get of no name": () => new Headers().get("a b"),
      "get": () => { const h = new Headers([["a", "1"], ["A", "2"]]); return [h.get("A"), h.get("b"), h.has("a"), h.has("b")]; },
      cookies: () => { const h = new Headers([["set-cookie", "a=1"], ["x", "y"], ["Set-Cookie", "b=2, c"]]); return [pairs(h), h.getSetCookie(), h.get("set-cookie")]; },
      "no cookies": () => new Headers({ cookie: "a" }).getSetCookie(),
      "cookies set": () => headersOf((h) => h.set("set-cookie", "z"), [["set-cookie", "a"], ["set-cookie", "b"]]),
      keys: () => [...new Headers([["b", "1"], ["a", "2"], ["set-cookie", "1"], ["set-cookie", "2"]]).keys()],
      values: () => [...new Headers([["b", "1"], ["a", "2"], ["b", "3"]]).values()],
      forEach: () => { const found = []; new Headers({ b: "1", A: "2" }).forEach((value, name) => found.push([name, value])); return found; },
      "value undefined": () => headersOf((h) => h.set("a", undefined)),
      "value list": () => headersOf((h) => h.set("a", [1, 2])),
      "value float": () => headersOf((h) => h.set("a", 1.5)),
    });
  },
  async J3() {
    const made = (body, init) => { const r = new Response(body, init); return [r.status, r.statusText, r.ok, pairs(r.headers), r.body === null]; };
    const found = await each({
      none: () => made(),
      "null": () => made(null),
      text: () => made("x"),
      empty: () => made(""),
      bytes: () => made(new Uint8Array([1])),
      number: () => made(5),
      "own type": () => made("x", { headers: { "Content-Type": "a/b" } }),
      params: () => made(new URLSearchParams("a=1")),
      blob: () => made(new Blob(["x"], { type: "a/B" })),
      "blob without a type": () => made(new Blob(["x"])),
      "status text": () => made(null, { status: 299, statusText: "Fine" }),
      "status text wrong": () => made(null, { statusText: "a\nb" }),
      "status 999": () => made(null, { status: 999 }),
      "status text of json": async () => { const r = Response.json({ a: [1, "é", null, true, 1.5] }, { status: 201 }); return [r.status, pairs(r.headers), await r.text()]; },
      "json own type": () => pairs(Response.json(1, { headers: { "content-type": "a/b", x: "y" } }).headers),
      "json null": async () => await Response.json(null).text(),
      "json text": async () => await Response.json("x\u2028").text(),
      "json list": async () => await Response.json([]).text(),
      "json status 204": () => Response.json(1, { status: 204 }).status,
    });
    for (const status of [100, 101, 199, 200, 204, 205, 299, 304, 404, 599, 600, 0, -1, 1e9]) {
      found[`empty ${status}`] = await outcome(() => new Response(null, { status }).status);
      found[`text ${status}`] = await outcome(() => new Response("x", { status }).status);
    }
    for (const status of ["404", 200.7, undefined, NaN, "x", true]) {
      found[`status ${status}`] = await outcome(() => new Response(null, { status }).status);
    }
    return found;
  },
  async J4() {
    const moved = (...args) => { const r = Response.redirect(...args); return [r.status, pairs(r.headers)]; };
    return await each({
      plain: () => moved("https://example.com"),
      301: () => moved("https://example.com/a b?c d#e f", 301),
      303: () => moved("https://example.com", 303),
      307: () => moved("https://example.com", 307),
      308: () => moved("https://example.com", 308),
      300: () => moved("https://example.com", 300),
      200: () => moved("https://example.com", 200),
      304: () => moved("https://example.com", 304),
      relative: () => moved("/x"),
      wrong: () => moved("http://"),
      other: () => moved("mailto:a@b"),
      unicode: () => moved("https://é.example/ü?ö"),
    });
  },
  async J5() {
    const used = async (read) => { const r = new Response("[1]"); await r.text(); return await read(r); };
    return await each({
      text: () => used((r) => r.text()),
      json: () => used((r) => r.json()),
      "bytes used": () => used((r) => r.arrayBuffer()),
      "clone used": () => used((r) => r.clone()),
      "as a body": () => used((r) => new Response(r.body)),
      "null twice": async () => { const r = new Response(null); return [await r.text(), await r.text(), r.bodyUsed]; },
      "empty twice": async () => { const r = new Response(""); await r.text(); return await r.text(); },
      "used": async () => { const r = new Response("x"); const before = r.bodyUsed; await r.text(); return [before, r.bodyUsed]; },
      "locked": async () => { const r = new Response("x"); r.body.getReader(); return await r.text(); },
      "clone": async () => { const r = new Response("x", { status: 201, headers: { a: "b" } }); const c = r.clone(); return [c.status, pairs(c.headers), await r.text(), await c.text()]; },
      "clone keeps headers apart": () => { const r = new Response("x"); const c = r.clone(); c.headers.set("a", "b"); return r.headers.get("a"); },
      "json empty": async () => await new Response("").json(),
      "json wrong": async () => await new Response("{a}").json(),
      "json cut": async () => await new Response("[1,").json(),
      "json NaN": async () => await new Response("NaN").json(),
      "json BOM": async () => await new Response("\uFEFF[1]").json(),
      "json big": async () => await new Response("[12345678901234567890, 1e400, -0, 1.0, 1e2]").json(),
      "json twice": async () => await new Response('{"a":1,"a":2,"__proto__":3}').json(),
      "text BOM": async () => await new Response("\uFEFFx").text(),
      "text not UTF-8": async () => await new Response(new Uint8Array([0x78, 0xff, 0xe2, 0x82])).text(),
      "blob": async () => { const b = await new Response("xy", { headers: { "content-type": "A/B; c=D" } }).blob(); return [b.size, b.type, await b.text()]; },
      "bytes": async () => await new Response("é").bytes(),
      "form of none": async () => await new Response("x").formData(),
      "form urlencoded": async () => [...await new Response(new URLSearchParams("a=1&b=%20+&a=é")).formData()],
      "form without type": async () => await new Response(new Uint8Array(1)).formData(),
      "form without boundary": async () => await new Response("x", { headers: { "content-type": "multipart/form-data" } }).formData(),
      "form broken": async () => await new Response("x", { headers: { "content-type": "multipart/form-data; boundary=b" } }).formData(),
    });
  },
  async J6() {
    const made = (url, init) => { const r = new Request(url, init); return [r.method, r.url, r.redirect, pairs(r.headers), r.body === null]; };
    const found = await each({
      plain: () => made("http://h"),
      "get with a body": () => made("http://h", { body: "x" }),
      "head with a body": () => made("http://h", { method: "HEAD", body: "x" }),
      "get with null": () => made("http://h", { body: null }),
      "post": () => made("http://h", { method: "POST", body: "x" }),
      "post without": () => made("http://h", { method: "POST" }),
      "post empty": () => made("http://h", { method: "POST", body: "" }),
      "params": () => made("http://h", { method: "POST", body: new URLSearchParams({ a: "1" }) }),
      "relative": () => made("/x"),
      "empty": () => made(""),
      "ftp": () => made("ftp://h/x"),
      "user": () => made("http://a:b@h/"),
      "fragment": () => made("http://h/#x"),
      "of a URL": () => made(new URL("http://h/a?b")),
      "of a number": () => made(5),
      "redirect": () => made("http://h", { redirect: "manual" }),
      "redirect error": () => made("http://h", { redirect: "error" }),
      "redirect wrong": () => made("http://h", { redirect: "x" }),
      "cache": () => made("http://h", { cache: "no-store" }),
      "cf": () => new Request("http://h", { cf: { a: 1 } }).cf,
      "no cf": () => new Request("http://h").cf,
      "method empty": () => made("http://h", { method: "" }),
    });
    for (const method of ["get", "Post", "patch", "PATCH", "propfind", "PURGE", "QUERY", "CONNECT", "connect", "TRACE", "TRACK", "FOO", "M-SEARCH", "a b", "GET\n", "é"]) {
      found[`method ${method}`] = await outcome(() => new Request("http://h", { method }).method);
    }
    return found;
  },
  async J7() {
    const post = () => new Request("http://h/a", { method: "POST", body: "x", headers: { a: "1" } });
    return await each({
      "of a request": async () => { const a = post(); const b = new Request(a); return [b.method, pairs(b.headers), a.bodyUsed, await b.text()]; },
      "other method": async () => { const b = new Request(post(), { method: "PUT" }); return [b.method, await b.text()]; },
      "get of a post": () => new Request(post(), { method: "GET" }).method,
      "other body": async () => { const a = post(); const b = new Request(a, { body: "y" }); return [a.bodyUsed, await b.text(), pairs(b.headers)]; },
      "other headers": () => pairs(new Request(post(), { headers: { b: "2" } }).headers),
      "url from a request": async () => { const b = new Request("http://h/other", post()); return [b.method, b.url, pairs(b.headers), await b.text()]; },
      "of a used one": async () => { const a = post(); await a.text(); return new Request(a).method; },
      "of a used one, other body": async () => { const a = post(); await a.text(); return await new Request(a, { body: "y" }).text(); },
      clone: async () => { const a = post(); const b = a.clone(); return [await a.text(), await b.text(), b.url, pairs(b.headers)]; },
      "clone of get": () => new Request("http://h").clone().method,
      "headers stand": () => { const r = new Request("http://h"); r.headers.set("x", "y"); return r.headers.get("x"); },
      signal: () => new Request("http://h").signal.aborted,
      form: async () => { const f = new FormData(); f.append("a", "1"); f.append("f", new File(["xy"], "n.txt", { type: "text/x" })); const g = await new Request("http://h", { method: "POST", body: f }).formData(); const file = g.get("f"); return [g.get("a"), file.name, file.type, file.size, await file.text(), [...g.keys()]]; },
    });
  },
  async J8() {
    const parts = (url, base) => { const u = new URL(url, base); return [u.href, u.protocol, u.username, u.password, u.host, u.pathname, u.search, u.hash, u.origin]; };
    const found = {};
    for (const url of [
      "http://h", "HTTP://EXAMPLE.com:80/A/../B/./c", "https://h:443/", "https://h:8443/x/%2e%2E/y", "http://h/a b\"<>`{}|^\\c",
      "http://h/?a b\"<>'`{}|^\\", "http://h/#a b\"<>`{}|^\\", "http://h/%zz%", "http://h/é?é#é", "http://münchen.de/", "http://h//a//b/",
      "http://h/a;b=c,d@e:f!$&'()*+", "http:h/x", "http:/h/x", "http:///h/x", "  http://h/ \n", "http://h/a\tb\nc", "http://user:p%40ss@h/", "http://a@b@h/",
      "http://1.2.3", "http://0x7f.1/", "http://256/", "http://1.2.3.4.5/", "http://127.0.0.1:0/", "http://[::1]:80/", "http://[1:2::3:4]/", "http://[::ffff:1.2.3.4]/", "http://[zz]/", "http://h:99999/", "http://h:x/", "http://", "http://?x", "http://h?x", "http://h#x", "http://h/?", "http://h/#", "http://h/?#",
      "http://a b/", "http://a%20b/", "http://a%41b/", "http://h/..", "http://h/a/..", "http://h/../../x", "http://h/.", "http://h/%2F", "ws://h:80/", "wss://h", "ftp://h/x", "mailto:a@b", "data:text/plain,x", "javascript:alert(1)", "file:///x/y", "x", "//h/x", "http://xn--/", "http://a..b/", "http://.h/", "http://h./", "http://\uff41.com/", "http://h%00/", "http://a_b/", "http://-a/", "http://h/\u{1F600}", "http://h/a%c3%a9",
    ]) {
      found[url] = await outcome(() => parts(url));
    }
    return found;
  },
  async J9() {
    const found = {};
    const base = "http://a/b/c/d;p?q#f";
    for (const url of ["", "g", "./g", "g/", "/g", "//g", "?y", "g?y", "#s", "g#s", "g?y#s", ";x", ".", "./", "..", "../", "../g", "../..", "../../g", "../../../g", "/./g", "g.", ".g", "g..", "./../g", "g/./h", "g/../h", "http:g", "http:/g", "https:g", "\\g", "g\\h", "%2e%2e/g", " g ", "g h", "a:b", "1:b", "?", "#"]) {
      found[url] = await outcome(() => new URL(url, base).href);
    }
    Object.assign(found, await each({
      "base wrong": () => new URL("x", "y").href,
      "base undefined": () => new URL("http://h", undefined).href,
      canParse: () => [URL.canParse("http://h"), URL.canParse("x"), URL.canParse("x", "http://h")],
      parse: () => [URL.parse("x"), URL.parse("/x", "http://h")?.href],
    }));
    return found;
  },
  async J10() {
    const set = (name, value, url = "https://u:p@h:8080/a?b#c") => () => { const u = new URL(url); u[name] = value; return u.href; };
    return await each({
      href: set("href", "http://x/y"), "href wrong": set("href", "x"),
      protocol: set("protocol", "http"), "protocol wrong": set("protocol", "mailto:"), "protocol with colon": set("protocol", "http:foo"),
      username: set("username", "é:@"), "no username": set("username", ""), password: set("password", ""), "password odd": set("password", "a/b"),
      host: set("host", "x:99"), "host without port": set("host", "x"), "host own port": set("host", "x:443"), "host empty": set("host", ""), "host wrong": set("host", "a b"), "host with a path": set("host", "x/y"),
      hostname: set("hostname", "x"), "hostname with port": set("hostname", "x:99"), "hostname empty": set("hostname", ""),
      port: set("port", "443"), "port number": set("port", 99), "port empty": set("port", ""), "port text": set("port", "9x"), "port wrong": set("port", "x"), "port large": set("port", "70000"),
      pathname: set("pathname", "x y/../z"), "pathname odd": set("pathname", "a?b#c"), "pathname empty": set("pathname", ""),
      search: set("search", "x y#z"), "search empty": set("search", ""), "search mark": set("search", "?"), "search quotes": set("search", "'\"<>"),
      hash: set("hash", "x y`"), "hash empty": set("hash", ""), "hash mark": set("hash", "#"),
      "params append": () => { const u = new URL("http://h/?a=~1"); u.searchParams.append("b c", "é&="); return u.href; },
      "params delete": () => { const u = new URL("http://h/?a=1"); u.searchParams.delete("a"); return u.href; },
      "params kept": () => { const u = new URL("http://h/?a=%20~'"); return [u.search, u.searchParams.toString(), u.href]; },
      "params follow": () => { const u = new URL("http://h/?a=1"); const p = u.searchParams; u.search = "?b=2"; return [p.get("a"), p.get("b"), p === u.searchParams]; },
      json: () => JSON.stringify({ u: new URL("http://h") }),
      string: () => String(new URL("http://h/a b")),
    });
  },
  async J11() {
    const query = (init) => { const p = new URLSearchParams(init); return [[...p], p.toString(), p.size]; };
    return await each({
      text: () => query("?a=1&b=2&a=3"), none: () => query(), empty: () => query(""), amps: () => query("&&a&=&b=&=c&"), plus: () => query("a+b=c+d&e=%2B"),
      percent: () => query("a=%zz&b=%&c=%4&d=%41"), "two equals": () => query("a=b=c"), marks: () => query("??a=1"),
      object: () => query({ a: 1, c: undefined, d: true, "e f": "é" }), list: () => query([["a", "1"], ["a", "2"]]), "pair of one": () => query([["a"]]), "of params": () => query(new URLSearchParams("a=1")),
      unsafe: () => query([["a~!*'()-._", "~!*'()-._ /?:@&=+$,#[]\"<>`{}|^\\%"]]), emoji: () => query([["😀", "\ud800"]]), "line ends": () => query([["a", "x\r\ny\n"]]),
      "NUL": () => query("a=\0&b=%00"),
      get: () => { const p = new URLSearchParams("a=1&a=2&b="); return [p.get("a"), p.getAll("a"), p.get("b"), p.get("c"), p.getAll("c"), p.has("b"), p.has("c"), p.has("a", "2"), p.has("a", "3")]; },
      set: () => { const p = new URLSearchParams("a=1&b=2&a=3"); p.set("a", "9"); p.set("c", "8"); return p.toString(); },
      "delete": () => { const p = new URLSearchParams("a=1&a=2&b=3"); p.delete("a", "1"); const one = p.toString(); p.delete("a"); return [one, p.toString()]; },
      sort: () => { const p = new URLSearchParams("b=2&a=1&b=1&é=1&😀=1&\uFFFD=1"); p.sort(); return p.toString(); },
      forEach: () => { const found = []; new URLSearchParams("a=1&b=2").forEach((value, name) => found.push([name, value])); return found; },
      keys: () => [[...new URLSearchParams("a=1&b=2").keys()], [...new URLSearchParams("a=1&b=2").values()]],
    });
  },
  async J12() {
    const kinds = (blob) => [blob.size, blob.type];
    return await each({
      empty: () => kinds(new Blob()), parts: async () => { const b = new Blob(["a", new Uint8Array([98]), new Blob(["c"])]); return [b.size, await b.text()]; },
      type: () => kinds(new Blob([], { type: "Text/PLAIN;Charset=X" })), "type not ASCII": () => kinds(new Blob([], { type: "é" })), "type odd": () => kinds(new Blob([], { type: "a\u0000b" })),
      number: async () => await new Blob([5]).text(), "a text": () => kinds(new Blob("abc")),
      slice: async () => { const b = new Blob(["abcdef"], { type: "a/b" }); const parts = [b.slice(1, 3), b.slice(-2), b.slice(2, -1), b.slice(4, 2), b.slice(0, 99, "C/D"), b.slice()]; return await Promise.all(parts.map(async (p) => [await p.text(), p.type])); },
      bytes: async () => [await new Blob(["é"]).bytes(), await new Blob(["é"]).arrayBuffer()],
      stream: async () => await new Response(new Blob(["xyz"]).stream()).text(),
      file: () => { const f = new File(["x"], "n", { type: "a/b", lastModified: 5 }); return [f.name, f.type, f.size, f.lastModified]; },
      "file without a name": () => new File(["x"]).name,
    });
  },
  async J13() {
    const form = (change) => { const f = new FormData(); change(f); return [...f].map(([k, v]) => [k, typeof v === "string" ? v : [v.name, v.type, v.size]]); };
    return await each({
      append: () => form((f) => { f.append("a", "1"); f.append("b", 2); f.append("c", undefined); f.append("d", true); }),
      set: () => form((f) => { f.append("a", "1"); f.append("b", "2"); f.append("a", "3"); f.set("a", "9"); f.set("z", "0"); }),
      "delete": () => form((f) => { f.append("a", "1"); f.append("a", "2"); f.append("b", "3"); f.delete("a"); f.delete("q"); }),
      blob: () => form((f) => { f.append("a", new Blob(["x"], { type: "a/b" })); f.append("b", new Blob(["x"]), "name"); f.append("c", new File(["xy"], "f")); f.append("d", new File(["xy"], "f"), "g"); }),
      "text with a name": () => form((f) => f.append("a", "x", "name")),
      get: () => { const f = new FormData(); f.append("a", "1"); f.append("a", "2"); return [f.get("a"), f.getAll("a"), f.get("b"), f.getAll("b"), f.has("a"), f.has("b")]; },
      keys: () => { const f = new FormData(); f.append("b", "1"); f.append("a", "2"); return [[...f.keys()], [...f.values()]]; },
      "type": () => new Response(new FormData()).headers.get("content-type").split("=")[0],
      empty: async () => { const g = await new Response(new FormData()).formData(); return [...g]; },
    });
  },
  async J14() {
    return await each({
      encode: () => [encodeURIComponent("a b/é&'()*!~"), encodeURI("http://h/a b?é#x%"), decodeURIComponent("%C3%A9%20")],
      "decode wrong": () => decodeURIComponent("%"), "encode half": () => encodeURIComponent("\ud800"),
      btoa: () => [btoa("abc"), btoa(""), btoa("\xff")], "btoa wrong": () => btoa("€"),
      atob: () => [atob("YWJj"), atob(" YW Jj "), atob("YQ"), atob("YQ=="), atob("")], "atob wrong": () => atob("Y"), "atob odd": () => atob("YQ=a"), "atob sign": () => atob("Y_=="),
      encoder: () => new TextEncoder().encode("é\ud800"), decoder: () => new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 0xc3, 0xa9, 0xff])),
      "decoder fatal": () => new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array([0xff])), "decoder latin1": () => new TextDecoder("latin1").decode(new Uint8Array([0x80, 0xe9])), "decoder unknown": () => new TextDecoder("x").encoding,
      "decoder BOM": () => new TextDecoder("utf-8", { ignoreBOM: true }).decode(new Uint8Array([0xef, 0xbb, 0xbf, 0x61])),
      clone: () => structuredClone({ a: [1, new Date(5), new Set([1]), null], b: { c: "x" } }),
      "json text": () => JSON.stringify({ a: [1.0, 1e21, 1e-7, 0.1, true, null, "é\u0007\"\\"], b: {} }),
      "json date": () => JSON.stringify({ d: new Date(1767323045006) }), "json indent": () => JSON.stringify({ a: [1, 2], b: [], c: {} }, null, 2), "json NaN": () => JSON.stringify([NaN, Infinity, -0]),
      "json wrong": () => JSON.parse("{"), "json halves": () => JSON.stringify("\ud800"),
      digest: async () => await crypto.subtle.digest("SHA-256", new TextEncoder().encode("x")), "digest md5": async () => new Uint8Array(await crypto.subtle.digest("MD5", new Uint8Array(0))), "digest wrong": async () => await crypto.subtle.digest("SHA-3", new Uint8Array(0)),
      uuid: () => crypto.randomUUID().length, random: () => crypto.getRandomValues(new Uint8Array(4)).length, "random large": () => crypto.getRandomValues(new Uint8Array(65537)).length,
      date: () => [new Date(0).toISOString(), new Date("2020-01-02T03:04:05Z").getTime(), new Date(1.7).getTime(), new Date("2020-01-02").getTime()], "date wrong": () => new Date("x").toISOString(),
      agent: () => navigator.userAgent,
    });
  },
};
