#!/usr/bin/env bash
# Finds the real programs that the tests run against; installs what is missing with apt where it may.
# What is still missing is named. With CI=true that is a failure; elsewhere the tests that need it are skipped, loudly.
# `servers.sh peers` also installs what only that benchmark needs.
set -euo pipefail

have() {
  case $1 in
    postgresql) command -v postgres >/dev/null 2>&1 || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null ;;
    mosquitto) command -v mosquitto >/dev/null 2>&1 || [ -x /usr/sbin/mosquitto ] ;;
    mosquitto-clients) command -v mosquitto_sub >/dev/null 2>&1 ;;
    chromium) command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 ;;
    nodejs) command -v node >/dev/null 2>&1 ;;
    npm) command -v npm >/dev/null 2>&1 ;;
  esac
}

# npm packages, pinned by the lock file beside them: where, and what they are.
packages() {
  local place=$1 what=$2
  # npm writes this file last; older than the lock, another version is wanted.
  [ ! "$place/package-lock.json" -nt "$place/node_modules/.package-lock.json" ] && return 0
  have npm && npm ci --silent --no-audit --no-fund --prefix "$place" >&2 && touch "$place/node_modules/.package-lock.json" && return 0
  echo "MISSING: $what (npm ci in $place failed)." >&2
  [ "${CI:-}" != true ]
}

npm_packages() {
  packages tests/micropython "the MicroPython VM, without which the tests in it are skipped"
  # Large, and for one benchmark only.
  [ "$asked" != peers ] || packages tests/benchmarks/node_red "Node-RED, for the benchmark of peers"
}

asked=${1:-}
cd "$(dirname "$0")/.."
missing=()
for name in mosquitto mosquitto-clients postgresql chromium nodejs npm; do
  have "$name" || missing+=("$name")
done
if [ ${#missing[@]} -eq 0 ]; then
  npm_packages
  exit
fi

apt=
if command -v apt-get >/dev/null 2>&1; then
  if [ "$(id -u)" -eq 0 ]; then
    apt="env DEBIAN_FRONTEND=noninteractive apt-get"
  elif sudo -n true 2>/dev/null; then
    apt="sudo -n env DEBIAN_FRONTEND=noninteractive apt-get"
  fi
fi
if [ -n "$apt" ]; then
  echo "Installing ${missing[*]} with apt." >&2
  $apt update -qq >&2 && $apt install -y -qq --no-install-recommends "${missing[@]}" >&2 || true
fi

still=()
for name in "${missing[@]}"; do
  have "$name" || still+=("$name")
done
npm_packages
[ ${#still[@]} -eq 0 ] && exit 0
echo "MISSING: ${still[*]}. Tests against them use a container where Docker answers, else they are skipped." >&2
[ "${CI:-}" != true ]
