#!/usr/bin/env bash
# One object of a synthetic stack, segmented from one click by the built-in model; does all its set-up.
# The files land in the folder demo, or in the one named after the command. Variables: see setup.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/setup.sh
out=${1:-demo}

environment "${NNI_VENV:-.venv}" ""
say "napari-nninteractive demo -o $out"
"$bin/napari-nninteractive" demo -o "$out"
