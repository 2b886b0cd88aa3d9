// The objects as Durable Objects in JavaScript: the twin of ../worker/src/entry.py.

const TEXT = "a row of some forty characters, no more.";
const lateMs = []; // of all alarms that rang in this process

export class Table {
  constructor(state, env) {
    this.sql = state.storage.sql;
    this.sql.exec("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, text TEXT)");
  }

  async fetch(request) {
    if (request.url.endsWith("/count")) {
      return answer(this.sql.exec("SELECT count(*) AS n FROM rows").one().n);
    }
    const row = this.sql.exec("INSERT INTO rows (text) VALUES (?) RETURNING id", TEXT).one();
    return answer(row.id);
  }
}

export class Bell {
  constructor(state, env) {
    this.storage = state.storage;
  }

  async fetch(request) {
    const action = new URL(request.url).pathname.split("/")[3];
    if (action === "late") return answer(lateMs);
    const dueMs = Number(await request.text());
    this.storage.put("due", dueMs);
    this.storage.setAlarm(dueMs);
    return answer(dueMs);
  }

  async alarm() {
    const dueMs = await this.storage.get("due");
    lateMs.push(Date.now() - dueMs);
    await this.storage.put("rung", 1);
  }
}

// Its sockets are hibernatable: the object may sleep while they are open.
export class Room {
  constructor(state, env) {
    this.state = state;
  }

  async fetch(request) {
    if (request.url.endsWith("/people")) return answer(this.state.getWebSockets().length);
    const [client, server] = Object.values(new WebSocketPair());
    this.state.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  webSocketMessage(socket, message) {
    if (message === "all") {
      for (const other of this.state.getWebSockets()) other.send(message);
    } else {
      socket.send(message);
    }
  }
}

function answer(value) {
  return new Response(JSON.stringify(value));
}

export default {
  async fetch(request, env) {
    const [, kind, name] = new URL(request.url).pathname.split("/");
    const namespace = { table: env.TABLE, bell: env.BELL, room: env.ROOM }[kind];
    return namespace.get(namespace.idFromName(name)).fetch(request);
  },
};
