#!/bin/sh
# Make the secrets of the compose file, unless they are there: secrets.sh FOLDER. Deleting the
# folder and starting again rotates them. The files must be readable inside the containers, whose
# users are others; the folder keeps everybody else on this machine out.
set -eu
folder=$1
mkdir -p "$folder"
chmod 700 "$folder"
if [ ! -s "$folder/redis-password" ]; then
    umask 022
    password=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
    commands='+get +set +del +unlink +scan +incrby +expire +ping +hello +select +client|setinfo'
    printf 'user default off\nuser whatsit on >%s resetchannels ~whatsit:* -@all %s\n' \
        "$password" "$commands" > "$folder/redis-users"
    printf 'redis://whatsit:%s@redis:6379/0' "$password" > "$folder/redis-url"
    printf '%s' "$password" > "$folder/redis-password"
    echo "Made new secrets in $folder"
fi
