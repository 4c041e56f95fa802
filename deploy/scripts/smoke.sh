#!/bin/sh
# Ask a running whatsit whether it works: smoke.sh URL. It must become ready and know a picture.
#
#   WHATSIT_API_KEY  a key, where the API asks for one
#   SMOKE_PICTURE    the picture; the bundled bee where nothing is said
#   SMOKE_LABEL      what the model must call it; bee where nothing is said
#   SMOKE_SECONDS    how long to wait until it is ready; 300 where nothing is said
#
# Needs curl and python3. Exit status: 0 it works, 1 it does not, 2 it was called wrongly.
set -eu

[ $# -eq 1 ] || { echo "usage: smoke.sh URL" >&2; exit 2; }
url=${1%/}
examples=$(dirname "$0")/../../src/whatsit/data/examples
picture=${SMOKE_PICTURE:-$examples/bee.jpg}
label=${SMOKE_LABEL:-bee}
seconds=${SMOKE_SECONDS:-300}
[ -r "$picture" ] || { echo "smoke: no picture $picture" >&2; exit 2; }

deadline=$(($(date +%s) + seconds))
until ready=$(curl --silent --show-error --fail --max-time 10 "$url/readyz" 2>&1); do
    if [ "$(date +%s)" -ge "$deadline" ]; then
        echo "smoke: $url was not ready within $seconds s: $ready" >&2
        exit 1
    fi
    sleep "${SMOKE_PAUSE_SECONDS:-3}"
done
echo "smoke: $url is ready" >&2

# The key goes in through standard input, where no list of processes shows it. The cache is passed
# by, because an answer that was kept proves nothing about the model.
if ! answer=$(
    { [ -z "${WHATSIT_API_KEY:-}" ] || printf 'Authorization: Bearer %s\n' "$WHATSIT_API_KEY"; } |
        curl --silent --show-error --fail-with-body --max-time 60 --header @- \
            --header "Content-Type: application/octet-stream" --data-binary "@$picture" \
            "$url/api/v1/classify?top_k=1&cache=bypass"
); then
    echo "smoke: the picture was refused: $answer" >&2
    exit 1
fi

if ! found=$(printf '%s' "$answer" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["top"][0]["label"])'); then
    echo "smoke: not an answer of whatsit: $answer" >&2
    exit 1
fi
if [ "$found" != "$label" ]; then
    echo "smoke: it calls $(basename "$picture") '$found', not '$label'" >&2
    exit 1
fi
echo "smoke: it calls $(basename "$picture") '$found'" >&2
