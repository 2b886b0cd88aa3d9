// M: what goes over the wire.

export async function wired(request) {
  const url = new URL(request.url);
  const give = url.searchParams.get("give");
  switch (give) {
    case "text": return new Response("text");
    case "empty": return new Response("");
    case "null": return new Response(null);
    case "204": return new Response(null, { status: 204, headers: { a: "b" } });
    case "205": return new Response(null, { status: 205 });
    case "304": return new Response(null, { status: 304, headers: { etag: "x" } });
    case "bytes": return new Response(new Uint8Array([0, 255]));
    case "length": return new Response("text", { headers: { "content-length": "2" } });
    case "cookies": return new Response("x", { headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x", "1"], ["x", "2"]] });
    case "latin": return new Response("x", { headers: { a: "é", b: "€" } });
    case "418": return new Response("x", { status: 418 });
    case "hop": return new Response("x", { headers: { connection: "x-y", "transfer-encoding": "gzip", "keep-alive": "5", "x-y": "1", date: "never", server: "me", upgrade: "h3" } });
    case "redirect": return Response.redirect("http://h/é x");
    case "encoded": return new Response("x", { headers: { "content-encoding": "identity" } });
    case "gzip": return new Response("plain", { headers: { "content-encoding": "gzip" }, encodeBody: "manual" });
    case "head": return new Response("longer", { headers: { a: "b" } });
  }
  const shown = [...request.headers].filter(([name]) => !["host", "cf-connecting-ip"].includes(name));
  return Response.json([request.method, request.url.replace(/:\d+/, ""), shown, await request.text(), request.redirect]);
}
