#!/usr/bin/env bash
# Roll an image out to the machine in Azure, without SSH; roll it back if it does not work.
#
#   roll_out.sh REGISTRY/NAME@sha256:DIGEST
#   roll_out.sh --back                            the image that ran before
#
#   RESOURCE_GROUP, VM_NAME  the machine; `az` must be signed in
#   WHATSIT_URL              its address, for smoke.sh beside this, whose variables hold here too
#   WHATSIT_FOLDER           where deploy.sh is on the machine; /opt/whatsit where nothing is said
#
# Exit status: 0 the image runs and answers, 1 it does not, 2 this was called wrongly.
set -euo pipefail

[[ $# -eq 1 ]] || { echo "usage: roll_out.sh IMAGE@sha256:DIGEST | --back" >&2; exit 2; }
: "${RESOURCE_GROUP:?}" "${VM_NAME:?}" "${WHATSIT_URL:?}"
here=$(dirname "$0")
folder=${WHATSIT_FOLDER:-/opt/whatsit}
digest_reference='^[a-z0-9][a-z0-9.:-]*(/[a-z0-9][a-z0-9._-]*)+@sha256:[0-9a-f]{64}$'

say() {
    echo "roll out: $*" >&2
    echo "- $*" >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
}

# Run deploy.sh on the machine: deploy ARGUMENT, a word of its shell. Sets `before`, the image that
# ran until then. `az` succeeds even where the script failed, and returns the last 4 KiB of what it
# printed, so that the script tells both in its last lines.
deploy() {
    local script message
    script="before=\$(docker ps --quiet --filter label=com.docker.compose.service=app | head -n 1 |
        xargs -r docker inspect --format '{{.Config.Image}}')
image=$1
if [ -n \"\$image\" ]; then $folder/deploy.sh \"\$image\"; else false; fi
status=\$?
echo
echo \"whatsit-before=\$before\"
echo \"whatsit-status=\$status\""
    before=
    message=$(
        az vm run-command invoke --resource-group "$RESOURCE_GROUP" --name "$VM_NAME" \
            --command-id RunShellScript --scripts "$script" --output json |
            python3 -c 'import json, sys; print(json.load(sys.stdin)["value"][0]["message"])'
    ) || return 1
    printf '%s\n' "$message" >&2
    before=$(sed -n 's/^whatsit-before=//p' <<<"$message" | tail -n 1)
    grep -qx 'whatsit-status=0' <<<"$message"
}

answers() { "$here/smoke.sh" "$WHATSIT_URL"; }

if [[ $1 == --back ]]; then
    # Expanded on the machine, which alone knows.
    if deploy "\"\$(cat $folder/previous-image)\"" && answers; then
        say "The image before runs again."
        exit 0
    fi
    say "Rolling back did not help. Look at the machine: journalctl --unit whatsit."
    exit 1
fi

[[ $1 =~ $digest_reference ]] || { echo "roll out: '$1' is not NAME@sha256:DIGEST" >&2; exit 2; }
if deploy "'$1'" && answers; then
    say "\`$1\` runs; before it ran \`${before:-nothing}\`."
    exit 0
fi
say "\`$1\` does not work."
if [[ ! $before =~ $digest_reference ]]; then
    say "Nothing is known that ran before, so nothing is rolled back."
elif [[ $before == "$1" ]]; then
    say "It ran before too, so there is nothing to roll back to."
else
    working=$before
    if deploy "'$working'" && answers; then
        say "Rolled back: \`$working\` runs again."
    else
        say "Rolling back to \`$working\` did not help. Look at the machine: journalctl --unit whatsit."
    fi
fi
exit 1
