#!/usr/bin/env bash
# One object of a synthetic stack, segmented from one click on the command line; does all its set-up.
# The files land in the folder demo, or in the one named after the command. Variables: see setup.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/setup.sh
out=${1:-demo}

environment "${NNI_VENV:-.venv}" ""
mkdir -p "$out"
rm -f "$out/mask.tif" # segment does not overwrite

say "Making a stack and a model folder in $out"
point=$("$bin/python" scripts/make_demo_stack.py "$out/stack.tif") # prints z,y,x of a voxel in one object
"$bin/python" scripts/make_demo_model.py "$out/model"

say "napari-nninteractive segment $out/stack.tif --model $out/model --point $point -o $out/mask.tif"
"$bin/napari-nninteractive" segment "$out/stack.tif" --model "$out/model" --point "$point" -o "$out/mask.tif"
