#!/usr/bin/env bash
# Write the secrets of the compose file, with the password that the Key Vault has now. Where the
# vault does not answer, those of the last start are good enough: better an old password, which
# app and Redis share, than no service.
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
        echo "The Key Vault does not answer; the secrets of the last start are used." >&2
        exit 0
    fi
    echo "The Key Vault does not answer, and there are no secrets of an earlier start." >&2
    exit 1
fi

# The form of these files is known to secrets.sh alone; only its random password is exchanged.
# Other secrets in the folder stay.
umask 077
rm -rf secrets.new
mkdir secrets.new
[ ! -d secrets ] || cp -a secrets/. secrets.new
rm -f secrets.new/redis-*
sh deploy/docker/secrets.sh secrets.new >&2
sed --in-place --file=/dev/stdin secrets.new/redis-* \
    <<< "s/$(cat secrets.new/redis-password)/$password/g"
rm -rf secrets
mv secrets.new secrets
