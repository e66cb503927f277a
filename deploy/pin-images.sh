#!/bin/sh
# Pins the images of Compose by digest: pulls each image that compose.yaml names by tag, and writes NAME=image@sha256:… into
# deploy/.env. Nobody can then replace an image that you have tried by moving its tag.
#
#   deploy/pin-images.sh           pin
#   deploy/pin-images.sh --check   only say which images are not pinned; exit 1 if there are any
#
# DOCKER names the client, for example podman. An image that .env names already is resolved from that name.
set -eu
cd "$(dirname "$0")"
docker=${DOCKER:-docker}
images='KAFKA_IMAGE S3_IMAGE PROMETHEUS_IMAGE GRAFANA_IMAGE BASE_IMAGE'

image_of() { # the value in .env, else the default of compose.yaml
  named=$(sed -n "s/^$1=//p" .env | tail -n 1)
  if [ -n "$named" ]; then echo "$named"; else sed -n "s/.*\${$1:-\([^}]*\)}.*/\1/p" compose.yaml | head -n 1; fi
}
is_pinned() { printf '%s\n' "$1" | grep -Eq '^[^@[:space:]]+@sha256:[0-9a-f]{64}$'; }

[ -e .env ] || { echo "There is no deploy/.env. Run deploy/make-env.sh first." >&2; exit 1; }
missing=0
pins=$(mktemp ./.env.XXXXXX)
trap 'rm -f "$pins" "$pins.new"' EXIT
for name in $images; do
  image=$(image_of "$name")
  if is_pinned "$image"; then echo "✓ $name=$image"; continue; fi
  if [ "${1:-}" = --check ]; then
    echo "✗ $name=$image is not pinned. Run deploy/pin-images.sh." >&2
    missing=1
    continue
  fi
  "$docker" pull --quiet "$image" >/dev/null
  pinned=$("$docker" image inspect --format '{{index .RepoDigests 0}}' "$image")
  is_pinned "$pinned" || { echo "✗ $name: the registry gave '$pinned' for $image, and not name@sha256:…. Nothing was changed." >&2; exit 1; }
  echo "$name=$pinned" >>"$pins"
  echo "✓ $name=$pinned"
done
[ "$missing" -eq 0 ] || exit 1
if [ -s "$pins" ]; then
  names=$(sed 's/=.*//' "$pins" | paste -sd '|' -)
  { grep -Ev "^($names)=" .env || true; cat "$pins"; } >"$pins.new"
  chmod 600 "$pins.new"
  mv "$pins.new" .env
fi
