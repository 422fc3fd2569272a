#!/usr/bin/env bash
# Make .venv with the dependencies that requirements.txt pins by hash. Does only what is missing:
# a stamp inside .venv names the files that it was made from.
# Usage: scripts/setup.sh [python]
set -euo pipefail
cd "$(dirname "$0")/.."

supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
python=""
for candidate in "${1:-python3}" python3.13 python3.12 python3.11; do
    if "$candidate" -c "$supported" 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [[ -z $python ]]; then
    echo "setup: needs Python 3.11, 3.12 or 3.13; name one: make setup PYTHON=/path/to/python3.12" >&2
    exit 1
fi

# Compiled code lies beside its source, and is made again for what is newer.
warm() {
    local kernels
    mapfile -t kernels < <(grep -rlE --include='*.py' '^@compiled' include)
    if [[ ! -e .venv/.compiled || -n $(find "${kernels[@]}" -newer .venv/.compiled) ]]; then
        echo "setup: compiling the booking kernel"
        touch .venv/.compiling
        .venv/bin/python -m include.orchestration.warm
        mv .venv/.compiling .venv/.compiled
    fi
}

stamp=.venv/.made-from
made_from=$(cat requirements.txt pyproject.toml scripts/setup.sh | sha256sum)
if [[ -x .venv/bin/python && $(cat "$stamp" 2>/dev/null) == "$made_from" ]]; then
    warm
    exit 0
fi

if [[ ! -x .venv/bin/pip ]] || ! .venv/bin/python -c "$supported"; then
    echo "setup: making .venv with $("$python" --version)"
    if ! "$python" -m venv --clear .venv; then
        echo "setup: this Python cannot make environments; on Debian: apt-get install python3-venv" >&2
        exit 1
    fi
fi

# uv installs many times faster than pip. It does not read pip's configuration, so what the user told pip
# about package indexes is handed on, unless the user told uv something.
pip_setting() { .venv/bin/pip config list 2>/dev/null | sed -n "s/^[^=]*\.$1='\(.*\)'\$/\1/p" | sed 's/\\n/ /g' | tail -1; }
tell_uv() { # variable, value
    if [[ -z ${!1:-} && -n $2 ]]; then export "$1=$2"; fi
}
tell_uv UV_DEFAULT_INDEX "$(pip_setting index-url)"
tell_uv UV_INDEX "$(pip_setting extra-index-url | xargs)"
tell_uv UV_FIND_LINKS "$(pip_setting find-links | xargs | tr ' ' ',')"
tell_uv UV_INSECURE_HOST "$(pip_setting trusted-host | xargs)"
tell_uv SSL_CERT_FILE "$(pip_setting cert)"
tell_uv UV_HTTP_TIMEOUT "$(pip_setting default-timeout)"
export UV_INDEX_STRATEGY=${UV_INDEX_STRATEGY:-unsafe-best-match} # as pip does; the hashes decide
export UV_LINK_MODE=${UV_LINK_MODE:-copy}
export UV_NO_PROGRESS=${UV_NO_PROGRESS:-1}

echo "setup: installing what requirements.txt pins"
awk '/^uv==/ {inside = 1; print; next} inside && /^ / {print; next} {inside = 0}' requirements.txt >.venv/uv.txt
.venv/bin/pip install --quiet --require-hashes -r .venv/uv.txt
if ! .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements.txt; then
    echo "setup: uv could not; pip tries (it takes some minutes)" >&2
    .venv/bin/pip install --quiet --require-hashes -r requirements.txt
fi
.venv/bin/pip install --quiet --no-deps --no-build-isolation --no-index -e .

warm
echo "$made_from" >"$stamp"
