"""The door of the page: other sites, other names and visitors without the token get nothing, in either mode, from plain clients and browsers."""

import asyncio
import contextlib
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest
from test_explore import CHROMIUM, needs_browser

from sigmax.explore.door import Door, address, is_loopback

TOKEN = "a-token"


def asked(headers, query="", kind="http", host="127.0.0.1", port=8000):
    """Ask a door; return what came back, and whether what lies behind was asked."""
    behind, sent = [], []

    async def app(scope, _receive, send):
        behind.append(scope["type"])
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"scores"})
        else:
            await send({"type": "websocket.accept"})

    async def send(message):
        sent.append(message)

    scope = {
        "type": kind,
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        "query_string": query.encode(),
    }
    asyncio.run(Door(app, host, port, TOKEN, "/base", lambda _url: None)(scope, None, send))
    return sent, bool(behind)


HERE = {"host": "127.0.0.1:8000"}
COOKIE = {"cookie": f"other=1; sigmax-8000={TOKEN}"}


@pytest.mark.parametrize(
    ("headers", "query", "enters"),
    [
        (HERE, "", False),
        (HERE, "access_token=", False),
        (HERE, "access_token=wrong", False),
        (HERE, f"access_token={TOKEN}", True),
        ({**HERE, **COOKIE}, "", True),
        ({**HERE, "cookie": "sigmax-8000=wrong"}, "", False),
        ({**HERE, "cookie": f"sigmax-8001={TOKEN}"}, "", False),
        ({**HERE, "cookie": "=;=\x01"}, "", False),
        ({"host": "localhost:8000", **COOKIE}, "", True),
        ({"host": "[::1]:8000", **COOKIE}, "", True),
        ({"host": "evil.example", **COOKIE}, f"access_token={TOKEN}", False),
        ({"host": "evil.example:8000", **COOKIE}, "", False),
        ({"host": "127.0.0.1.evil.example:8000", **COOKIE}, "", False),
        ({"host": "192.0.2.7:8000", **COOKIE}, "", False),
        ({"host": "127.0.0.1:9000", **COOKIE}, "", False),
        ({"host": "127.0.0.1", **COOKIE}, "", False),
        (COOKIE, "", False),
        ({**HERE, **COOKIE, "origin": "http://127.0.0.1:8000"}, "", True),
        ({**HERE, **COOKIE, "origin": "http://evil.example"}, "", False),
        ({**HERE, **COOKIE, "origin": "null"}, "", False),
        ({**HERE, **COOKIE, "origin": "http://127.0.0.1:8001"}, "", False),
        ({**HERE, **COOKIE, "origin": "https://127.0.0.1:8000"}, "", False),
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_who_comes_in(headers, query, enters, kind):
    sent, behind = asked(headers, query, kind)
    assert behind == enters
    if not enters:
        first = sent[0]
        assert first["status"] == 403 if kind == "http" else first["type"] == "websocket.close"
        assert b"scores" not in b"".join(m.get("body", b"") for m in sent)


def test_where_others_may_come_their_names_are_numbers_or_this_machines():
    for name, enters in (("192.0.2.7", True), ("evil.example", False), ("localhost", True), ("host.name", False)):
        assert asked({"host": f"{name}:8000", **COOKIE}, host="0.0.0.0")[1] == enters
    assert asked({"host": "host.name:8000", **COOKIE}, host="host.name")[1]


def test_the_cookie_stays_here_and_the_page_out_of_frames():
    sent, _ = asked(HERE, f"access_token={TOKEN}")
    headers = dict(sent[0]["headers"])
    assert headers[b"set-cookie"] == b"sigmax-8000=a-token; Path=/base; HttpOnly; SameSite=Lax"
    assert headers[b"content-security-policy"] == b"frame-ancestors 'self'"
    sent, _ = asked({**HERE, **COOKIE})
    assert b"set-cookie" not in dict(sent[0]["headers"])


def test_addresses():
    assert address("127.0.0.2", 80) == "http://127.0.0.2:80"
    assert address("::1", 80) == "http://[::1]:80"
    assert "0.0.0.0" not in address("0.0.0.0", 80)
    assert [is_loopback(h) for h in ("127.0.0.2", "[::1]", "localhost", "192.0.2.7", "evil.example")] == [True] * 3 + [
        False
    ] * 2


@contextlib.contextmanager
def served(folder, *words, host="127.0.0.1"):
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    server = subprocess.Popen(
        [sys.executable, "-m", "sigmax", "explore", "secret.csv", "--no-browser", "--host", host, *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    try:
        for line in server.stdout:
            if found := re.search(r"http://\S+", line):
                yield found[0]
                break
        else:
            pytest.fail("the page did not open")
    finally:
        server.terminate()
        server.wait(20)
        server.stdout.close()


@pytest.fixture(scope="module", params=["run", "edit"])
def opened(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("door")
    (folder / "secret.csv").write_text("s_a,s_b\n1234.5,2.5\n")
    with served(folder, *(["--edit"] if request.param == "edit" else [])) as url:
        yield url


def status(url, **headers):
    visitor = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    for _ in range(100):
        try:
            with visitor.open(urllib.request.Request(url, headers=headers), timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except urllib.error.URLError:  # it is announced a moment before it listens
            time.sleep(0.05)
    return None


def test_the_server_answers_the_token_alone(opened):
    base, _, query = opened.partition("/?")
    token = query.partition("=")[2]
    assert len(token) >= 32
    assert status(opened) == 200
    for path in ("/", "/?access_token=", "/?access_token=" + token[::-1], "/api/status", "/health", "/assets/x.js"):
        assert status(base + path) == 403, path
    assert status(opened, Host="evil.example") == 403
    assert status(opened, Origin="http://evil.example") == 403


def test_a_websocket_of_another_site_is_refused(opened):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    base, _, query = opened.partition("/?")
    port, token = base.rpartition(":")[2], query.partition("=")[2]
    at = base.replace("http", "ws") + "/ws?session_id=s_123456"
    cookie = {"Cookie": f"sigmax-{port}={token}"}
    for headers, origin in (
        ({}, None),
        ({}, base),
        (cookie, "http://evil.example"),
        (cookie, "null"),
        (cookie, "http://127.0.0.1:1"),
        ({"Cookie": "sigmax-1=x"}, base),
    ):
        with pytest.raises(InvalidStatus, match="403"):
            connect(at, additional_headers=headers, origin=origin, open_timeout=10, proxy=None)
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"{at}&access_token={token}", origin="http://evil.example", open_timeout=10, proxy=None)


def test_code_cannot_be_sent(opened):
    base = opened.partition("/?")[0]
    body = json.dumps({"cellIds": ["a"], "codes": ["import os; os.mkdir('pwned')"]}).encode()
    for headers in ({}, {"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        request = urllib.request.Request(
            base + "/api/kernel/run", body, {"Content-Type": "application/json", **headers}
        )
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=10)


def test_another_loopback_address_answers_where_it_says(tmp_path):
    (tmp_path / "secret.csv").write_text("s_a,s_b\n1234.5,2.5\n")
    with served(tmp_path, host="127.0.0.2") as first, served(tmp_path, host="127.0.0.2") as second:
        assert first.startswith("http://127.0.0.2:")
        assert status(first) == 200
        assert first.partition("=")[2] != second.partition("=")[2]  # whatever the seed of hashes


ATTACK = """<!doctype html><title>another site</title><script>
async function attack(base) {
  const found = {};
  for (const path of ["/", "/api/status", "/ws"]) {
    try { found[path] = (await (await fetch(base + path, {credentials: "include"})).text()).length; }
    catch (error) { found[path] = "refused"; }
  }
  found.socket = await new Promise(done => {
    const socket = new WebSocket(base.replace("http", "ws") + "/ws?session_id=s_abcdef");
    socket.onopen = () => done("open"); socket.onmessage = () => done("message"); socket.onerror = () => done("refused");
  });
  found.frame = await new Promise(done => {
    const frame = document.createElement("iframe");
    frame.onload = () => { try { done(frame.contentDocument.body.innerText.length) } catch (error) { done("refused") } };
    frame.src = base; document.body.append(frame);
  });
  return found;
}
</script><body></body>"""


@needs_browser
def test_a_browser_that_has_the_page_open_gives_nothing_to_another_site(opened):
    from playwright.sync_api import sync_playwright

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(ATTACK.encode())

        def log_message(self, *_arguments):
            pass

    base = opened.partition("/?")[0]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as site, sync_playwright() as playwright:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = chromium.new_context()
        mine = context.new_page()
        mine.goto(opened)
        mine.wait_for_selector("#root *", timeout=30_000)  # its reader has the cookie now
        for name in ("127.0.0.1", "localhost"):
            other = context.new_page()
            other.goto(f"http://{name}:{site.server_port}/")
            found = other.evaluate(f"attack({base!r})")
            assert found == dict.fromkeys(["/", "/api/status", "/ws", "socket", "frame"], "refused"), (name, found)
        chromium.close()
        site.shutdown()


@pytest.mark.parametrize("begun", [False, True])
def test_a_request_that_an_interrupt_cuts_off_ends_without_a_word(begun):
    async def app(scope, receive, send):
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise asyncio.CancelledError

    async def send(message):
        sent.append(message)

    sent = []
    door = Door(app, "127.0.0.1", 80, "secret", "", print)
    scope = {"type": "http", "headers": [(b"host", b"127.0.0.1:80")], "query_string": b"access_token=secret"}
    asyncio.run(door(scope, None, send))
    assert [m.get("status") for m in sent] == ([200] if begun else [503, None])


@needs_browser
def test_an_interrupt_ends_an_open_page_without_a_word(tmp_path):
    from playwright.sync_api import sync_playwright

    # a job in the background of a shell, as the tests may be one, ignores an interrupt
    command = ["env", "--default-signal=INT", sys.executable, "-m", "sigmax", "explore", "--no-browser"]
    server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        url = re.search(r"http://\S+", server.stdout.readline())[0]
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = chromium.new_page()
            page.goto(url)
            page.wait_for_selector("#root *", timeout=30_000)
            page.wait_for_timeout(1000)
            server.send_signal(signal.SIGINT)
            assert server.communicate(timeout=20)[0] == ""
            chromium.close()
    finally:
        server.kill()
        server.communicate()
