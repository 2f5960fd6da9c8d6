#!/bin/sh
# Publish a run and wait for its end: publish.sh '{"function": "add", "parameters": {"a": 1, "b": 2}}'
set -eu

root="sluice:{${SLUICE_POOL:-default}}"
me="shell-$(date +%s)-$$" # a reply stream of our own

redis() {
    redis-cli -e -u "${SLUICE_REDIS_URL:-redis://127.0.0.1:6379/0}" "$@"
}

# The line after a name: redis-cli prints names and values line by line.
value() {
    printf '%s\n' "$told" | sed -n "/^$1\$/{n;p;q;}"
}

entry=$(printf '%s' "$1" | redis -x XADD "$root:publish" '*' reply "$me" run)
echo "entry $entry"

last=0-0
while :; do
    told=$(redis XREAD COUNT 1 BLOCK 2000 STREAMS "$root:reply:$me" "$last" | tr -d '\000')
    [ -n "$told" ] || continue
    last=$(printf '%s\n' "$told" | sed -n 2p)
    state=$(value state)
    if [ -n "$state" ]; then
        echo "run $(value run) $state"
        [ "$state" = completed ]
        exit
    fi
    echo "$(value status) $(value run)"
    if [ "$(value status)" = rejected ]; then
        value reason >&2
        exit 1
    fi
done
