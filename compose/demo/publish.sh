#!/bin/sh
# Publish runs as any program could that has a Redis client: publish.sh HOW_MANY [SECONDS [QUEUE]]
set -eu
here=$(dirname "$0")
script=$(sh "$here/script.sh" "${2:-0.1}")

server=redis
for sentinel in ${SENTINELS:-}; do # with compose.ha.yaml: where the master is by now
    found=$(redis-cli -h "$sentinel" -p 26379 sentinel get-master-addr-by-name sluice 2>/dev/null | head -n 1)
    case $found in *.*.*.*) server=$found && break ;; esac
done

REDISCLI_AUTH=$(cat /run/secrets/redis_password)
export REDISCLI_AUTH
number=0
told=$(while [ "$number" -lt "$1" ]; do
    number=$((number + 1))
    tenant=$((number % 5))
    printf "XADD sluice:{default}:publish:publisher * run '"
    printf '{"command": ["sh", "-ec", "%s", "run", "%s"], ' "$script" "$tenant"
    printf '"queue": "%s", "keys": ["tenant:%s"]}' "${3:-default}" "$tenant"
    printf "'\n"
done | redis-cli -e -h "$server" --user publisher)
taken=$(printf '%s\n' "$told" | grep -c '^[0-9]*-[0-9]*$' || true)
echo "$taken of $1 runs published"
[ "$taken" = "$1" ]
