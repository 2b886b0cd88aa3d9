// L: both ends of pairs, inside the Worker and in objects.
import { each, outcome, plain, wait } from "./facts.js";
const pair = () => Object.values(new WebSocketPair());
function listen(end) {
  const lines = [];
  end.addEventListener("message", (e) => lines.push(["message", plain(e.data)]));
  end.addEventListener("close", (e) => lines.push(["close", e.code, e.reason, e.wasClean, end.readyState]));
  end.addEventListener("error", (e) => lines.push(["error", e.message]));
  return lines;
}
async function until(met) { for (let n = 0; n < 60 && !met(); n++) await wait(10); }
async function ends(close) {
  const [a, b] = pair();
  a.accept(); b.accept();
  const heard = listen(b), back = listen(a);
  const done = await outcome(() => close(a));
  await until(() => heard.length > 0);
  if (heard.length && b.readyState < 3) await outcome(() => b.close());
  await until(() => back.length > 0);
  return [done, heard.slice(0, 1), back, a.readyState, b.readyState];
}
export const inWorker = {
  async L1() {
    const found = {};
    for (const [code, reason] of [[1000, "x"], [3000, ""], [4999, "é".repeat(61)], [undefined, undefined], [1001, undefined], [1011, "y"], [1012, ""], [2999, ""], [0, ""], [-1, ""], ["4000", "text"], [4000.7, ""], [1000, "z".repeat(123)], [65536 + 1000, ""], [1000, 5]]) {
      found[`${code} ${typeof reason} ${String(reason).length}`] = await ends((a) => a.close(code, reason));
    }
    return found;
  },
  async L2() {
    const sent = async (value) => {
      const [a, b] = pair();
      a.accept(); b.accept();
      const heard = listen(b);
      const done = await outcome(() => a.send(value));
      await until(() => heard.length > 0);
      return [done, heard];
    };
    return await each({
      text: () => sent("x"), empty: () => sent(""), emoji: () => sent("😀"), number: () => sent(5), float: () => sent(1.5), bool: () => sent(true),
      bytes: () => sent(new Uint8Array([1, 2])), none: () => sent(new Uint8Array(0)), list: () => sent([1, 2]), dict: () => sent({ a: 1 }), blob: () => sent(new Blob(["x"])),
      large: async () => { const [d, h] = await sent("x".repeat(2_000_000)); return [d, h[0][1].length]; },
    });
  },
  async L3() {
    const [a, b] = pair();
    const found = await each({
      before: () => [a.readyState, b.readyState, a.url, a.protocol, a.extensions, a.binaryType],
      "serialize before": () => a.serializeAttachment({ x: 1 }),
      "deserialize before": () => a.deserializeAttachment(),
      "close before": () => a.close(), "send before": () => a.send("x"),
    });
    a.accept(); b.accept();
    const got = [];
    b.onmessage = (e) => { got.push(["on", e.data, e.type]); };
    b.addEventListener("message", (e) => { got.push(["one", e.data]); }, { once: true });
    const again = (e) => { got.push(["again", e.data]); };
    b.addEventListener("message", again);
    b.addEventListener("message", again);
    a.send("1"); a.send("2");
    await until(() => got.length >= 5);
    b.removeEventListener("message", again);
    b.onmessage = null;
    a.send("3");
    await wait(100);
    found.got = got;
    found["wrong code"] = await outcome(() => a.close(5));
    found.closing = await outcome(() => { a.close(4000, "x"); a.close(4001, "y"); return a.readyState; });
    found["late send"] = await outcome(() => a.send("late"));
    await wait(100);
    found["other side"] = await outcome(() => [b.readyState]);
    found["answered"] = await outcome(async () => { b.close(4002); await wait(100); return [a.readyState, b.readyState]; });
    found["after all"] = await outcome(() => b.send("x"));
    found["close after all"] = await outcome(() => b.close(4003));
    found["pair"] = await outcome(() => Object.keys(new WebSocketPair()));
    return found;
  },
};
export const inObject = {
  async L4(self) {
    const ctx = self.ctx;
    const make = (tags) => { const [a, b] = pair(); ctx.acceptWebSocket(b, tags); return [a, b]; };
    const names = (list) => list.map((ws) => ctx.getTags(ws).join("+"));
    const [a, b] = make(["one", "x"]);
    const [c, d] = make(["two", "x"]);
    make(["three"]);
    return await each({
      all: () => names(ctx.getWebSockets()), x: () => names(ctx.getWebSockets("x")), none: () => names(ctx.getWebSockets("q")), "undefined": () => names(ctx.getWebSockets(undefined)),
      "same object": () => ctx.getWebSockets("one")[0] === b,
      "send to a pair": async () => { a.accept(); const lines = listen(a); b.send("hi"); await until(() => lines.length > 0); return lines; },
      "state": () => [b.readyState, b.url, b.protocol, b.extensions],
      "attach undefined": () => { b.serializeAttachment(undefined); return b.deserializeAttachment() ?? null; },
      "attach many": () => { const out = []; for (const v of [0, "", false, [], {}, new Date(5), new Set(["a"]), new Uint8Array([1]).buffer, NaN]) { b.serializeAttachment(v); out.push(b.deserializeAttachment()); } return out; },
      "attach copy": () => { const v = { l: [1] }; b.serializeAttachment(v); const one = b.deserializeAttachment(); one.l.push(2); return b.deserializeAttachment(); },
      "close": () => { d.close(4001, "bye"); return [d.readyState, names(ctx.getWebSockets("x"))]; },
      "send after close": () => d.send("x"), "close again": () => d.close(4002, "again"), "tags after close": () => ctx.getTags(d),
      "wrong code": () => b.close(1006), "state after": () => b.readyState,
      "tags no list": () => { const [, e] = pair(); ctx.acceptWebSocket(e, "abc"); return ctx.getTags(e); },
      "tags numbers": () => { const [, e] = pair(); ctx.acceptWebSocket(e, [1, true]); return ctx.getTags(e); },
      "tags of nothing": () => ctx.getTags(5),
      "listener": () => { b.addEventListener("message", () => {}); return "ok"; },
      "auto texts": () => { ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("é", "")); const p = ctx.getWebSocketAutoResponse(); return [p.request, p.response]; },
      "auto wrong": () => ctx.setWebSocketAutoResponse(5), "auto numbers": () => { const p = new WebSocketRequestResponsePair(1, 2); return [p.request, p.response]; },
      "stamp of nothing": () => ctx.getWebSocketAutoResponseTimestamp(b),
    });
  },
};
