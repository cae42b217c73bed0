"""Answers from documents in a real browser: the switch, citations, doubts, what was nearest."""

import json
import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.documents.makepdf import pdf, set_lines
from tests.site import OWNER, Site, standing_still
from tests.ui.actions import composer, conversation_of, send, wait_for_answer
from tests.ui.conftest import OpenPage
from webui.storage import ChunkRow, DocumentChoice, Role, Status
from webui.tasks.ask.result import Answer, Citation, NumberedPassage
from webui.text.grounding import Flag, FlagKind
from webui.text.pages import Span

pytestmark = [pytest.mark.browser, pytest.mark.thorough]
QUOTE = "出張の旅費は実費を支給し、五日以内に精算する。"
TEXT = "旅費は**実費**です[1]。以前は十二日以内でした[2]。\n\n- <b>火星</b>へは行けません。"
READ_S = 60


@pytest.fixture(scope="module")
def chunk(site: Site) -> Iterator[ChunkRow]:
    """The only chunk of a document, on its second page."""
    data = pdf([set_lines([""]), set_lines(["旅費について", QUOTE])])
    headers = {"content-type": "application/octet-stream", "x-file-name": "x.pdf"}
    answer = httpx.post(f"{site.url}/documents/files", content=data, headers=headers)
    documents = site.storage.documents
    deadline = time.monotonic() + READ_S
    while not (found := documents.document_chunks(OWNER, answer.json()["document"])):
        assert time.monotonic() < deadline, "the document is not read"
        time.sleep(0.05)
    yield found[0]
    for one in documents.collections(OWNER):
        documents.delete_collection(OWNER, one.id)


def answered(site: Site, chunk: ChunkRow) -> str:
    """A conversation whose answer rests on the document, and on one that has gone."""
    start = chunk.char_from + chunk.text.index(QUOTE)
    span = Span(2, start, 2, start + len(QUOTE))
    whole = Span(chunk.page_from, chunk.char_from, chunk.page_to, chunk.char_to)
    own = NumberedPassage(1, chunk.document_id, "規程.pdf", "", 2, whole, chunk.text, 1.0, 0.9)
    gone = NumberedPassage(
        2, "gone", "<i>旧規程</i>.pdf", "", 3, whole, "十日以内とする。", 0.9, 0.5
    )
    first, second = TEXT.index("旅費"), TEXT.index("以前")
    citations = (
        Citation(first, second, 1, own.document_id, own.file, 2, span, QUOTE, 0.9, True),
        Citation(second, len(TEXT), 2, "gone", gone.file, 3, whole, gone.text, 0.9, True),
    )
    number = TEXT.index("十二日")
    flags = (Flag(FlagKind.NUMBER, "十二日", number, number + 3),)
    answer = Answer(TEXT, "旅費は？", (own, gone), citations, flags)
    made = site.storage.create_conversation(OWNER, documents=DocumentChoice(True))
    asked = site.storage.add_message(OWNER, made.id, Role.USER, "旅費は？", parent_id=None)
    reply = site.storage.add_message(OWNER, made.id, Role.ASSISTANT, TEXT, parent_id=asked.id)
    evidence = json.loads(json.dumps(answer.evidence()))
    site.storage.update_message(OWNER, reply.id, evidence=evidence)
    return made.id


def test_an_answer_from_documents_goes_on_through_a_reload(
    open_page: OpenPage, site: Site, chunk: ChunkRow
) -> None:
    asked = site.storage.create_conversation(OWNER, documents=DocumentChoice(True)).id
    page = open_page(f"/?chat={site.conversation()}")
    send(page, "こんにちは")  # the model is loaded then
    wait_for_answer(page)
    page.goto(f"{site.url}/?chat={asked}")
    composer(page).wait_for()
    with standing_still(site.process):
        send(page, "出張の旅費はいつまでに精算しますか？")
        expect(page.locator(".turn.live .status")).to_be_visible()
        page.reload()
        expect(page.locator(".turn.live .status")).to_be_visible()
    wait_for_answer(page)
    answer = site.path(asked)[-1]
    assert answer.status is Status.COMPLETE and answer.evidence and answer.num_versions == 1


