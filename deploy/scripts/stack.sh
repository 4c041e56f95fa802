#!/usr/bin/env bash
# Terraform as the workflows use it: stack.sh plan|apply|outputs FOLDER, or stack.sh test FOLDER.
#
# test     checks the form of all that is below the folder, validates it and runs its own tests
# plan     shows what would change and changes nothing, not even the lock of the state; it compares
#          with the state alone, because a reader can't ask for secrets
# apply    makes the change
# outputs  writes the outputs that are not secret as NAME=VALUE lines to GITHUB_OUTPUT, or shows them
#
#   TF_STATE_RESOURCE_GROUP, TF_STATE_STORAGE_ACCOUNT, TF_STATE_CONTAINER  where the state is kept;
#             without an account Terraform keeps it where the configuration says
#   TFVARS        values of variables, in the form of a .tfvars file
set -euo pipefail

[[ $# -eq 2 && $1 =~ ^(test|plan|apply|outputs)$ && -d $2 ]] ||
    { echo "usage: stack.sh test|plan|apply|outputs FOLDER" >&2; exit 2; }
verb=$1 folder=$2
export TF_IN_AUTOMATION=1 TF_INPUT=0

if [[ $verb == test ]]; then
    terraform fmt -check -recursive "$folder"
    find "$folder" -name .terraform -prune -o -name '*.tf' -printf '%h\n' | sort -u |
        while read -r part; do
            echo "== $part"
            terraform -chdir="$part" init -backend=false -input=false -no-color </dev/null
            terraform -chdir="$part" validate -no-color </dev/null
            if compgen -G "$part/*.tftest.hcl" >/dev/null ||
                compgen -G "$part/tests/*.tftest.hcl" >/dev/null; then
                terraform -chdir="$part" test -no-color </dev/null
            fi
        done
    exit
fi

backend=()
if [[ -n ${TF_STATE_STORAGE_ACCOUNT:-} ]]; then
    backend=(
        "-backend-config=resource_group_name=${TF_STATE_RESOURCE_GROUP:?}"
        "-backend-config=storage_account_name=$TF_STATE_STORAGE_ACCOUNT"
        "-backend-config=container_name=${TF_STATE_CONTAINER:?}"
        -backend-config=use_oidc=true
    )
fi
terraform -chdir="$folder" init -input=false -no-color "${backend[@]}" >&2

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
printf '%s\n' "${TFVARS:-}" >"$scratch/values.tfvars"
options=(-input=false -no-color "-var-file=$scratch/values.tfvars" "-out=$scratch/plan")

case $verb in
plan)
    terraform -chdir="$folder" plan -lock=false -refresh=false "${options[@]}" >&2
    {
        echo "### Plan of $(basename "$folder")"
        echo '```'
        # A summary ends at 1 MiB.
        terraform -chdir="$folder" show -no-color "$scratch/plan" | head -c 900000
        echo '```'
    } >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
    ;;
apply)
    terraform -chdir="$folder" plan "${options[@]}" >&2
    terraform -chdir="$folder" apply -input=false -no-color "$scratch/plan" >&2
    ;;
outputs)
    terraform -chdir="$folder" output -json >"$scratch/outputs.json"
    python3 - "$scratch/outputs.json" >>"${GITHUB_OUTPUT:-/dev/stdout}" <<'PYTHON'
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    outputs = json.load(file)
for name, output in outputs.items():
    value = output["value"]
    # A value of several lines could set outputs of its own.
    if not output["sensitive"] and isinstance(value, str) and value and "\n" not in value:
        print(f"{name}={value}")
PYTHON
    ;;
esac
