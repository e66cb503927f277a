#!/usr/bin/env bash
# Builds images for the tests from this machine's files if no image can be pulled: undertone/node instead of
# node:22-bookworm-slim, undertone/kafka instead of apache/kafka, undertone/s3 instead of chrislusf/seaweedfs. Run it on Debian,
# after `npm ci` and `undertone setup`. DOCKER_HOST names the engine.
set -euo pipefail
cd "$(dirname "$0")"
repository=$(cd ../.. && pwd)
cache=${UNDERTONE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/undertone}
npm_version=10.9.4 # as in node:22

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
build() { docker build --quiet --tag "$1" "$2" >/dev/null && echo "✓ $1  ${SECONDS} s"; }

./debian-slim.sh | docker import --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' - undertone/debian-slim >/dev/null
echo "✓ undertone/debian-slim  ${SECONDS} s"

mkdir -p "$context"/{node/bin,kafka/libs,s3}
cp node/Dockerfile "$context/node/"
cp "$repository/node_modules/node/bin/node" "$context/node/bin/"
npm install --global --prefix "$context/node" --ignore-scripts --no-audit --no-fund --silent "npm@$npm_version"
build undertone/node "$context/node"

# tar follows links, because Debian's Java has its settings in /etc. It reports a broken link and leaves it out.
java_home=$(java -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java.home = //p')
mkdir "$context/kafka/java"
tar -C "$java_home" --dereference --exclude=./jmods --exclude=./man --exclude='*src.zip' --exclude=./demo --ignore-failed-read -cf - . |
  tar -C "$context/kafka/java" -xf -
cp "$cache"/kafka-4*/*.jar "$context/kafka/libs/"
cp kafka/* "$repository/deploy/embedded/kafka/log4j2.yaml" "$context/kafka/"
build undertone/kafka "$context/kafka"

cp s3/* "$cache"/seaweedfs-*/weed "$context/s3/"
build undertone/s3 "$context/s3"
