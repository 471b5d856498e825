#!/usr/bin/env bash
# Make the environment: setup.sh [.venv] [student|staff]. Safe to call again; a killed set-up is finished by the next call.
# PYTHON=… chooses the interpreter. TORCH_INDEX=… chooses another build of torch, such as one for CUDA; by default it is
# the CPU build, because the plain package brings gigabytes of CUDA to Linux.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv}
extras=${2:-$([ -d tools ] && echo staff || echo student)}
torch_index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}
started=$SECONDS
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_RETRIES="${PIP_RETRIES:-1}"
say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 2; }

# Prints "everyone" or "owner", whoever can run this interpreter; fails where it does not serve.
# Below 3.15, because that is how far the pinned torch goes.
who_runs() {
    "$1" - 2>/dev/null <<'PYTHON'
import ensurepip, os, pathlib, sys, venv
sys.version_info[:2] in [(3, n) for n in range(11, 15)] or sys.exit(1)
needed = [pathlib.Path(sys.executable).resolve(), pathlib.Path(os.__file__).resolve()]
folders = {folder for path in needed for folder in path.parents}
print("everyone" if all(folder.stat().st_mode & 1 for folder in folders) else "owner")
PYTHON
}

# A graded submission may run under a user of its own, who cannot enter a home folder: prefer an interpreter for everyone.
choose() {
    local candidate who
    for candidate in ${PYTHON:-/usr/bin/python3 /usr/local/bin/python3 /opt/homebrew/bin/python3 python3 python3.13 python3.12 python3.11}; do
        who=$(who_runs "$candidate") || continue
        if [ "$who" = everyone ]; then python=$candidate why="every user can run it"; return; fi
        : "${python:=$candidate}"
    done
    why="it lies in a private folder, so submissions cannot be graded under a user of their own here"
    [ -n "${python:-}" ]
}

if "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    say "going on with $venv ($("$venv/bin/python" --version))"
else
    choose || fail "no Python 3.11 to 3.14 with venv was found (looked at: ${PYTHON:-/usr/bin/python3, python3 and others}).
       Install one (Debian: apt-get install python3 python3-venv) or name it: make setup PYTHON=/path/to/python3"
    say "$("$python" --version) at $(command -v "$python"): $why"
    "$python" -m venv --clear "$venv"
fi
rm -f "$venv/.done"
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
pip() { "$venv/bin/python" -m pip -qq "$@" || fail "that did not work (pip's words are above). Is there a network? Call it again, and it goes on from here."; }
# pip writes RECORD last: a package without it was cut off, and pip would take it for whole.
for package in "$site"/*.dist-info; do [ -f "$package/RECORD" ] || rm -rf "$package"; done

torch=$(grep '^torch==' constraints.txt)
if ! ls -d "$site/torch-${torch#torch==}"[+-.]*dist-info >/dev/null 2>&1; then
    # pip tries an index that cannot be reached for minutes; a short look first saves them.
    if "$venv/bin/python" -c "import urllib.request as u; u.urlopen('$torch_index/torch/', timeout=5)" 2>/dev/null; then
        say "$torch from $torch_index (about 200 MB)"
        pip install --no-deps --index-url "$torch_index" "$torch"
    else
        say "$torch from pip's own indexes, because $torch_index cannot be reached"
        pip install --no-deps "$torch"
    fi
fi
say "everything else for $extras, as pinned in constraints.txt"
"$venv/bin/python" - "$extras" > "$venv/requirements.txt" <<'PYTHON'
import sys, tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
print("\n".join(project["dependencies"] + project.get("optional-dependencies", {}).get(sys.argv[1], [])))
PYTHON
pip install -c constraints.txt -r "$venv/requirements.txt"
# The root itself is no import folder: `datasets` and `reference` must not become modules. So pip makes the packages
# importable by name, and the path file those that come later in the term.
pip install --no-deps --no-build-isolation -e .
printf '%s\n' "$PWD/assignments" "$PWD/datasets" > "$site/course.pth"
touch "$venv/.done"
say "done in $((SECONDS - started)) s"
