#!/usr/bin/env bash
# Submit a pipeline to Azure ML and wait until it ends: run_pipeline.sh FILE [--set NAME=VALUE ...].
#
#   RESOURCE_GROUP, ML_WORKSPACE  where; `az` must be signed in and have its extension `ml`
#   AZURE_CLIENT_ID, AZURE_TENANT_ID, AZURE_SUBSCRIPTION_ID  who, for signing in again: what GitHub
#                     vouches for ends after minutes, a pipeline takes hours
#   POLL_SECONDS      between two looks; 60 where nothing is said
#   POLL_TROUBLES     how many looks in a row may fail; 10 where nothing is said
#
# Exit status: 0 it completed, 1 it did not, 2 this was called wrongly.
set -euo pipefail

[[ $# -ge 1 && -r $1 ]] || { echo "usage: run_pipeline.sh FILE [--set NAME=VALUE ...]" >&2; exit 2; }
: "${RESOURCE_GROUP:?}" "${ML_WORKSPACE:?}"
workspace=(--resource-group "$RESOURCE_GROUP" --workspace-name "$ML_WORKSPACE")

say() {
    echo "pipeline: $*" >&2
    echo "- $*" >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
}

sign_in() {
    [[ -n ${ACTIONS_ID_TOKEN_REQUEST_URL:-} ]] || return 1
    local token
    token=$(
        printf 'Authorization: Bearer %s\n' "$ACTIONS_ID_TOKEN_REQUEST_TOKEN" |
            curl --silent --show-error --fail --max-time 30 --header @- \
                "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=api://AzureADTokenExchange" |
            python3 -c 'import json, sys; print(json.load(sys.stdin)["value"])'
    ) || return 1
    echo "::add-mask::$token"
    az login --service-principal --username "$AZURE_CLIENT_ID" --tenant "$AZURE_TENANT_ID" \
        --federated-token "$token" --output none &&
        az account set --subscription "$AZURE_SUBSCRIPTION_ID"
}

file=$1
shift
job=$(az ml job create --file "$file" "${workspace[@]}" "$@" --query name --output tsv)
say "Submitted \`$job\`."
studio=$(az ml job show --name "$job" "${workspace[@]}" --query services.Studio.endpoint --output tsv) ||
    studio=
[[ -z $studio ]] || say "[Watch it in the studio]($studio)"

troubles=0 seen=
while true; do
    if status=$(az ml job show --name "$job" "${workspace[@]}" --query status --output tsv); then
        troubles=0
        [[ $status == "$seen" ]] || echo "pipeline: $status" >&2
        seen=$status
        case $status in
        Completed)
            say "It completed."
            exit 0
            ;;
        Failed | Canceled | NotResponding)
            say "It ended as $status."
            exit 1
            ;;
        esac
    elif ((++troubles > ${POLL_TROUBLES:-10})); then
        say "Azure has not answered $troubles times in a row; the pipeline may still be running."
        exit 1
    else
        sign_in || echo "pipeline: signing in again failed" >&2
    fi
    sleep "${POLL_SECONDS:-60}"
done
