#!/usr/bin/env bash
# Prepare what the services of docker-compose.yaml find when they start. Can run again at any time.
set -euo pipefail

chown -R airflow:0 /opt/airflow/logs /opt/airflow/login /opt/airflow/loyalty
as_airflow() { setpriv --reuid airflow --regid 0 --clear-groups env HOME=/home/airflow "$@"; }

python - <<'PYTHON'
import json, os, pathlib
path = pathlib.Path("/opt/airflow/login/passwords.json")
path.write_text(json.dumps({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}))
path.chmod(0o600)
PYTHON
chown airflow:0 /opt/airflow/login/passwords.json

as_airflow airflow db migrate
# What somebody set in Airflow stays.
as_airflow airflow pools get "$LOYALTY_POOL" >/dev/null 2>&1 ||
    as_airflow airflow pools set "$LOYALTY_POOL" "$POOL_SLOTS" "Reading the ledger, rendering and importing: a slot for each, as memory allows"
as_airflow python -m include.orchestration.sample_ledger
