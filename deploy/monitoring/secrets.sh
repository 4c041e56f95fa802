#!/bin/sh
# Make the secrets of the compose file, those that are missing: secrets.sh FOLDER. Deleting one and
# starting again rotates it (of Redis: all three). The files must be readable inside the containers,
# whose users are others; the folder keeps everybody else on this machine out.
set -eu
folder=$1
mkdir -p "$folder"
chmod 700 "$folder"
umask 022

random() {
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

if [ ! -s "$folder/redis-password" ]; then
    password=$(random)
    commands='+get +set +del +unlink +scan +incrby +expire +ping +hello +select +client|setinfo'
    printf 'user default off\nuser whatsit on >%s resetchannels ~whatsit:* -@all %s\n' \
        "$password" "$commands" > "$folder/redis-users"
    printf 'redis://whatsit:%s@redis:6379/0' "$password" > "$folder/redis-url"
    printf '%s' "$password" > "$folder/redis-password"
    echo "Made new secrets of Redis in $folder"
fi
if [ ! -s "$folder/grafana-password" ]; then
    random > "$folder/grafana-password"
    echo "Made a new password of Grafana in $folder"
fi
# A key of the API, so the app makes it: see deploy/monitoring/key.sh.
[ -e "$folder/metrics-key" ] || : > "$folder/metrics-key"
