#!/bin/sh
# Makes state.tar.gz: runs worker.js on workerd, kills it when it has written, keeps its files.
#   WORKERD=path/to/workerd ./make.sh        (npm ci in examples/comparison/cloudflare_workers)
set -eu
cd "$(dirname "$0")"
repository=$(cd ../../.. && pwd)
workerd=${WORKERD:-$repository/examples/comparison/cloudflare_workers/node_modules/.bin/workerd}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/v3/do"
"$workerd" serve config.capnp --directory-path "objects=$scratch/v3/do" &
server=$!
until curl -sf http://127.0.0.1:18788/ 2>/dev/null; do sleep 0.2; done
kill -KILL $server  # what is in the -wal files stays there, as after a crash
find "$scratch" -name '*-shm' -delete
tar -C "$scratch" --sort=name --owner=0 --group=0 -czf state.tar.gz v3
ls -l state.tar.gz
