#!/usr/bin/env bash
# Replaces Kafka's tool of this name for Compose's health check: it only checks that the broker answers.
# Usage: kafka-broker-api-versions.sh --bootstrap-server HOST:PORT
address=${2:?}
exec 3<>"/dev/tcp/${address%:*}/${address##*:}"
