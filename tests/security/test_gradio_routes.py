"""What of Gradio answers: what the page uses in a whole session, and nothing else."""

import socket
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.documents.makepdf import pdf, set_lines
from tests.site import ENDLESS, Site
from tests.tasks.summary_world import document
from tests.ui.actions import send
from tests.ui.conftest import OpenPage
from tests.ui.documents.test_documents_tab import add, file, is_ready, visit
from tests.ui.summary.test_summarize_tab import choose, export, open_summary, summarize
from webui.api.gradio_routes import FILE, USED, is_used

# Of Gradio, read from its sources and from its running application; none is used by the page.
UNUSED = [
    "/gradio_api/file=app.py",
    "/gradio_api/file/app.py",
    "/gradio_api/file/http://localhost:1/x.png",
    "/gradio_api/file=http://localhost:1/x.png",
    "/gradio_api/proxy=http://localhost:1/",
    "/gradio_api/upload",
    "/gradio_api/upload_progress?upload_id=x",
    "/gradio_api/process_recording",
    "/gradio_api/stream/a/b/1/playlist.m3u8",
    "/gradio_api/heartbeat/x",
    "/gradio_api/run/on_load",
    "/gradio_api/api/predict",
    "/gradio_api/call/on_load",
    "/gradio_api/call/v2/on_load",
    "/gradio_api/cancel",
    "/gradio_api/reset",
    "/gradio_api/component_server",
    "/gradio_api/custom_component/a/client/component/index.js",
    "/gradio_api/info",
    "/gradio_api/openapi.json",
    "/gradio_api/deep_link",
    "/gradio_api/startup-events",
    "/gradio_api/theme.css",
    "/gradio_api/token",
    "/gradio_api/user",
    "/gradio_api/login_check",
    "/gradio_api/dev/reload",
    "/gradio_api/vibe-edit",
    "/gradio_api/vibe-code",
    "/gradio_api/runs",
    "/config",
    "/monitoring",
    "/manifest.json",
    "/pwa_icon",
    "/robots.txt",
    "/favicon.ico",
    "/svelte/x.js",
]
ODD = [
    "/gradio_api/File=app.py",
    "/GRADIO_API/FILE/app.py",
    "//gradio_api/file/app.py",
    "/gradio_api//file/app.py",
    "/gradio_api/./file/app.py",
    "/assets/../gradio_api/file/app.py",
    "/static/./../gradio_api/file=app.py",
    "/gradio_api%2ffile/app.py",
    "/gradio_api/%66ile/app.py",
    "/gradio_api/file%3Dapp.py",
    "/%67radio_api/file/app.py",
    "/gradio_api/file/",
    "/gradio_api\\file\\app.py",
    "/gradio_api/file;x/app.py",
    "/gradio_api/queue/../file/app.py",
    "/gradio_api/queue/data/../../file/app.py",
    "/gradio_api/run/predict/../../file/app.py",
    "/gradio_api/queue/data%2f..%2f..%2ffile%2fapp.py",
    "/%2e%2e/gradio_api/file/app.py",
    "/.//gradio_api/file/app.py",
    "/ /gradio_api/file/app.py",
    "/gradio_api/file/app.py%00.css",
    "/assets/%2e%2e/%2e%2e/app.py",
    "/assets/..%2fapp.py",
    "/static/..",
    "/assets/",
    "/assets",
    "/ｇradio_api/file/app.py",
]


def raw(site: Site, method: str, target: str) -> bytes:
    """The answer to a request whose target is sent exactly as it stands here."""
    address = urlsplit(site.url)
    assert address.hostname and address.port
    head = f"{method} {target} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n"
    body = "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall((head + (body if method == "POST" else "\r\n")).encode())
        answer = b""
        while block := connection.recv(65536):
            answer += block
    return answer


