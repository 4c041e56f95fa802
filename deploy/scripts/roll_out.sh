#!/usr/bin/env bash
# Roll an image out to the machine in Azure, without SSH; roll it back if it does not work.
#
#   roll_out.sh REGISTRY/NAME@sha256:DIGEST
#   roll_out.sh --back                            the image before the one that runs
#
#   RESOURCE_GROUP, VM_NAME  the machine; `az` must be signed in
#   WHATSIT_URL              its address, for smoke.sh beside this, whose variables hold here too
#   WHATSIT_FOLDER           where the machine keeps deploy.sh; /opt/whatsit where nothing is said
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

# Run deploy.sh on the machine: deploy ARGUMENT [AFTERWARDS], a command for when it succeeded.
# Returns its exit status, 255 where it is unknown, and sets `before` and `earlier`, the image that
# ran until then and the one before that. `az` succeeds even where the script failed, and returns
# the last 4 KiB of what it printed, so the script prints all this in its last lines.
deploy() {
    local script message status
    script="before=\$(cat $folder/current-image 2>/dev/null)
earlier=\$(cat $folder/previous-image 2>/dev/null)
$folder/deploy.sh '$1'
status=\$?
[ \$status -ne 0 ] || ${2:-true}
echo
echo \"whatsit-before=\$before\"
echo \"whatsit-earlier=\$earlier\"
echo \"whatsit-status=\$status\""
    before='' earlier=''
    message=$(
        az vm run-command invoke --resource-group "$RESOURCE_GROUP" --name "$VM_NAME" \
            --command-id RunShellScript --scripts "$script" --output json |
            python3 -c 'import json, sys; print(json.load(sys.stdin)["value"][0]["message"])'
    ) || return 255
    printf '%s\n' "$message" >&2
    before=$(sed -n 's/^whatsit-before=//p' <<<"$message" | tail -n 1)
    earlier=$(sed -n 's/^whatsit-earlier=//p' <<<"$message" | tail -n 1)
    status=$(sed -n 's/^whatsit-status=\([0-9]\{1,3\}\)$/\1/p' <<<"$message" | tail -n 1)
    return "${status:-255}"
}

answers() { "$here/smoke.sh" "$WHATSIT_URL"; }

if [[ $1 == --back ]]; then
    if deploy previous && answers; then
        say "The image before runs again."
        exit 0
    fi
    say "Rolling back did not help. Look at the machine: journalctl --unit whatsit."
    exit 1
fi

[[ $1 =~ $digest_reference ]] || { echo "roll out: '$1' is not NAME@sha256:DIGEST" >&2; exit 2; }
status=0
deploy "$1" || status=$?
working=$before
if [[ $status -eq 0 ]] && answers; then
    say "\`$1\` runs; before it ran \`${working:-nothing}\`."
    exit 0
fi
case $status in
0)
    # It became ready, but does not know the picture: the machine does not roll back by itself.
    say "\`$1\` does not work."
    # A later roll-back by hand must not choose this one.
    forget="rm -f $folder/previous-image"
    [[ ! $earlier =~ $digest_reference ]] || forget="echo '$earlier' > $folder/previous-image"
    if [[ ! $working =~ $digest_reference || $working == "$1" ]]; then
        say "Nothing else ran before, so nothing is rolled back."
    elif deploy "$working" "$forget" && answers; then
        say "Rolled back: \`$working\` runs again."
    else
        say "Rolling back to \`$working\` did not help. Look at the machine: journalctl --unit whatsit."
    fi
    ;;
1)
    if answers; then
        say "\`$1\` could not be started; \`$working\` runs."
    else
        say "\`$1\` could not be started, and \`$working\` does not work either."
    fi
    ;;
75) say "Another roll-out is under way; nothing was changed." ;;
255) say "The machine did not say how it went. Look at it: journalctl --unit whatsit." ;;
*) say "deploy.sh ended with $status; nothing may be running. Look at the machine." ;;
esac
exit 1
