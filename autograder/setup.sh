#!/usr/bin/env bash
# Make the environment: setup.sh [.venv] [student|staff]. Safe to call again; a killed set-up is finished by the next call.
# Needs Python >= 3.11 with venv, and PyPI; torch comes from PyTorch's CPU index where that can be reached, because the
# default build brings gigabytes of CUDA. PYTHON=… chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv} extras=${2:-student}
torch_index=https://download.pytorch.org/whl/cpu
[ -d tools ] && [ $# -lt 2 ] && extras=staff

serves() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
# A graded submission may run under a user of its own, who cannot enter a home folder: prefer an interpreter for everyone.
for candidate in ${PYTHON:-/usr/bin/python3 /usr/local/bin/python3 /opt/homebrew/bin/python3 python3 python3.13 python3.12 python3.11}; do
    if command -v "$candidate" >/dev/null && serves "$candidate"; then python=$candidate; break; fi
done
if [ -z "${python:-}" ]; then
    echo "setup: no Python >= 3.11 with venv was found (looked at: ${PYTHON:-/usr/bin/python3, python3 and others})." >&2
    echo "       Install one (Debian: apt-get install python3 python3-venv) or name it: make setup PYTHON=/path/to/python3" >&2
    exit 2
fi

echo "setup: $("$python" --version) at $python, into $venv ($extras)"
[ -x "$venv/bin/pip" ] || "$python" -m venv --clear "$venv"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check -qq "$@"; }
wanted=$(sed -n 's/^torch==\([^+]*\).*/torch==\1/p' constraints.txt)
if ! "$venv/bin/python" -c 'import torch' 2>/dev/null; then
    echo "setup: $wanted, the CPU build (200 MB; a few minutes on a slow line)"
    # pip tries an index that cannot be reached for minutes; a short look first saves them.
    if "$venv/bin/python" -c "import urllib.request as u; u.urlopen('$torch_index/torch/', timeout=5)" 2>/dev/null; then
        pip install --no-deps --index-url "$torch_index" "$wanted"
    elif [ "$(uname -s)" = Darwin ]; then
        pip install --no-deps "$wanted"
    else
        pip install --no-deps "$wanted" || { echo "setup: torch could not be installed; is there a network?" >&2; exit 2; }
    fi
fi
echo "setup: everything else, pinned in constraints.txt"
"$venv/bin/python" - "$extras" > "$venv/requirements.txt" <<'PYTHON'
import sys, tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
staff = project["optional-dependencies"]["staff"] if sys.argv[1] == "staff" else []
print("\n".join(project["dependencies"] + staff))
PYTHON
pip install -c constraints.txt -r "$venv/requirements.txt" || { echo "setup: packages could not be installed; is there a network?" >&2; exit 2; }
# An editable install in one line a folder: what lies here is what is imported.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\n' "$PWD" "$PWD/assignments" "$PWD/datasets" > "$site/course.pth"
echo "setup: done"
