#!/bin/sh
# Writes deploy/.env from deploy/.env.example, with a fresh secret in each line without a value. Only the owner may read it.
# It keeps an existing file.
set -eu
cd "$(dirname "$0")"
if [ -e .env ]; then
  echo "deploy/.env exists and stays unchanged. To make new secrets, delete it and run this again." >&2
  exit 1
fi
secret() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
umask 077
while IFS= read -r line; do
  case $line in
    AWS_ACCESS_KEY_ID=) echo "${line}undertone" ;;
    [A-Z]*=) echo "$line$(secret)" ;;
    *) printf '%s\n' "$line" ;;
  esac
done <.env.example >.env
echo "✓ deploy/.env has fresh secrets. The dashboard asks for its API_TOKEN as the password, Grafana for GRAFANA_ADMIN_PASSWORD."
