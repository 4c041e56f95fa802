#!/bin/sh
# Make the secrets of the monitoring, those that are missing: secrets.sh FOLDER. The files must be
# readable inside the containers, whose users are others; the folder keeps everybody else out.
set -eu
folder=$1
mkdir -p "$folder"
chmod 700 "$folder"
umask 022

if [ ! -s "$folder/grafana-password" ]; then
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$folder/grafana-password"
    echo "Made a new password of Grafana in $folder"
fi
# A key of the API, so the app makes it: see deploy/monitoring/key.sh.
[ -e "$folder/metrics-key" ] || : > "$folder/metrics-key"
