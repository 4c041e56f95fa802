#!/usr/bin/env bash
# Look through what is shipped for containers, GitHub and Azure: check.sh FOLDER-OF-PROGRAMS.
# `make check-deploy` installs the programs. None of them needs a network. All run, even if one
# complains; the exit status says whether any did.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
[[ $# -eq 1 ]] || { echo "usage: check.sh FOLDER-OF-PROGRAMS" >&2; exit 2; }
programs=$(realpath "$1")
PATH=$programs:$PATH
export CHECKOV_TELEMETRY=False LOG_LEVEL=ERROR

complaints=0
check() {
    local name=$1 printed
    shift
    if printed=$("$@" 2>&1); then
        echo "  $name: ok"
    else
        echo "  $name:" && printf '%s\n' "$printed"
        complaints=$((complaints + 1))
    fi
}

mapfile -t scripts < <(
    find . -path './.venv*' -prune -o -path ./.git -prune -o -name '*.sh' -print | sort
)
mapfile -t images < <(find deploy -name Dockerfile | sort)
# Compose's own tags, which say how files are merged, are unknown to readers of YAML.
# shellcheck disable=SC2329  # check() calls it
compose_file() {
    sed -E 's/ !(reset|override)( |$)/ /' "$1" |
        check-jsonschema --builtin-schema vendor.compose-spec --default-filetype yaml -
}

check "hadolint, ${#images[@]} images" hadolint --config deploy/.hadolint.yaml "${images[@]}"
check "shellcheck, ${#scripts[@]} scripts" shellcheck --external-sources .ci/run "${scripts[@]}"
for file in compose*.yaml deploy/azure/terraform/modules/vm/files/compose*.yaml; do check "$file" compose_file "$file"; done
check "workflows" check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
check "dependabot" check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
check "actionlint" actionlint
check "zizmor" zizmor --offline --no-progress --quiet .github
check "checkov, image and workflows" checkov --config-file deploy/.checkov.yaml --directory .
terraform=deploy/azure/terraform
if [[ -f $terraform/.checkov.yaml ]]; then
    check "checkov, Terraform" \
        checkov --config-file $terraform/.checkov.yaml --skip-download --directory $terraform
fi
exit $((complaints > 0))
