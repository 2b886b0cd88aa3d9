# objects.js on workerd, each object a SQLite file below the directory `objects`.
# The benchmarks say where: --socket-addr http=127.0.0.1:PORT --directory-path objects=DIR

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .objects),
    (name = "objects", disk = (path = "data", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const objects :Workerd.Worker = (
  modules = [(name = "objects.js", esModule = embed "objects.js")],
  compatibilityDate = "2026-11-01",
  durableObjectNamespaces = [
    (className = "Table", uniqueKey = "bench-table", enableSql = true),
    (className = "Bell", uniqueKey = "bench-bell", enableSql = true),
    (className = "Room", uniqueKey = "bench-room", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "objects"),
  bindings = [
    (name = "TABLE", durableObjectNamespace = "Table"),
    (name = "BELL", durableObjectNamespace = "Bell"),
    (name = "ROOM", durableObjectNamespace = "Room"),
  ],
);