@pytest.mark.parametrize("target", UNUSED + ODD)
def test_what_the_page_does_not_use_is_refused(site: Site, target: str) -> None:
    """`/file/…` fetched any address and served what came as our own page."""
    for method in ("GET", "POST", "HEAD", "PUT", "OPTIONS"):
        status = raw(site, method, target).split(b" ")[1]
        assert status in (b"400", b"404"), (method, target)


def test_under_a_root_path_the_list_is_the_same() -> None:
    """A proxy that serves us under a prefix changes where a path begins, not what it may be."""

    def scope(path: str, root: str, method: str = "GET", raw_path: str = "") -> dict[str, object]:
        sent = (raw_path or path).encode()
        return {"path": path, "raw_path": sent, "root_path": root, "method": method}

    for root in ("", "/kajogaki"):
        for path, methods in USED.items():
            for method in methods:
                assert is_used(scope(root + path, root, method)), path
            assert not is_used(scope(root + path, root, "DELETE"))
        for path in UNUSED + ODD:
            assert not is_used(scope(root + path.partition("?")[0], root)), path
            assert not is_used(scope(root + path.partition("?")[0], root, "POST")), path
        assert not is_used(scope(root + "/theme.css", root, raw_path=root + "/%74heme.css"))
    assert not is_used(scope("/gradio_api/file/theme.css", "/gradio_api/file", raw_path="/x"))


@pytest.mark.browser
def test_a_whole_session_needs_the_list_and_no_more(open_page: OpenPage, site: Site) -> None:
    """Chat with streaming and Stop, panel, inspector, upload, search, source, models, summary,
    a lost connection: nothing is refused, and nothing of the list is left over."""
    page = open_page("/?chat=" + site.conversation(**ENDLESS))
    seen: set[tuple[str, str]] = set()
    refused: list[str] = []
    page.on("request", lambda one: seen.add((one.method, urlsplit(one.url).path)))
    page.on("response", lambda one: refused.append(one.url) if one.status >= 400 else None)
    page.reload()
    page.locator("#conversations .conv").first.wait_for(state="attached")
    use_everything(page)
    lose_the_connection(page)
    assert not refused
    used = {path for _, path in seen if path in USED}
    assert used == set(USED), "nothing stands in the list that the page does not use"
    assert all(method in USED[path] for method, path in seen if path in USED)
    assert {path.split("/")[1] for _, path in seen if FILE.fullmatch(path)} == {"assets", "static"}


def use_everything(page: Page) -> None:
    send(page, "続けて")
    page.get_by_role("button", name="停止").click()
    expect(page.get_by_role("button", name="送信")).to_be_visible()
    page.get_by_role("button", name="生成の設定").click()
    page.locator("#knob-max_tokens input[type=number]").fill("2048")
    page.locator("#knob-max_tokens input[type=number]").press("Tab")
    page.get_by_role("button", name="プロンプトを見る").click()
    expect(page.locator("#inspector .prompt-text")).to_be_visible()
    visit(page)
    add(page, file("規程.pdf", pdf([set_lines(["旅費は五日以内に精算する。"])])))
    is_ready(page, "規程.pdf")
    page.get_by_role("searchbox").fill("旅費の精算")
    page.locator(".passage").first.click()
    picture = page.get_by_role("img", name="「規程.pdf」の 1 ページ")
    page.wait_for_function("image => image.naturalWidth > 300", arg=picture.element_handle())
    page.keyboard.press("Escape")
    page.get_by_role("link", name="モデル", exact=True).click()
    expect(page.locator("#models-view h1")).to_be_visible()
    open_summary(page)
    page.locator("#summary-view textarea").fill(document(2))
    choose(page, mode="verbatim", num_bullets="2")
    summarize(page)
    with page.expect_download():
        export(page, "JSON")


def lose_the_connection(page: Page) -> None:
    """Gradio then asks for the server's id until it is back, and loads the page again."""
    page.get_by_role("link", name="チャット", exact=True).click()
    page.route("**/gradio_api/queue/data?*", lambda route: route.abort(), times=1)
    with page.expect_request("**/gradio_api/app_id"):
        send(page, "切れる")
