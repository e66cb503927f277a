#!/usr/bin/env bash
# Stands in for Kafka's tool of this name, as far as Compose's health check asks: is the broker there?
# Usage: kafka-broker-api-versions.sh --bootstrap-server HOST:PORT
address=${2:?}
exec 3<>"/dev/tcp/${address%:*}/${address##*:}"
