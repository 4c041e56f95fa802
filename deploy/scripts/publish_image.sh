#!/usr/bin/env bash
# Give pushed images a name and a tag: publish_image.sh NAME TAG SOURCE@sha256:DIGEST ...
#
# Several sources (one for each architecture) become one image; a single one is copied as it is,
# from another registry too, and must keep its digest. `latest` follows, except for pre-releases.
# Writes `digest` and `image`, NAME@DIGEST, to GITHUB_OUTPUT. Docker must be signed in.
set -euo pipefail

[[ $# -ge 3 ]] || { echo "usage: publish_image.sh NAME TAG SOURCE@DIGEST ..." >&2; exit 2; }
name=$1 version=$2
shift 2
for source in "$@"; do
    [[ $source =~ @sha256:[0-9a-f]{64}$ ]] || { echo "publish: '$source' lacks a digest" >&2; exit 2; }
done

tags=(--tag "$name:$version")
[[ $version == *-* ]] || tags+=(--tag "$name:latest")
docker buildx imagetools create "${tags[@]}" "$@" >&2
digest=$(docker buildx imagetools inspect "$name:$version" --format '{{json .Manifest}}' |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["digest"])')
if [[ $# -eq 1 && ${1##*@} != "$digest" ]]; then
    echo "publish: $1 became $digest at $name" >&2
    exit 1
fi
printf 'digest=%s\nimage=%s@%s\n' "$digest" "$name" "$digest" >>"${GITHUB_OUTPUT:-/dev/stdout}"
echo "- \`$name:$version\` is \`$name@$digest\`" >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
