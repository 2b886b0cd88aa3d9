#!/usr/bin/env bash
# Starts the counter on workerd and on wakeful, sends both the same requests and compares the answers.
# Exits 0 when they agree, 1 when they differ, 2 when something it needs is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

missing() {
  echo "missing: $1" >&2
  exit 2
}

python=${PYTHON:-}
if [ -z "$python" ]; then
  if [ -x ../../../.venv/bin/python ]; then python=../../../.venv/bin/python; else python=python3; fi
fi
command -v "$python" >/dev/null || missing "a Python interpreter ($python)"
"$python" -c 'import wakeful' 2>/dev/null || missing "wakeful is not installed for $python (make setup)"

if ! compgen -G 'node_modules/@cloudflare/workerd-*/bin/workerd' >/dev/null; then
  command -v node >/dev/null || missing "node"
  command -v npm >/dev/null || missing "npm"
  npm install --no-audit --no-fund --loglevel=error || missing "workerd (npm install failed)"
fi
workerd=$(compgen -G 'node_modules/@cloudflare/workerd-*/bin/workerd' | head -n 1) ||
  missing "a workerd binary for this platform"

exec "$python" scripts/compare.py "$workerd"
