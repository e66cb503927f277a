#!/usr/bin/env bash
# Builds the image of the services (deploy/Dockerfile) with this machine's settings of npm and pip as build secrets, and with its
# network. Use it if you have your own mirror or certificate. Usage: build-service-image.sh TAG [docker build's arguments]
set -euo pipefail
tag=$1
shift
cd "$(dirname "$0")/../.."
settings=$(mktemp -d)
trap 'rm -rf "$settings"' EXIT
touch "$settings/npmrc"
for kind in globalconfig userconfig; do
  file=$(npm config get "$kind")
  if [ -f "$file" ]; then cat "$file" >>"$settings/npmrc"; fi
done
# `global.index-url='…'` becomes `index-url = …`. Settings of the environment come first and win.
{
  echo '[global]'
  python3 -m pip config list |
    sed -nE "s/^(global|:env:)\.(index-url|extra-index-url|trusted-host|cert|default-timeout)='(.*)'\$/\2 = \3/p" | awk '!seen[$1]++'
} >"$settings/pip.conf"

DOCKER_BUILDKIT=1 docker build --quiet --network host --file deploy/Dockerfile --tag "$tag" \
  --secret "id=npmrc,src=$settings/npmrc" --secret "id=pip.conf,src=$settings/pip.conf" "$@" . >/dev/null
echo "✓ $tag  ${SECONDS} s"
