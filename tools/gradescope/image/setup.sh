#!/usr/bin/env bash
# Makes Gradescope's image ready: runs once, as root, on Ubuntu 22.04, and does every download that a grade needs.
# The image's own python3 stays as it is, because Gradescope's harness runs on it; ours lies outside root's home, so that
# the user of its own that graded code runs as can execute it.
set -euo pipefail
cd "$(dirname "$0")"
source=$PWD
venv=${GRADER_VENV:-/opt/grader}
python=/usr/bin/python3.11
umask 022
export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore

# Ubuntu 22.04 has a release candidate of Python 3.11 only; the deadsnakes archive has the finished one.
finished() { "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info.releaselevel != "final")' 2>/dev/null; }
if ! finished; then
    apt-get update
    apt-get install -y --no-install-recommends software-properties-common
    add-apt-repository -y ppa:deadsnakes/ppa
    apt-get update
    apt-get install -y --no-install-recommends python3.11 python3.11-venv
    finished || { echo "setup: $python is not a finished release with venv" >&2; exit 1; }
fi

"$python" -m venv --clear "$venv"
# torch first, from PyTorch's own index of CPU builds: the plain package brings gigabytes of CUDA.
"$venv/bin/python" -m pip install --no-deps --index-url "${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}" "$(grep '^torch==' constraints.txt)"
"$venv/bin/python" -m pip install -c constraints.txt -r requirements.txt
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\n' "$source" > "$site/grader.pth"
"$venv/bin/python" -m compileall -q "$source/autograder"

chmod -R o= "$source"
# As a user without any rights: a private Python would cost every grade its isolation, so the image is not made then.
setpriv --reuid=65534 --regid=65534 --clear-groups "$venv/bin/python" -I -c 'import torch; torch.ones(2).sum()' ||
    { echo "setup: a user without rights cannot run $venv/bin/python" >&2; exit 1; }
"$venv/bin/python" -I -c 'import autograder.gradescope.run'
echo "setup: done, $("$venv/bin/python" --version)"
