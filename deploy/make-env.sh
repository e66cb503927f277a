#!/bin/sh
# Writes deploy/.env: deploy/.env.example with a fresh secret in each line that has none. Only its owner may read it.
# Keeps a file that is there.
set -eu
cd "$(dirname "$0")"
if [ -e .env ]; then
  echo "deploy/.env is there already, and stays as it is." >&2
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
