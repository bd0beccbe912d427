#!/bin/sh
# Runs Mosquitto on the files that `pitada broker-config` and `pitada serve accounts` write into the directory $1, and
# has it read them again when the accounts have changed. For /bin/sh: Mosquitto's image has no other.
set -eu
directory=$1

until [ -s "$directory/mosquitto.conf" ] && [ -s "$directory/revision" ]; do
  echo "waiting for $directory/mosquitto.conf" >&2
  sleep 1
done

known=$(cat "$directory/revision")
mosquitto -c "$directory/mosquitto.conf" &
broker=$!
trap 'kill -TERM "$broker" 2>/dev/null || true' TERM INT

while kill -0 "$broker" 2>/dev/null; do
  now=$(cat "$directory/revision" 2>/dev/null || true)
  if [ -n "$now" ] && [ "$now" != "$known" ]; then
    known=$now
    kill -HUP "$broker"
  fi
  # In the background, so that a signal is not kept waiting.
  sleep 1 &
  wait $! || true
done
wait "$broker"
