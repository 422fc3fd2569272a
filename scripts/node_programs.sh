#!/usr/bin/env bash
# Install the programs from npm that the server tests start, as tests/servers/node pins them by hash, into .venv/node.
# Does only what is missing; where it cannot, it says what is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

pinned=tests/servers/node
there=.venv/node
if cmp -s "$pinned/package-lock.json" "$there/package-lock.json" && [[ -e $there/.complete ]]; then
    exit 0
fi
skipped="test: missing, so skipped: tests on Azure (azurite, from npm)"
if ! command -v npm >/dev/null; then
    echo "$skipped" >&2
    exit 0
fi
echo "test: installing azurite"
rm -rf "$there"
mkdir -p "$there"
cp "$pinned/package.json" "$pinned/package-lock.json" "$there/"
# No package may run a script of its own.
if npm ci --prefix "$there" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null; then
    touch "$there/.complete"
else
    rm -rf "$there"
    echo "$skipped" >&2
fi
