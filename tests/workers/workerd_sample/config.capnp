using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .sample),
    (name = "objects", disk = (path = "do", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:18788", http = (), service = "main")],
);

const sample :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-04-01",
  durableObjectNamespaces = [
    (className = "Kinds", uniqueKey = "sample-Kinds", enableSql = true),
    (className = "Odd", uniqueKey = "sample-Odd", enableSql = true),
    (className = "Shop", uniqueKey = "sample-Shop", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "objects"),
  bindings = [
    (name = "KINDS", durableObjectNamespace = "Kinds"),
    (name = "ODD", durableObjectNamespace = "Odd"),
    (name = "SHOP", durableObjectNamespace = "Shop"),
  ],
);
