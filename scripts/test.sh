#!/usr/bin/env bash
# Every check of the project, from nothing: system packages, environment, lint, types, import contracts, documentation, tests.
# Words after the command go to pytest. Variables: see setup.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null
source scripts/setup.sh

# What Qt and OpenGL need to open a window where there is no screen.
system_packages xvfb xauth libegl1 libgl1 libgl1-mesa-dri libdbus-1-3 libfontconfig1 libglib2.0-0 \
    libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 \
    libxcb-render-util0 libxcb-shape0 libxcb-xinerama0
environment "${NNI_VENV:-.venv-test}" "[all,testing,dev]"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=()
stage() {
    local name=$1
    shift
    say "$name"
    "$@" || failed+=("$name")
}
stage "ruff check" "$bin/ruff" check .
stage "ruff format" "$bin/ruff" format --check .
stage "mypy --strict" "$bin/mypy"
stage "import contracts" "$bin/lint-imports"
stage "structure" "$bin/python" scripts/structure.py
stage "napari manifest" "$bin/npe2" validate --imports napari.yaml
stage "documentation" "$bin/sphinx-build" -W --keep-going -q -b html docs "$scratch/site"

# Waiting threads sleep instead of spinning: on a busy machine spinning costs most of the time.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
screen=(env NAPARI_CONFIG="$scratch/settings.yaml" QT_API="${QT_API:-pyqt6}")
if command -v xvfb-run >/dev/null && command -v xauth >/dev/null; then
    screen+=(xvfb-run -a -s "-screen 0 1600x1000x24")
elif [[ -z ${DISPLAY:-} ]]; then
    screen+=(QT_QPA_PLATFORM=offscreen)
fi
((${#failed[@]} == 0)) || say "FAILED so far: $(printf '%s; ' "${failed[@]}")"
say "pytest"
"${screen[@]}" "$bin/python" -m pytest "$@" || failed+=(pytest)
((${#failed[@]} == 0))
