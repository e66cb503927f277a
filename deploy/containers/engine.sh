#!/usr/bin/env bash
# Provides a container engine for the tests. `start FOLDER` prints the value for DOCKER_HOST. It uses an engine that already
# answers, else it starts its own dockerd without systemd, with all data in FOLDER. `stop FOLDER` ends only the dockerd that it
# started, and deletes the folder.
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
    # dockerd runs in the background. Its output goes to a file, and `stop` finds it by its pid file.
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
    echo "✗ dockerd does not start. The end of its log:" >&2
    tail -n 20 "$folder/dockerd.log" >&2
    exit 1
    ;;
  stop)
    if [ -f "$folder/pid" ]; then
      # A killed test may leave containers.
      docker --host "$socket" ps --all --quiet | xargs --no-run-if-empty docker --host "$socket" rm --force >/dev/null
      pid=$(cat "$folder/pid")
      kill "$pid"
      while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
      # dockerd leaves its network name space mounted.
      awk -v inside="$folder/" 'index($2, inside) == 1 { print $2 }' /proc/mounts | sort -r | xargs --no-run-if-empty umount
    fi
    # The folder has some hundred thousand small files, so the script does not wait for the deletion.
    setsid rm -rf "$folder" >/dev/null 2>&1 </dev/null &
    ;;
  *)
    echo "usage: engine.sh start|stop FOLDER" >&2
    exit 2
    ;;
esac
