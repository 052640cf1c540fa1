# Sourced by demo.sh and test.sh: find a Python, make a virtual environment, install the project.
#
#   PYTHON           the interpreter to use         (default: the first of python3, python3.13 … 3.11 that fits)
#   NNI_VENV         where the environment goes     (default: the script's own)
#   NNI_CONSTRAINTS  further version limits, separated by spaces, e.g. "torch==2.13.0"
#
# shellcheck shell=bash

say() { printf '\n==> %s\n' "$*"; }

fail() {
    printf '\nerror: %s\n' "$*" >&2
    exit 1
}

# Install the Debian packages named that are not there yet, or say which are wanted.
system_packages() {
    local missing=() as_root=(env DEBIAN_FRONTEND=noninteractive) name
    command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || return 0
    for name in "$@"; do
        dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q '^install ok installed' || missing+=("$name")
    done
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        if ! sudo -n true 2>/dev/null; then
            say "System packages missing; an administrator installs them with: apt-get install ${missing[*]}"
            return 0
        fi
        as_root=(sudo -n "${as_root[@]}")
    fi
    say "Installing system packages: ${missing[*]}"
    if ! { "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }; then
        say "That failed; going on without. By hand: apt-get install ${missing[*]}"
    fi
}

find_python() {
    local name
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    fail "no Python 3.11, 3.12 or 3.13 found; set PYTHON to one"
}

# environment FOLDER EXTRAS: make it, or bring it up to date; afterwards $bin is its folder of programs.
environment() {
    local venv=$1 extras=$2 python stamp quiet=--quiet
    bin=$venv/bin
    python=$(find_python) || exit 1
    if [[ ! -x $bin/pip ]]; then
        "$python" -c 'import ensurepip' 2>/dev/null || system_packages "$(basename "$(readlink -f "$python")")-venv"
        "$python" -m venv --clear "$venv" || fail "$python cannot make a virtual environment; see above"
    elif [[ "$("$bin/python" --version)" != "$("$python" --version)" ]]; then
        fail "$venv was made with another Python: remove it, or name another folder in NNI_VENV"
    fi

    # Whatever decides what pip would install: unchanged since the last time means nothing to do.
    stamp=$(cat pyproject.toml <(grep '^__version__' src/napari_nninteractive/__init__.py) \
        <(printf '%s\n' "$PWD" "$extras" "${NNI_CONSTRAINTS:-}") | cksum)
    if [[ "$(cat "$venv/installed" 2>/dev/null)" == "$stamp" ]]; then
        say "Environment $venv is up to date"
        return
    fi
    say "Installing the project into $venv (minutes, the first time: torch is large)"
    rm -f "$venv/installed"
    tr ' ' '\n' <<<"${NNI_CONSTRAINTS:-}" >"$venv/constraints.txt"
    [[ ! -t 1 ]] || quiet=
    "$bin/python" -m pip install --disable-pip-version-check $quiet -c "$venv/constraints.txt" -e ".$extras"
    echo "$stamp" >"$venv/installed"
}
