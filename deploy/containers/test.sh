#!/usr/bin/env bash
# `npm run test:containers` where no image can be pulled: starts an engine if none answers, builds stand-ins for Kafka's, the
# store's and Node's images, builds the services' image on the last, runs the suite, and takes the engine away again.
# On Debian, after `npm ci` and `undertone setup`; as root if there is no engine yet. Says how long each step took.
set -euo pipefail
cd "$(dirname "$0")"
export REQUIRE_CONTAINERS=${REQUIRE_CONTAINERS:-0}
# Debian's client brings BuildKit; another one in front of it may lack the plugin.
if ! docker buildx version >/dev/null 2>&1; then export PATH=/usr/bin:$PATH; fi

folder=$(mktemp -d)
trap './engine.sh stop "$folder"' EXIT
if ! DOCKER_HOST=$(./engine.sh start "$folder"); then
  echo '✗ NO CONTAINER ENGINE: the containers suite does not run.' >&2
  exit "$REQUIRE_CONTAINERS"
fi
export DOCKER_HOST
echo "✓ container engine at $DOCKER_HOST  ${SECONDS} s"

./stand-in-images.sh
./build-service-image.sh undertone/services --build-arg BASE_IMAGE=undertone/node
echo "✓ images  ${SECONDS} s"
# Ryuk, which clears up after tests that were killed, is an image too; the engine goes away with all it has.
TESTCONTAINERS_RYUK_DISABLED=true KAFKA_IMAGE=undertone/kafka S3_IMAGE=undertone/s3 UNDERTONE_IMAGE=undertone/services \
  npm --prefix ../.. run -s test:containers "$@"
echo "✓ containers suite  ${SECONDS} s"
