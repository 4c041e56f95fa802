#!/bin/sh
# Before the server starts: secrets come from files, and the image's model goes into the store,
# which may be an empty volume.
set -eu
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
