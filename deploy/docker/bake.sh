#!/bin/sh
# Put a model of the catalogue into the image: bake.sh MODEL FOLDER. Its digest is checked as it is
# stored. Where the network refuses, the image has the bundled model only, and says so.
set -eu
model=$1
folder=$2
mkdir -p "$folder"
if /opt/whatsit/bin/whatsit models pull "$model" --store /tmp/store; then
    cp -RL "/tmp/store/models/$model" "$folder/$model"
else
    echo "The model $model is not available here; the image has the bundled one." >&2
fi
rm -rf /tmp/store
