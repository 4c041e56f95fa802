#!/usr/bin/env bash
# Write the password of Redis that the Key Vault has now. Where the vault does not answer, that of the
# last start is good enough: better an old password, which app and Redis share, than no service.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=deploy/azure/terraform/modules/vm/files/identity.sh
. ./identity.sh

read_password() {
    local token
    token=$(access_token https://vault.azure.net) || return
    printf 'Authorization: Bearer %s\n' "$token" \
        | ask --header @- "$VAULT_URL/secrets/redis-password?api-version=7.4" | json_value value
}

if ! password=$(read_password); then
    if [ -s secrets/redis-password ]; then
        echo "The Key Vault does not answer; the password of the last start is used." >&2
        exit 0
    fi
    echo "The Key Vault does not answer, and an earlier start has left no password." >&2
    exit 1
fi

# The users in the containers are others, so they may read the file; the folder keeps everybody else
# on this machine out.
umask 022
mkdir -p secrets
chmod 700 secrets
printf '%s' "$password" > secrets/redis-password.new
mv secrets/redis-password.new secrets/redis-password
