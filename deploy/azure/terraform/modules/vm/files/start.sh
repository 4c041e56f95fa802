#!/usr/bin/env bash
# Start the service, or start it again with what has changed: image, settings, secrets. Secrets are
# read only when a container starts, so this creates all containers again.
set -euo pipefail
cd "$(dirname "$0")"

./fetch-secrets.sh
if [ ! -s current-image ]; then
    echo "The machine has no image yet; deploy.sh IMAGE@sha256:... brings one."
    exit 0
fi
WHATSIT_IMAGE=$(cat current-image)
export WHATSIT_IMAGE
exec docker compose up --detach --no-build --force-recreate --remove-orphans \
    --wait --wait-timeout "${START_SECONDS:-240}"
