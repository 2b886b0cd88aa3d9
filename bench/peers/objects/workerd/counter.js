// The twin of examples/worker_counter/src/entry.py: the same paths, answers and storage calls.

export class Counter {
  constructor(state, env) {
    this.storage = state.storage;
  }

  async fetch(request) {
    let value = (await this.storage.get("count")) || 0;
    switch (new URL(request.url).pathname) {
      case "/increment":
        value += 1;
        await this.storage.put("count", value);
        break;
      case "/decrement":
        value = Math.max(0, value - 1);
        await this.storage.put("count", value);
        break;
      case "/get":
        break;
      default:
        return new Response("Not found", { status: 404 });
    }
    return Response.json({ count: value });
  }
}

export default {
  async fetch(request, env) {
    const name = new URL(request.url).searchParams.get("name") || "counter-1";
    return env.COUNTER.get(env.COUNTER.idFromName(name)).fetch(request);
  },
};