def test_citations_lead_to_the_place_and_doubts_are_marked(
    open_page: OpenPage, site: Site, chunk: ChunkRow
) -> None:
    page = open_page(f"/?chat={answered(site, chunk)}")
    answer = page.locator(".turn.assistant").last
    expect(answer.locator(".answer .cite")).to_have_text(["1", "2"])
    expect(answer.locator("mark.doubt")).to_have_text("十二日")
    expect(answer).to_contain_text("<b>火星</b>へは行けません")
    cite = answer.get_by_role("button", name="出典 1: 規程.pdf p.2").first
    cite.focus()
    page.keyboard.press("Enter")
    panel = page.get_by_role("dialog", name="出典「x.pdf」")
    expect(panel.locator(".words mark")).to_have_text(QUOTE)
    expect(panel.locator(".spot")).to_have_count(1)
    expect(panel.get_by_role("button", name="閉じる")).to_be_focused()
    panel.get_by_role("button", name="次の出典").click()
    panel = page.get_by_role("dialog", name="出典「<i>旧規程</i>.pdf」")
    expect(panel).to_contain_text("この資料は削除されたか、置き換えられました")
    expect(panel.locator("blockquote")).to_have_text("十日以内とする。")
    page.keyboard.press("Escape")
    expect(cite).to_be_focused()


@pytest.mark.thorough
def test_the_switch_belongs_to_the_conversation(page: Page, site: Site, chunk: ChunkRow) -> None:
    use = page.get_by_role("button", name="資料を使う")
    expect(use).to_have_attribute("aria-pressed", "false")
    use.click()
    page.get_by_role("button", name="使う資料を選ぶ").click()
    page.get_by_role("checkbox", name="マイ資料").check()
    page.get_by_role("dialog", name="使う資料").get_by_role("button", name="閉じる").click()
    expect(page.get_by_role("button", name="使う資料を選ぶ")).to_contain_text("マイ資料")
    send(page, "量子ゲートの忠実度は")
    answer = page.locator(".turn.assistant").last
    expect(answer).to_contain_text("資料には見当たりません")
    expect(answer.locator(".nearest")).to_be_visible()
    made = conversation_of(page)
    (collection,) = site.storage.documents.collections(OWNER)
    chosen = site.storage.conversation(OWNER, made).documents
    assert chosen == DocumentChoice(True, (collection.id,))
    page.get_by_role("link", name="新しいチャット").click()
    expect(use).to_have_attribute("aria-pressed", "false")
    page.goto(f"{site.url}/?chat={made}")
    expect(use).to_have_attribute("aria-pressed", "true")
    which = page.get_by_role("button", name="使う資料を選ぶ")
    expect(which).to_contain_text("マイ資料")  # it said 選んだ資料 1 件 until the dialog was opened
    expect(page.get_by_role("dialog")).to_have_count(0)
    use.click()
    expect(use).to_have_attribute("aria-pressed", "false")
    page.reload()
    expect(use).to_have_attribute("aria-pressed", "false")


@pytest.mark.thorough
def test_a_question_from_the_documents_begins_a_chat(page: Page, chunk: ChunkRow) -> None:
    page.get_by_role("link", name="資料", exact=True).click()
    page.get_by_role("searchbox").fill("旅費の精算はいつまで")
    expect(page.locator(".passage")).to_have_count(1)
    page.get_by_role("button", name="質問する").click()
    expect(page.locator(".bubble")).to_have_text("旅費の精算はいつまで")
    wait_for_answer(page)
    expect(page.get_by_role("button", name="資料を使う")).to_have_attribute("aria-pressed", "true")
