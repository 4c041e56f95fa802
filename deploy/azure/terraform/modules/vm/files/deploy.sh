#!/usr/bin/env bash
# Roll an image out, and back by itself if it does not answer:
#
#   deploy.sh REGISTRY/NAME@sha256:DIGEST
#   deploy.sh previous                     the image before the one that runs
#
# The last line says how it ended, and so does the exit status: 0 the image runs; 1 it does not, and
# the one before runs; 2 nothing runs; 64 the image is not named by a digest; 75 another roll-out is
# under way.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=deploy/azure/terraform/modules/vm/files/identity.sh
. ./identity.sh

# A file is replaced as a whole: put FILE TEXT
put() {
    printf '%s\n' "$2" > "$1.new"
    mv "$1.new" "$1"
}

known() {
    cat "$1" 2> /dev/null || true
}

# Pull it, by this machine's identity where it is in our registry. The login is not kept.
pull() {
    local login token status=0
    login=$(mktemp -d)
    if [ "${1%%/*}" = "$REGISTRY" ]; then
        token=$(access_token https://management.azure.com/) \
            && token=$(printf 'grant_type=access_token&service=%s&access_token=%s' "$REGISTRY" "$token" \
                | ask --data @- "${REGISTRY_URL:-https://$REGISTRY}/oauth2/exchange" \
                | json_value refresh_token) \
            && docker --config "$login" login "$REGISTRY" --password-stdin \
                --username 00000000-0000-0000-0000-000000000000 <<< "$token" > /dev/null 2>&1 \
            || status=$?
    fi
    [ "$status" -ne 0 ] || docker --config "$login" pull --quiet "$1" > /dev/null || status=$?
    rm -rf "$login"
    return "$status"
}

# Start what current-image names, which waits for the containers to be well, and ask it through the
# port that others use. Where a proxy is in front, that port may still wait for its certificate.
runs() {
    local port
    port=$(sed -n 's/^WHATSIT_PUBLISH=//p' .env)
    ./start.sh >&2 || return
    [ -z "$port" ] || ask --noproxy '*' --output /dev/null "http://127.0.0.1:$port/readyz" >&2
}

# Only the image that runs and the one before stay on the disk.
remove_others() {
    docker image ls --digests --format '{{.Repository}}@{{.Digest}}' "${1%@*}" | while read -r image; do
        if [ "$image" != "$(known current-image)" ] && [ "$image" != "$(known previous-image)" ]; then
            docker image rm "$image" > /dev/null || true
        fi
    done
}

wanted=${1-}
[ "$wanted" != previous ] || wanted=$(known previous-image)
if ! [[ $wanted =~ ^[a-z0-9.:-]+/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$ ]]; then
    echo "not deployed: name an image by its digest, such as $REGISTRY/whatsit@sha256:..., not '$wanted'"
    exit 64
fi
exec 9> deploy.lock
if ! flock --nonblock 9; then
    echo "not deployed: another roll-out is under way"
    exit 75
fi
if ! pull "$wanted"; then
    echo "not deployed: $wanted can't be pulled; nothing was changed"
    exit 1
fi

running=$(known current-image)
put current-image "$wanted"
if runs; then
    if [ -n "$running" ] && [ "$running" != "$wanted" ]; then
        put previous-image "$running"
    fi
    remove_others "$wanted"
    echo "deployed: $wanted"
    exit 0
fi

docker compose logs --no-color --tail 40 app >&2 || true
fallback=$running
[ "$running" != "$wanted" ] || fallback=$(known previous-image)
if [ -z "$fallback" ]; then
    rm -f current-image
    docker compose down >&2 || true
    echo "failed: $wanted does not answer, and nothing ran before"
    exit 2
fi
put current-image "$fallback"
if runs; then
    echo "rolled back: $wanted does not answer, so $fallback runs again"
    exit 1
fi
echo "failed: neither $wanted nor $fallback answers"
exit 2
