#!/bin/sh
# Before the server starts: the password of Redis is made where there is none, and the image's model
# goes into the store, which may be an empty volume.
set -eu

# Only the group of this user may read it; Redis belongs to that group.
password=${WHATSIT_REDIS_PASSWORD_FILE:-}
if [ -n "$password" ] && [ ! -s "$password" ] && [ -w "${password%/*}" ]; then
    umask 027
    made=$(mktemp "$password.XXXXXX")
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$made"
    chmod 640 "$made"
    # Another replica may have been faster with the same volume: the first one stays.
    ln "$made" "$password" 2> /dev/null || true
    rm "$made"
fi

# A client that uses this container's own address, such as Prometheus, means this server too. Only
# a page under a foreign name could be a danger, and an address is not a name.
case ${WHATSIT_ALLOWED_HOSTS:-auto} in
    auto | '*') ;;
    *)
        while read -r address names; do
            case " $names " in
                *" $(cat /etc/hostname 2> /dev/null) "*) WHATSIT_ALLOWED_HOSTS="$WHATSIT_ALLOWED_HOSTS,$address" ;;
            esac
        done < /etc/hosts
        export WHATSIT_ALLOWED_HOSTS
        ;;
esac

# Compose files of before gave the whole address in a file.
if [ -r /run/secrets/redis-url ]; then
    WHATSIT_REDIS_URL=$(cat /run/secrets/redis-url)
    export WHATSIT_REDIS_URL
fi
for folder in /opt/whatsit/models/*/; do
    name=$(basename "$folder")
    if [ -d "$folder" ] && [ ! -e "$WHATSIT_STORE/models/$name" ]; then
        # Another replica may have been faster with the same volume.
        whatsit models add "$folder" || [ -e "$WHATSIT_STORE/models/$name" ]
    fi
done
exec "$@"
