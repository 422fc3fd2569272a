"""Who has a login gets the files of the exports that Airflow lets them read, whole, in parts, or not at all."""

from __future__ import annotations

import hashlib
import html
import re
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest

from include.state.audit import Action
from tests.web.runs import CONTENT, stored

pytestmark = pytest.mark.slow  # Airflow's application takes seconds to start


@pytest.fixture
def path(installation) -> str:
    return f"/loyalty/files/{installation.run.run_key}/weekly.csv"


def test_a_reader_gets_the_file_and_the_audit_chain_knows(browser, installation, path):
    got = browser("care").get(path)
    assert got.status_code == 200
    assert got.content == CONTENT
    assert got.headers["etag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
    assert got.headers["content-length"] == str(len(CONTENT))
    assert got.headers["cache-control"] == "no-store"
    [entry] = installation.context.state.audit.newest(action=Action.DOWNLOADED)
    assert (entry.actor, entry.subject) == ("care", installation.run.run_key)
    assert entry.detail["file"] == "weekly.csv"


def test_nobody_gets_nothing_and_a_browser_is_led_to_the_login(browser, installation, path):
    client = browser()
    led = client.get(path)
    assert led.status_code == 303
    assert led.headers["location"] == "/api/v2/auth/login?next=" + path.replace("/", "%2F")
    asked = client.get(f"{path}?q=a%26b&page=2").headers["location"]
    assert parse_qs(urlsplit(asked).query)["next"] == [f"{path}?q=a%26b&page=2"]
    on = client.get(led.headers["location"])
    assert on.status_code == 307
    client.headers["accept"] = "*/*"
    assert client.get(path).status_code == 401
    assert client.head(path).status_code == 401
    assert client.get(path, headers={"authorization": "Bearer nonsense"}).status_code == 403
    client.cookies.set("_token", "nonsense")
    assert client.get(path).status_code in {401, 403}
    assert CONTENT[:40] not in client.get(path).content
    assert installation.context.state.audit.newest(action=Action.DOWNLOADED) == []


def test_a_bearer_token_serves_programs(browser, path):
    from tests.web.conftest import login_token

    header = {"authorization": f"Bearer {login_token('admin', 'ADMIN')}"}
    assert browser().get(path, headers=header).content == CONTENT


def test_users_read_only_what_airflow_lets_them_read(browser, installation, path):
    theirs = stored(installation.context, {"closing.csv": b"secret of finance\n"}, "month-end")
    closing = f"/loyalty/files/{theirs.run_key}/closing.csv"
    assert browser("finance").get(closing).content == b"secret of finance\n"
    for user, role, forbidden in (
        ("finance", "VIEWER", path),
        ("care", "VIEWER", closing),
        ("care", None, path),  # a user without any role
    ):
        answer = browser(user, role).get(forbidden)
        assert answer.status_code == 403
        assert "no right" in answer.text
    assert len(installation.context.state.audit.newest(action=Action.DOWNLOADED)) == 1


def test_nothing_but_a_runs_own_files_can_be_named(browser, installation):
    theirs = stored(installation.context, {"closing.csv": b"secret of finance\n"}, "month-end")
    client, run = browser("care"), installation.run.run_key
    (installation.home / "store" / "secret.txt").write_text("s3cret")
    for name in (
        "closing.csv",
        "..%2F..%2Fsecret.txt",
        "%2e%2e%2f%2e%2e%2fsecret.txt",
        "..%5c..%5csecret.txt",
        "weekly.csv%00",
        "weekly.csv%2F..%2Fweekly.csv",
        f"..%2F{theirs.run_key}%2Fclosing.csv",
        "%2Fetc%2Fpasswd",
        ".part-x",
    ):
        answer = client.get(f"/loyalty/files/{run}/{name}")
        assert answer.status_code == 404, name
    for key in ("x", "%", run[:12], run.upper(), "..", "%00"):
        assert client.get(f"/loyalty/files/{key}/weekly.csv").status_code == 404, key


@pytest.mark.servers
def test_a_key_that_postgresql_cannot_hold_is_no_file(request, monkeypatch, postgres_ledger):
    monkeypatch.setenv("LOYALTY_STATE_URL", postgres_ledger)
    client = request.getfixturevalue("browser")("care")
    assert client.get("/loyalty/files/%00").status_code == 404
    assert client.get("/loyalty/files/%00/weekly.csv").status_code == 404


def test_names_survive_whatever_letters_they_have(browser, installation):
    client = browser("care")
    name = "Événements d'été.csv"
    got = client.get(f"/loyalty/files/{installation.run.run_key}/{name}")
    assert got.content == b"a,b\n1,2\n"
    assert got.headers["content-disposition"] == (
        'attachment; filename="_v_nements d\'_t_.csv"; '
        "filename*=UTF-8''%C3%89v%C3%A9nements%20d%27%C3%A9t%C3%A9.csv"
    )
    assert client.get(f"/loyalty/files/{installation.run.run_key}/empty.csv").content == b""


def test_a_runs_files_are_listed_and_can_be_followed(browser, installation):
    client = browser("care")
    listed = client.get(f"/loyalty/files/{installation.run.run_key}")
    assert listed.status_code == 200
    assert "Weekly history" in listed.text
    assert "As of Sunday 1 March 2026, 01:00 (Europe/Paris)" in listed.text
    assert "4,000 rows" in listed.text
    links = re.findall(r'<a href="([^"]+)"', listed.text)
    got = [client.get(urljoin(str(listed.url), html.unescape(link))) for link in links]
    assert [each.content for each in got] == [CONTENT, b"a,b\n1,2\n", b""]
    assert browser().get(f"/loyalty/files/{installation.run.run_key}").status_code == 303
    assert browser("finance").get(f"/loyalty/files/{installation.run.run_key}").status_code == 403
    installation.context.store.delete(installation.entry("weekly.csv")["key"])
    assert "not kept any more" in client.get(f"/loyalty/files/{installation.run.run_key}").text


def test_parts_confirmations_and_headers_alone(browser, path):
    client = browser("care")
    etag = client.head(path).headers["etag"]
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(CONTENT))
    assert client.get(path, headers={"if-none-match": etag}).status_code == 304
    part = client.get(path, headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, CONTENT[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(CONTENT)}"
    rest = client.get(path, headers={"range": "bytes=100-", "if-range": etag})
    assert (rest.status_code, rest.content) == (206, CONTENT[100:])
    changed = client.get(path, headers={"range": "bytes=100-", "if-range": '"another"'})
    assert (changed.status_code, changed.content) == (200, CONTENT)
    beyond = client.get(path, headers={"range": f"bytes={len(CONTENT)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(CONTENT)}")


def test_airflow_does_not_compress_what_has_a_hash_and_a_length(browser, path):
    got = browser("care").get(path, headers={"accept-encoding": "gzip"})
    assert got.headers["content-encoding"] == "identity"
    assert int(got.headers["content-length"]) == len(CONTENT)


def test_a_file_that_is_not_what_was_rendered_never_arrives(browser, installation, path):
    client = browser("care")
    place = installation.context.store.path(installation.entry("weekly.csv")["key"])
    place.chmod(0o600)
    place.write_bytes(CONTENT.replace(b"c000007", b"c999999"))
    with pytest.raises(RuntimeError, match="already started") as broken:
        client.get(path)
    assert "not what was rendered" in str(broken.value.__cause__)
    place.write_bytes(CONTENT[:-1])
    short = client.get(path)
    assert short.status_code == 500
    assert "cannot be done now" in short.text


def test_a_file_that_is_kept_no_more_says_so(browser, installation, path):
    installation.context.store.delete(installation.entry("weekly.csv")["key"])
    assert browser("care").get(path).status_code == 410


def test_without_the_state_nothing_is_sent(browser, installation, path, monkeypatch):
    """What cannot be audited is not sent."""
    from include.errors import Transient

    client = browser("care")
    assert client.get(path).status_code == 200

    def away(*_: object) -> None:
        raise Transient("the state database is away")

    monkeypatch.setattr("include.state.audit.Audit.write", away)
    assert client.get(path).status_code == 503
