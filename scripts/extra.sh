#!/usr/bin/env bash
# Install what requirements-<name>.txt pins by hash into .venv/<name>, for the tests of an optional extra: `make setup`
# and the other tests do without it. Does only what is missing; where it cannot, it says what is skipped.
# Usage: scripts/extra.sh spark|dialects
set -euo pipefail
cd "$(dirname "$0")/.."

pinned=requirements-$1.txt
there=.venv/$1
if cmp -s "$pinned" "$there/$pinned"; then
    exit 0
fi
echo "test: installing $pinned"
rm -rf "$there"
mkdir -p "$there"
# PySpark has no wheel: pip builds one, with the setuptools that is here.
if .venv/bin/pip install --quiet --disable-pip-version-check --no-build-isolation --require-hashes --no-deps \
    --target "$there" -r "$pinned"; then
    cp "$pinned" "$there/"
else
    rm -rf "$there"
    echo "test: missing, so skipped: tests of the extra $1" >&2
fi
