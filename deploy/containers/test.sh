#!/usr/bin/env bash
# Runs `npm run test:containers` if no image can be pulled. It starts an engine if none answers, builds replacements for the
# images of Kafka, the store and Node, builds the services' image on the last one, runs the suite, and stops its engine.
# Run it on Debian, after `npm ci` and `undertone setup`, and as root if there is no engine yet. It prints the time of each step.
set -euo pipefail
cd "$(dirname "$0")"
export REQUIRE_CONTAINERS=${REQUIRE_CONTAINERS:-0}
# Debian's docker client includes BuildKit. Another client earlier on PATH may lack the plugin.
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
# Ryuk, which cleans up after killed tests, is an image too, so it is disabled. Stopping the engine removes all containers.
TESTCONTAINERS_RYUK_DISABLED=true KAFKA_IMAGE=undertone/kafka S3_IMAGE=undertone/s3 UNDERTONE_IMAGE=undertone/services \
  npm --prefix ../.. run -s test:containers "$@"
echo "✓ containers suite  ${SECONDS} s"
