#!/usr/bin/env bash
# Puts the ESP32 stubs that uv.lock names into .tools/esp32-stubs, unless they are there.
set -euo pipefail
cd "$(dirname "$0")/.."
place=.tools/esp32-stubs

uv=$(command -v uv || echo .tools/bin/uv)
wanted=$("$uv" export --quiet --locked --no-header --only-group esp32-stubs)
if [ "$wanted" != "$(cat "$place/made-from.txt" 2>/dev/null)" ]; then
  rm -rf "$place"
  printf '%s\n' "$wanted" | "$uv" pip install --quiet --require-hashes --no-deps --target "$place" --requirement -
  printf '%s\n' "$wanted" >"$place/made-from.txt"
fi
