"""Rule: one place says how Airflow runs here; secrets are made once, for their owner only; all is on loopback."""

from __future__ import annotations

import base64
import stat

from include.orchestration.environment import password, variables

SECRETS = ("AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__CORE__FERNET_KEY")


def test_secrets_are_made_once_and_differ_between_homes(tmp_path):
    first = variables(tmp_path / "a", 8080, {})
    again = variables(tmp_path / "a", 8081, {})
    other = variables(tmp_path / "b", 8080, {})
    for name in SECRETS:
        assert first[name] == again[name] != other[name]
    assert password(tmp_path / "a") == password(tmp_path / "a") != password(tmp_path / "b")


def test_secrets_are_long_enough_and_for_their_owner_only(tmp_path):
    found = variables(tmp_path, 8080, {})
    assert len(found["AIRFLOW__API_AUTH__JWT_SECRET"].encode()) >= 64
    assert len(base64.urlsafe_b64decode(found["AIRFLOW__CORE__FERNET_KEY"])) == 32
    for file in ("keys.json", "passwords.json"):
        assert stat.S_IMODE((tmp_path / file).stat().st_mode) == 0o600


def test_nothing_listens_beyond_loopback_or_calls_home(tmp_path):
    found = variables(tmp_path, 8123, {})
    assert found["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert found["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:8123"
    assert found["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8123/execution/"
    assert found["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"


def test_settings_of_ours_and_connections_pass_through(tmp_path):
    found = variables(
        tmp_path, 8080, {"LOYALTY_STORE": "s3://x", "AIRFLOW_CONN_LOYALTY_LEDGER": "postgres://y"}
    )
    assert found["LOYALTY_STORE"] == "s3://x"
    assert found["AIRFLOW_CONN_LOYALTY_LEDGER"] == "postgres://y"


def test_links_lead_to_this_airflow_unless_it_has_another_name(tmp_path):
    assert variables(tmp_path, 8123, {})["LOYALTY_PUBLIC_URL"] == "http://127.0.0.1:8123"
    named = {"LOYALTY_PUBLIC_URL": "https://loyalty.shop.example"}
    assert variables(tmp_path, 8123, named)["LOYALTY_PUBLIC_URL"] == "https://loyalty.shop.example"
