"""The command as its user meets it: results on stdout, words on stderr, exit 0, 1 or 2."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from plaza.settings import SettingsError, load

TOKEN_PARTS = 3


def plaza(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in a folder of its own."""
    return subprocess.run(
        [sys.executable, "-m", "plaza", *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Served:
    """`plaza serve` as a child, with what it said."""

    def __init__(self, folder: Path, *words: str, **environment: str) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "plaza", "serve", "--port", "0", *words],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)} | environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if "  API " in line:
                self.url = line.split()[1].removesuffix("/docs")
            if "Stop: Ctrl-C" in line:
                break

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ends it; the exit code."""
        self.process.send_signal(how)
        out, err = self.process.communicate(timeout=30)
        assert out == "", "results only go to stdout, and serving has none"
        self.said += err.splitlines(keepends=True)
        return self.process.returncode


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = Served(tmp_path_factory.mktemp("served"), PLAZA_RATE_LIMITS="off")
    yield running
    if running.process.poll() is None:
        running.stop()


def test_serving_says_where_everything_is(served: Served) -> None:
    text = "".join(served.said)
    for word in ("Plaza 0.1.0", "PostgreSQL", "schema", "API", "Sockets", "Outbox", "plaza token"):
        assert word in text
    assert httpx2.get(f"{served.url}/readyz").status_code == 200
    (outbox,) = [line.split()[1] for line in served.said if "Outbox" in line]
    assert httpx2.get(outbox, headers={"x-forwarded-for": "203.0.113.7"}).status_code == 200
    assert httpx2.get(outbox + "x", headers={"x-forwarded-for": "203.0.113.7"}).status_code == 404
    assert "postgresql://" not in text


def test_a_token_is_printed_alone_and_works(served: Served) -> None:
    made = plaza("token", "alice@demo.test", "--org", "demo", "--name", "Alice Arden", folder=served.folder)
    assert made.returncode == 0
    assert made.stdout.count(".") == TOKEN_PARTS - 1
    assert made.stdout.count("\n") == 1
    assert "Made the organisation demo." in made.stderr
    headers = {"orgid": "demo", "authorization": f"Bearer {made.stdout.strip()}"}
    me = httpx2.get(f"{served.url}/client/community/people/me", headers=headers)
    assert (me.status_code, me.json()["firstName"]) == (200, "Alice")
    again = plaza("token", "alice@demo.test", "--org", "demo", folder=served.folder)
    assert again.stderr == ""


def test_organisations_are_made_shown_changed_and_listed(served: Served) -> None:
    assert plaza("org", "create", "acme", "--title", "Acme", folder=served.folder).stdout == "acme\n"
    twice = plaza("org", "create", "acme", folder=served.folder)
    assert (twice.returncode, twice.stdout) == (1, "")
    assert "exists" in twice.stderr
    changed = plaza("org", "set", "acme", "dmPolicy=connections", folder=served.folder)
    assert json.loads(changed.stdout)["settings"]["dmPolicy"] == "connections"
    assert json.loads(plaza("org", "show", "acme", folder=served.folder).stdout)["name"] == "Acme"
    listed = json.loads(plaza("org", "list", "--json", folder=served.folder).stdout)
    assert "acme" in [row["slug"] for row in listed]
    for bad in (["org", "set", "acme", "dmPolicy=nobody"], ["org", "set", "acme", "x=y"], ["org", "show", "nobody"]):
        assert plaza(*bad, folder=served.folder).returncode == 1
    assert plaza("org", "set", "acme", "dmPolicy", folder=served.folder).returncode == 2
    assert plaza("org", "create", "Not A Name", folder=served.folder).returncode == 1


def test_a_second_server_on_the_same_folder_is_told_who_has_it(served: Served) -> None:
    second = plaza("serve", "--port", "0", folder=served.folder)
    assert second.returncode == 1
    assert str(served.process.pid) in second.stderr
    assert "Traceback" not in second.stderr


def test_a_port_that_is_taken_is_said_plainly(served: Served, tmp_path: Path) -> None:
    port = served.url.rsplit(":", 1)[1]
    second = plaza("serve", "--port", port, folder=tmp_path)
    assert second.returncode == 1
    assert f"Port {port}" in second.stderr
    assert not (tmp_path / "plaza-data").exists()


def test_a_backup_made_while_serving_comes_back_whole(served: Served, tmp_path: Path) -> None:
    plaza("token", "bob@backup.test", "--org", "kept", folder=served.folder)
    file = tmp_path / "plaza.dump"
    assert plaza("db", "backup", str(file), folder=served.folder).returncode == 0
    assert "migrations applied" in plaza("db", "status", folder=served.folder).stdout
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert plaza("db", "restore", str(file), folder=elsewhere).returncode == 0
    listed = json.loads(plaza("org", "list", "--json", folder=elsewhere).stdout)
    assert {"slug": "kept", "people": 1} in [{key: row[key] for key in ("slug", "people")} for row in listed]
    file.write_bytes(file.read_bytes()[:500])
    broken = plaza("db", "restore", str(file), folder=elsewhere)
    assert broken.returncode == 1
    assert "kept" in plaza("org", "list", folder=elsewhere).stdout


def test_a_suspension_and_a_rotated_key_end_what_was_open(served: Served) -> None:
    token = plaza("token", "carol@demo.test", "--org", "demo", folder=served.folder).stdout.strip()
    headers = {"orgid": "demo", "authorization": f"Bearer {token}"}
    url = f"{served.url}/client/community/people/me"
    assert httpx2.get(url, headers=headers).status_code == 200
    assert plaza("person", "suspend", "carol@demo.test", "--org", "demo", folder=served.folder).returncode == 0
    for _ in range(100):
        answer = httpx2.get(url, headers=headers)
        if answer.status_code != 200:
            break
    assert (answer.status_code, answer.json()["reason"]) == (403, "person.suspended")
    lifted = plaza("person", "suspend", "carol@demo.test", "--org", "demo", "--lift", folder=served.folder)
    assert lifted.returncode == 0
    unknown = plaza("person", "suspend", "nobody@demo.test", "--org", "demo", folder=served.folder)
    assert unknown.returncode == 1
    assert plaza("key", "rotate", "--org", "demo", folder=served.folder).returncode == 0
    for _ in range(100):
        answer = httpx2.get(url, headers=headers)
        if answer.status_code == 401:
            break
        time.sleep(0.1)
    assert answer.json()["reason"] == "auth.invalid_token"


def test_settings_say_where_they_came_from(tmp_path: Path) -> None:
    (tmp_path / "plaza.toml").write_text('port = 9000\nlog_level = "warning"\n')
    shown = plaza("config", "show", "--json", folder=tmp_path, PLAZA_PORT="9001", PLAZA_SMTP_URL="smtp://u:secret@h")
    found = {item["name"]: (item["value"], item["source"]) for item in json.loads(shown.stdout)}
    assert found["port"] == (9001, "environment")
    assert found["log_level"] == ("warning", "plaza.toml")
    assert found["host"] == ("127.0.0.1", "default")
    assert "secret" not in shown.stdout
    assert plaza("config", "check", folder=tmp_path).returncode == 0
    (tmp_path / "plaza.toml").write_text("prot = 9000\n")
    wrong = plaza("config", "check", folder=tmp_path)
    assert wrong.returncode == 1
    assert "prot" in wrong.stderr
    assert plaza("serve", "--port", "many", folder=tmp_path).returncode == 2
    assert plaza("serve", folder=tmp_path, PLAZA_WORKERS="0").returncode == 2


def test_proxies_are_named_in_every_way_and_a_wrong_one_is_said_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "plaza.toml").write_text('trusted_proxies = ["10.0.0.0/8", "::1"]\n')
    shown = plaza("config", "show", "--json", folder=tmp_path)
    assert {item["name"]: item["value"] for item in json.loads(shown.stdout)}["trusted_proxies"] == [
        "10.0.0.0/8",
        "::1",
    ]
    refused = plaza("serve", "--port", "0", "--trusted-proxies", "127.0.0.1,nginx", folder=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "trusted_proxies (flag): 'nginx'" in refused.stderr
    assert not (tmp_path / "plaza-data").exists()


def test_of_a_list_of_proxies_the_wrong_entry_is_named() -> None:
    chosen = load({}, {"PLAZA_TRUSTED_PROXIES": " 192.0.2.1, fd00::/8,,", "PLAZA_CONFIG": "nowhere.toml"})
    assert chosen.trusted_proxies == ["192.0.2.1", "fd00::/8"]
    for wrong in ("caddy", "10.0.0.1/8", "10.0.0.0/33", "0.0.0.0/0", "::/0", "::ffff:10.0.0.1", "[::1]:80", "127.1"):
        with pytest.raises(SettingsError) as refusal:
            load({"trusted_proxies": f"192.0.2.1,{wrong}"}, {"PLAZA_CONFIG": "nowhere.toml"})
        assert wrong in str(refusal.value)
        assert "192.0.2.1" not in str(refusal.value)


def test_logs_are_json_and_never_hold_a_token_a_message_an_address_or_a_password(tmp_path: Path) -> None:
    running = Served(tmp_path)
    token = plaza("token", "canary-person@demo.test", "--org", "demo", folder=tmp_path).stdout.strip()
    headers = {"orgid": "demo", "authorization": f"Bearer {token}", "x-request-id": "req-1"}
    base = f"{running.url}/client/community"
    sent = {"to": "canary-peer@demo.test", "content": "canary-words"}
    assert httpx2.post(f"{base}/messages", json=sent, headers=headers).status_code == 201
    httpx2.post(f"{base}/messages", content=b'{"canary-broken', headers=headers)
    httpx2.get(f"{base}/messages/thread/canary-peer@demo.test?token=canary-query", headers=headers)
    signup = {"email": "canary-person@demo.test", "password": "canary-password-1"}
    httpx2.post(f"{running.url}/profile/customer/signup", json=signup, headers={"orgid": "demo"})
    httpx2.post(f"{running.url}/profile/customer/signin", json=signup, headers={"orgid": "demo"})
    (outbox,) = [line.split()[1] for line in running.said if "Outbox" in line]
    assert httpx2.get(outbox).status_code == 200
    assert running.stop() == 0
    lines = [line for line in running.said if line.startswith("{")]
    assert lines
    assert not [line for line in lines if outbox.partition("key=")[2] in line]
    assert any(json.loads(line).get("request") == "req-1" for line in lines)
    whole = "".join(running.said)
    assert "canary" not in whole
    assert token not in whole
    assert "Traceback" not in whole


def test_origins_are_taken_as_browsers_write_them(tmp_path: Path) -> None:
    written = "https://App.Example/, HTTP://shop.example:080,https://münchen.example:443,http://[::1]:3000,*,app://x"
    chosen = load({}, {"PLAZA_CORS_ORIGINS": written, "PLAZA_CONFIG": "nowhere.toml"})
    assert chosen.cors_origins == [
        "https://app.example",
        "http://shop.example",
        "https://xn--mnchen-3ya.example",
        "http://[::1]:3000",
        "*",
        "app://x",
    ]
    (tmp_path / "plaza.toml").write_text('cors_origins = ["https://Shop.Example:443/"]\n')
    shown = plaza("config", "show", "--json", folder=tmp_path)
    found = {item["name"]: item["value"] for item in json.loads(shown.stdout)}
    assert found["cors_origins"] == ["https://shop.example"]


@pytest.mark.parametrize(
    "wrong",
    [
        "app.example",
        "https://app.example/shop",
        "https://app.example?x",
        "https://app.example#x",
        "https://*.example",
        "https://me@app.example",
        "https://app.example:99999",
        "https://app.example:x",
        "https:/app.example",
        "https://",
        "null",
        "//app.example",
        "https://a..example\u3002",
    ],
)
def test_what_is_no_origin_is_named(wrong: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        load({"cors_origins": f"https://good.example,{wrong}"}, {"PLAZA_CONFIG": "nowhere.toml"})
    assert wrong in str(refusal.value)
    assert "cors_origins" in str(refusal.value)
    assert "good.example" not in str(refusal.value)


def test_a_token_for_metrics_is_long_and_is_not_shown(tmp_path: Path) -> None:
    for wrong in ("short", "with a space in it"):
        assert plaza("config", "check", folder=tmp_path, PLAZA_METRICS_TOKEN=wrong).returncode == 1
    shown = plaza("config", "show", folder=tmp_path, PLAZA_METRICS_TOKEN="scraper-secret-0123456789")
    assert "metrics_token" in shown.stdout
    assert "scraper-secret" not in shown.stdout


def test_browsers_of_named_sites_may_come_in_and_others_not(tmp_path: Path) -> None:
    running = Served(tmp_path, PLAZA_CORS_ORIGINS="https://Shop.example/, https://app.example:443")
    plaza("org", "create", "demo", folder=tmp_path)
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "orgid,authorization"}
    url = f"{running.url}/client/community/messages"
    good = httpx2.options(url, headers={"origin": "https://shop.example"} | asked)
    assert good.headers["access-control-allow-origin"] == "https://shop.example"
    for origin in ("https://evil.example", "null", "https://shop.example.evil.test", "http://shop.example"):
        answer = httpx2.options(url, headers={"origin": origin} | asked)
        assert "access-control-allow-origin" not in answer.headers
        socket = httpx2.get(f"{running.url}/socket.io/?EIO=4&transport=polling", headers={"origin": origin})
        assert socket.status_code in (400, 403)
    simple = httpx2.get(f"{running.url}/readyz", headers={"origin": "https://app.example"})
    assert simple.headers["access-control-allow-origin"] == "https://app.example"
    assert "Origin" in simple.headers["vary"]
    assert running.stop(signal.SIGINT) == 0
