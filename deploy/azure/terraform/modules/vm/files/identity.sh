# shellcheck shell=bash
# Read by the other scripts: tokens of this machine's identity. identity.env says whose it is.
# Tokens go through pipes, never through arguments, which every user of a machine can list.

set -a
# shellcheck source=/dev/null
. ./identity.env
set +a

# One value of a JSON document on standard input: json_value NAME
json_value() {
    python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

# GET, or POST where data comes in: ask URL [CURL OPTION ...]
ask() {
    curl --silent --show-error --fail --max-time 20 --retry 5 --retry-connrefused "$@"
}

# A token for one of Azure's services: access_token RESOURCE
access_token() {
    ask --noproxy '*' --header 'Metadata: true' --get \
        --data-urlencode 'api-version=2018-02-01' \
        --data-urlencode "resource=$1" --data-urlencode "client_id=$CLIENT_ID" \
        "${METADATA_URL:-http://169.254.169.254}/metadata/identity/oauth2/token" \
        | json_value access_token
}
