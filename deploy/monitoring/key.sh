#!/bin/sh
# Make sure that Prometheus has a key that the running app accepts: key.sh SECRETS. Prometheus
# reads the file each time, so nothing needs a restart.
set -eu
file=$1/metrics-key
status=$(docker compose exec -T app python /opt/whatsit/ask_metrics.py < "$file")
case $status in
    200) ;;
    401)
        docker compose exec -T app whatsit keys create prometheus > "$file.new" 2> /dev/null
        # The container sees this very file, so it is written, not replaced.
        cat "$file.new" > "$file"
        rm "$file.new"
        echo "Made a new key for Prometheus in $file"
        ;;
    *)
        echo "The app answers /metrics with $status; Prometheus won't see figures." >&2
        exit 1
        ;;
esac
