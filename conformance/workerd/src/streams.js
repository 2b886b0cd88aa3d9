// J: streams and signals.

import { each, outcome, wait } from "./facts.js";
const bytes = (t) => new TextEncoder().encode(t);
const of = (...parts) => new ReadableStream({ start(c) { for (const p of parts) c.enqueue(bytes(p)); c.close(); } });
async function all(stream) { const out = []; const r = stream.getReader(); for (;;) { const { done, value } = await r.read(); if (done) return out; out.push(new TextDecoder().decode(value)); } }
export const inWorker = {
  async J15(env) {
    return await each({
      chunks: () => all(of("a", "b")),
      empty: () => all(of()),
      "two readers": () => { const s = of("a"); s.getReader(); s.getReader(); },
      released: async () => { const s = of("a", "b"); const r = s.getReader(); const one = await r.read(); r.releaseLock(); return [new TextDecoder().decode(one.value), await all(s)]; },
      "read after release": async () => { const r = of("a").getReader(); r.releaseLock(); return await r.read(); },
      tee: async () => { const [a, b] = of("a", "b").tee(); return [await all(a), await all(b)]; },
      locked: async () => { const s = of("a"); const before = s.locked; const r = s.getReader(); const now = s.locked; r.releaseLock(); return [before, now, s.locked]; },
      error: async () => { const s = new ReadableStream({ start(c) { c.error(new RangeError("broken")); } }); return await all(s); },
      "error in start": async () => all(new ReadableStream({ start() { throw new RangeError("start"); } })),
      "error in pull": async () => all(new ReadableStream({ pull() { throw new RangeError("pull"); } })),
      "close twice": () => { new ReadableStream({ start(c) { c.close(); c.close(); } }); return 1; },
      pulled: async () => { let n = 0; return await all(new ReadableStream({ async pull(c) { await wait(1); if (n === 3) c.close(); else c.enqueue(bytes(String(n++))); } })); },
      transform: async () => { const { readable, writable } = new TransformStream(); const w = writable.getWriter(); const got = all(readable); await w.write(bytes("x")); await w.write(bytes("y")); await w.close(); return await got; },
      "transform abort": async () => { const { readable, writable } = new TransformStream(); const w = writable.getWriter(); const got = outcome(() => all(readable)); await w.abort(new RangeError("enough")); return await got; },
      "write after close": async () => { const { readable, writable } = new TransformStream(); const w = writable.getWriter(); all(readable); await w.close(); await w.write(bytes("x")); },
      "two writers": () => { const { writable } = new TransformStream(); writable.getWriter(); writable.getWriter(); },
      "pipe": async () => { const { readable, writable } = new TransformStream(); const done = of("a", "b").pipeTo(writable); const got = await all(readable); await done; return got; },
      "body of a response": async () => await all(new Response("xyz").body),
      "body used": async () => { const r = new Response("xyz"); await all(r.body); return [r.bodyUsed, await outcome(() => r.text())]; },
      "body locked": async () => { const r = new Response(of("a")); const reader = r.body.getReader(); await reader.read(); reader.releaseLock(); return await r.text(); },
      "through": async () => { const r = new Response(of("a", "b")); const s = new Response(r.body, { status: 201 }); return [await s.text(), r.bodyUsed]; },
      "for await": async () => { const out = []; for await (const c of of("a", "b")) out.push(new TextDecoder().decode(c)); return out; },
      from: async () => await new Response(ReadableStream.from([bytes("a"), bytes("b")])).text(),
    });
  },
  async J16(env) {
    return await each({
      fresh: () => { const c = new AbortController(); return [c.signal.aborted, c.signal.reason ?? null]; },
      abort: () => { const c = new AbortController(); c.abort(); return [c.signal.aborted, c.signal.reason.name, c.signal.reason.message]; },
      reason: () => { const c = new AbortController(); c.abort("why"); return c.signal.reason; },
      throws: () => { const c = new AbortController(); c.abort(new RangeError("why")); c.signal.throwIfAborted(); },
      "throws by default": () => AbortSignal.abort().throwIfAborted(),
      twice: () => { const c = new AbortController(); c.abort("a"); c.abort("b"); return c.signal.reason; },
      event: () => { const got = []; const c = new AbortController(); c.signal.addEventListener("abort", (e) => got.push(e.type)); c.abort(); return got; },
      timeout: async () => { const s = AbortSignal.timeout(10); await wait(100); return [s.aborted, s.reason.name, s.reason.message]; },
      any: () => { const c = new AbortController(); const s = AbortSignal.any([new AbortController().signal, c.signal]); c.abort("x"); return [s.aborted, s.reason]; },
      "fetch aborted": async () => (await env.GIVING.getByName("J16").fetch("http://h/", { signal: AbortSignal.abort(new RangeError("no")) })).status,
      "fetch aborted later": async () => { const c = new AbortController(); setTimeout(() => c.abort(), 50); return (await env.GIVING.getByName("J16").fetch("http://h/sleep", { signal: c.signal })).status; },
      "in a request": async () => { const c = new AbortController(); const q = new Request("http://h/sleep", { signal: c.signal }); c.abort(new RangeError("gone")); return [q.signal.aborted, await outcome(() => env.GIVING.getByName("J16").fetch(q))]; },
    });
  },
};
