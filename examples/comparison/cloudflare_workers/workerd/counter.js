// The counter as a Durable Object: the TypeScript of the comparison with its types erased, and one
// addition in the Worker, so that one server can serve many counters.

export class Counter {
  constructor(state, env) {
    this.state = state;
    this.count = 0;
    // The input gate holds every request back until this read is done.
    this.state.storage.get("count").then((value) => {
      this.count = value || 0;
    });
  }

  async fetch(request) {
    const action = new URL(request.url).pathname.split("/").pop();

    switch (action) {
      case "increment":
        this.count++;
        await this.state.storage.put("count", this.count);
        return new Response(JSON.stringify({ count: this.count }));

      case "decrement":
        this.count = Math.max(0, this.count - 1);
        await this.state.storage.put("count", this.count);
        return new Response(JSON.stringify({ count: this.count }));

      case "get":
        return new Response(JSON.stringify({ count: this.count }));

      default:
        return new Response("Not found", { status: 404 });
    }
  }
}

// `/increment` goes to counter-1, `/<object>/increment` to the object of that name.
export default {
  async fetch(request, env) {
    const parts = new URL(request.url).pathname.split("/").filter(Boolean);
    const name = parts.length > 1 ? parts[0] : "counter-1";
    return env.COUNTER.get(env.COUNTER.idFromName(name)).fetch(request);
  },
};
