#!/usr/bin/env bash
# Install PySpark, as requirements-spark.txt pins it by hash, into .venv/spark, for the tests of docs/spark.md: the
# other tests and `make setup` do without its 480 MB. Does only what is missing; where it cannot, it says what is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

pinned=requirements-spark.txt
there=.venv/spark
if cmp -s "$pinned" "$there/$pinned"; then
    exit 0
fi
echo "test: installing PySpark"
rm -rf "$there"
mkdir -p "$there"
# It has no wheel: pip builds one, with the setuptools that is here.
if .venv/bin/pip install --quiet --disable-pip-version-check --no-build-isolation --require-hashes --no-deps \
    --target "$there" -r "$pinned"; then
    cp "$pinned" "$there/"
else
    rm -rf "$there"
    echo "test: missing, so skipped: tests on Spark (pyspark, from PyPI)" >&2
fi
