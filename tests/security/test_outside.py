"""Nothing leaves this machine: a whole session under strace connects to loopback alone.

Chat, import, upload, search and summary, with all the processes that are started for them.
"""

import re
import shutil
import time
from pathlib import Path

import httpx
import pytest

from tests.api.servers import serving
from tests.security.events import Events
from tests.security.test_stored_values import export

# AF_INET and AF_INET6 addresses in what connect and the sending calls are given.
ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
LOOPBACK = re.compile(r"127\.|::1$|::ffff:127\.|0\.0\.0\.0$")
LOOK_UPS = ("/etc/resolv.conf", "/var/run/nscd", "systemd/resolve")
SENTENCE = "旅費は五日以内に精算する。会議は毎週月曜日に開く。予算は三百万円である。"


@pytest.mark.thorough
def test_a_whole_session_connects_to_loopback_alone(standin: Path, tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("no strace found: install it to see that nothing leaves this machine")
    trace = tmp_path / "trace"
    script = (
        "import os, sys; os.execvp(sys.argv[1], [sys.argv[1], '-f', '-qq', '-o', sys.argv[2],"
        " '-e', 'trace=connect,sendto,sendmsg,sendmmsg,open,openat', sys.executable, 'app.py',"
        " *sys.argv[3:]])"
    )
    with serving(tmp_path, program=("-c", script, strace, str(trace))) as server:
        with httpx.Client(base_url=server.url, timeout=300) as client:
            _use(client)
    lines = trace.read_text(encoding="utf-8", errors="replace").splitlines()
    asked = [line for line in lines if "open" in line and any(name in line for name in LOOK_UPS)]
    assert not asked, f"names were looked up: {asked[:5]}"
    addresses = [found[1] or found[2] for line in lines for found in ADDRESS.finditer(line)]
    outside = [address for address in addresses if not LOOPBACK.match(address)]
    assert not outside, f"connected to {outside}"
    assert any("app.py" in line or ".py" in line for line in lines), "strace has seen the server"


def _use(client: httpx.Client) -> None:
    assert client.get("/").status_code == 200
    body = {"messages": [{"role": "user", "content": "はい"}], "max_tokens": 8}
    assert client.post("/v1/chat/completions", json=body).status_code == 200
    (chat,) = client.post("/import", json=export()).json()["conversations"]
    events = Events(client)
    told = events.call("on_run", {"action": "send", "conversation": chat, "text": "続けて"})
    assert told.status_code == 200 and "process_completed" in told.text
    headers = {"content-type": "application/octet-stream", "x-file-name": "a.txt"}
    added = client.post("/documents/files", content=SENTENCE.encode(), headers=headers).json()
    deadline = time.monotonic() + 120
    while "ready" not in events.call("on_documents_1", {"first": True}).text:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert "旅費" in events.call("on_documents_1", {"action": "search", "question": "旅費"}).text
    assert client.get(f"/documents/{added['document']}/file").status_code == 200
    summary = client.post("/v1/summaries", json={"text": SENTENCE * 3})
    assert summary.status_code == 200, summary.text
    assert events.call("on_models", {"action": ""}).status_code == 200
