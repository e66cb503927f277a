#!/usr/bin/env bash
# A container engine for the tests. `start FOLDER` prints what DOCKER_HOST has to be: that of an engine which answers already,
# else of a dockerd of its own, without systemd, which keeps all it has in FOLDER. `stop FOLDER` ends that one, and only that,
# and deletes the folder.
set -euo pipefail
action=${1:?start or stop}
folder=${2:?}
socket=unix://$folder/docker.sock

case $action in
  start)
    if docker info >/dev/null 2>&1; then
      echo "${DOCKER_HOST:-unix:///var/run/docker.sock}"
      exit
    fi
    mkdir -p "$folder"
    # No shell waits for it: its output goes to a file, and it is found again by its pid file.
    setsid dockerd --host "$socket" --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" \
      >"$folder/dockerd.log" 2>&1 </dev/null &
    for _ in $(seq 150); do
      if docker --host "$socket" info >/dev/null 2>&1; then
        echo "$socket"
        exit
      fi
      if ! kill -0 $! 2>/dev/null; then break; fi
      sleep 0.2
    done
    echo "✗ dockerd does not start; the end of its log:" >&2
    tail -n 20 "$folder/dockerd.log" >&2
    exit 1
    ;;
  stop)
    if [ -f "$folder/pid" ]; then
      # Left over where a test was killed.
      docker --host "$socket" ps --all --quiet | xargs --no-run-if-empty docker --host "$socket" rm --force >/dev/null
      pid=$(cat "$folder/pid")
      kill "$pid"
      while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
      # It leaves its own network name space mounted.
      awk -v inside="$folder/" 'index($2, inside) == 1 { print $2 }' /proc/mounts | sort -r | xargs --no-run-if-empty umount
    fi
    # Some hundred thousand small files: nobody waits for that.
    setsid rm -rf "$folder" >/dev/null 2>&1 </dev/null &
    ;;
  *)
    echo "usage: engine.sh start|stop FOLDER" >&2
    exit 2
    ;;
esac
