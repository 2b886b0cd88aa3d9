# The scenarios on workerd; the driver gives --socket-addr and --directory-path.
# A uniqueKey is what wrangler makes of it: name of the Worker, name of the class.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .conformance),
    (name = "objects", disk = (path = "data", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const conformance :Workerd.Worker = (
  modules = [
    (name = "entry.js", esModule = embed "src/entry.js"),
    (name = "facts.js", esModule = embed "src/facts.js"),
    (name = "identity.js", esModule = embed "src/identity.js"),
    (name = "calls.js", esModule = embed "src/calls.js"),
    (name = "gates.js", esModule = embed "src/gates.js"),
    (name = "storage.js", esModule = embed "src/storage.js"),
    (name = "transactions.js", esModule = embed "src/transactions.js"),
    (name = "sql.js", esModule = embed "src/sql.js"),
    (name = "alarms.js", esModule = embed "src/alarms.js"),
    (name = "sockets.js", esModule = embed "src/sockets.js"),
    (name = "web.js", esModule = embed "src/web.js"),
    (name = "remote.js", esModule = embed "src/remote.js"),
    (name = "pairs.js", esModule = embed "src/pairs.js"),
    (name = "streams.js", esModule = embed "src/streams.js"),
    (name = "wired.js", esModule = embed "src/wired.js"),
    (name = "programs.js", esModule = embed "src/programs.js"),
    (name = "programs.json", json = embed "../worker/src/programs.json"),
  ],
  compatibilityDate = "2026-03-01",
  durableObjectNamespaces = [
    (className = "Probe", uniqueKey = "conformance-Probe", enableSql = true),
    (className = "Other", uniqueKey = "conformance-Other", enableSql = true),
    (className = "Bare", uniqueKey = "conformance-Bare", enableSql = true),
    (className = "Failing", uniqueKey = "conformance-Failing", enableSql = true),
    (className = "Blocking", uniqueKey = "conformance-Blocking", enableSql = true),
    (className = "Timed", uniqueKey = "conformance-Timed", enableSql = true),
    (className = "Ringing", uniqueKey = "conformance-Ringing", enableSql = true),
    (className = "Planned", uniqueKey = "conformance-Planned", enableSql = true),
    (className = "Talking", uniqueKey = "conformance-Talking", enableSql = true),
    (className = "Giving", uniqueKey = "conformance-Giving", enableSql = true),
    (className = "Mute", uniqueKey = "conformance-Mute", enableSql = true),
    (className = "Old", uniqueKey = "conformance-Old"),
  ],
  durableObjectStorage = (localDisk = "objects"),
  bindings = [
    (name = "PROBE", durableObjectNamespace = "Probe"),
    (name = "OTHER", durableObjectNamespace = "Other"),
    (name = "BARE", durableObjectNamespace = "Bare"),
    (name = "FAILING", durableObjectNamespace = "Failing"),
    (name = "BLOCKING", durableObjectNamespace = "Blocking"),
    (name = "TIMED", durableObjectNamespace = "Timed"),
    (name = "RINGING", durableObjectNamespace = "Ringing"),
    (name = "PLANNED", durableObjectNamespace = "Planned"),
    (name = "TALKING", durableObjectNamespace = "Talking"),
    (name = "GIVING", durableObjectNamespace = "Giving"),
    (name = "MUTE", durableObjectNamespace = "Mute"),
    (name = "OLD", durableObjectNamespace = "Old"),
  ],
);
