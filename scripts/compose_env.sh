#!/usr/bin/env bash
# Write .env for docker-compose.yaml from .env.example, every value fresh and random. Keeps a .env that exists.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 077
[[ ! -e .env ]] || { echo "compose: .env is there already; it stays as it is" >&2; exit 0; }

hexadecimal() { od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'; }
value() {
    case $1 in
    AIRFLOW_JWT_SECRET | AIRFLOW_SECRET_KEY) hexadecimal 64 ;;
    AIRFLOW_FERNET_KEY) head -c 32 /dev/urandom | base64 -w 0 | tr '+/' '-_' ;;
    *) hexadecimal 16 ;;
    esac
}
while IFS= read -r line; do
    if [[ $line =~ ^([A-Z0-9_]+)=$ ]]; then
        line="$line$(value "${BASH_REMATCH[1]}")"
    fi
    printf '%s\n' "$line"
done <.env.example >.env
