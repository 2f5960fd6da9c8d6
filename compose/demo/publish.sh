#!/bin/sh
# Publish runs as any program could that has a Redis client: publish.sh HOW_MANY [SECONDS [QUEUE]]
set -eu
here=$(dirname "$0")
REDISCLI_AUTH=$(cat /run/secrets/redis_password)
export REDISCLI_AUTH
script=$(sh "$here/script.sh" "${2:-0.1}")

number=0
told=$(while [ "$number" -lt "$1" ]; do
    number=$((number + 1))
    tenant=$((number % 5))
    printf "XADD sluice:{default}:publish:publisher * run '"
    printf '{"command": ["sh", "-ec", "%s", "run", "%s"], ' "$script" "$tenant"
    printf '"queue": "%s", "keys": ["tenant:%s"]}' "${3:-default}" "$tenant"
    printf "'\n"
done | redis-cli -e -h redis --user publisher)
taken=$(printf '%s\n' "$told" | grep -c '^[0-9]*-[0-9]*$' || true)
echo "$taken of $1 runs published"
[ "$taken" = "$1" ]
