#!/usr/bin/env bash
# Run once by the postgres image on an empty volume: one database and one owner for each use.
set -euo pipefail

make() { # name, password
    psql -v ON_ERROR_STOP=1 -v name="$1" -v password="$2" --username postgres <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
SQL
}
make airflow "$AIRFLOW_DATABASE_PASSWORD"
make state "$STATE_DATABASE_PASSWORD"
make ledger "$LEDGER_DATABASE_PASSWORD"
