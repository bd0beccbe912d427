#!/usr/bin/env bash
# Makes or refreshes .venv from uv.lock. Needs Python 3.11+ and git; brings uv with pip when it is not there.
set -euo pipefail
cd "$(dirname "$0")/.."

if command -v uv >/dev/null 2>&1; then
  uv=uv
else
  uv=.tools/bin/uv
  if [ ! -x "$uv" ]; then
    python=$(command -v python3 || command -v python || true)
    if [ -z "$python" ] || ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      echo "Pitada needs Python 3.11 or newer as python3: install it, then run this again." >&2
      exit 1
    fi
    if ! "$python" -m venv .tools; then
      echo "Python cannot make a virtual environment: install its venv package (Debian: apt-get install python3-venv)." >&2
      exit 1
    fi
    .tools/bin/pip install --quiet --disable-pip-version-check "uv>=0.9,<1"
  fi
fi
exec "$uv" sync --quiet --locked --compile-bytecode "$@"
