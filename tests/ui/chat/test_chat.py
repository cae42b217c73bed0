"""The chat in a real browser, on the real engine."""

import pytest
from playwright.sync_api import Page, expect

from tests.site import ENDLESS, OWNER, Site, standing_still
from tests.ui.actions import composer, conversation_of, send, wait_for_answer
from tests.ui.conftest import PHONE, OpenPage
from webui.storage import Role, Status

pytestmark = pytest.mark.browser


def test_an_answer_streams_with_its_numbers_and_survives_a_reload(page: Page, site: Site) -> None:
    send(page, "こんにちは。自己紹介をしてください。")
    answer = wait_for_answer(page)
    for words in ("トークン/秒", "経過時間", "最初の文字まで"):
        expect(answer.locator(".statistics")).to_contain_text(words)
    expect(composer(page)).to_have_value("")
    expect(page.locator("#conversations .conv.on")).to_have_text("こんにちは")
    stored = site.path(conversation_of(page))
    assert [message.role for message in stored] == [Role.USER, Role.ASSISTANT]
    shown = answer.locator(".answer").inner_text()
    page.reload()
    expect(page.locator(".turn.assistant .answer")).to_have_text(shown)
    expect(page.locator(".meter")).to_contain_text("/ 8,192")


@pytest.mark.thorough
def test_updates_come_at_most_ten_times_a_second(open_page: OpenPage, site: Site) -> None:
    page = open_page(f"/?chat={site.conversation(**{**ENDLESS, 'max_tokens': 200})}")
    page.evaluate(
        """() => { window.updates = [];
        new MutationObserver(() => window.updates.push(performance.now())).observe(
            document.querySelector('.messages'),
            {childList: true, subtree: true, characterData: true}) }"""
    )
    send(page, "ながくこたえて")
    wait_for_answer(page)
    times = page.evaluate("window.updates")
    seconds = (times[-1] - times[0]) / 1000
    # Beside the stream: the question, the first status line, the finished message.
    assert len(times) <= 10 * seconds + 8


def test_stop_keeps_what_was_written(open_page: OpenPage, site: Site) -> None:
    chat = site.conversation(**ENDLESS)
    page = open_page(f"/?chat={chat}")
    send(page, "止めるまで続けて")
    expect(page.locator(".live .answer .block").first).to_be_visible()
    with standing_still(site.process):
        page.get_by_role("button", name="停止").click()
        expect(page.get_by_role("button", name="送信")).to_be_visible()
    expect(page.locator(".turn.assistant .notice")).to_contain_text("途中で止まった")
    answer = site.path(chat)[-1]
    assert answer.status is Status.PARTIAL
    assert answer.content
    send(page, "続き")
    expect(page.locator(".turn.user")).to_have_count(2)


@pytest.mark.thorough
def test_stop_reaches_an_answer_from_another_tab(open_page: OpenPage, site: Site) -> None:
    chat = site.conversation(**ENDLESS)
    page = open_page(f"/?chat={chat}")
    send(page, "続けて")
    expect(page.locator(".live .answer .block").first).to_be_visible()
    other = page.context.new_page()
    with standing_still(site.process):
        other.goto(page.url)
        expect(other.locator(".live .answer .block").first).to_be_visible()
        composer(other).fill("割り込み")
        composer(other).press("Enter")
        expect(composer(other)).to_have_value("割り込み")  # it waits; nothing typed is lost
        other.get_by_role("button", name="停止").click()
    for tab in (page, other):
        expect(tab.get_by_role("button", name="送信")).to_be_visible()
        expect(tab.locator(".turn.assistant .notice")).to_contain_text("途中で止まった")


@pytest.mark.thorough
def test_regenerating_keeps_versions_to_page_through(page: Page, site: Site) -> None:
    send(page, "一つ目")
    first = wait_for_answer(page).locator(".answer").inner_text()
    page.get_by_role("button", name="もう一度生成").click()
    expect(page.locator(".pager")).to_have_text("2 / 2")
    page.get_by_role("button", name="前の版").click()
    expect(page.locator(".pager")).to_have_text("1 / 2")
    expect(page.locator(".turn.assistant .answer")).to_have_text(first)
    page.reload()
    expect(page.locator(".pager")).to_have_text("1 / 2")


def test_editing_a_question_branches(page: Page, site: Site) -> None:
    send(page, "元の質問")
    wait_for_answer(page)
    page.locator(".turn.user").hover()
    page.get_by_role("button", name="編集").click()
    box = page.get_by_role("textbox", name="編集")
    box.fill("直した質問")
    box.press("Enter")
    expect(page.locator(".turn.user .bubble")).to_have_text("直した質問")
    expect(page.locator(".turn.user .pager")).to_have_text("2 / 2")
    wait_for_answer(page)
    page.get_by_role("button", name="前の版").click()
    expect(page.locator(".turn.user .bubble")).to_have_text("元の質問")
    expect(page.locator(".turn.assistant .answer")).not_to_be_empty()


@pytest.mark.thorough
def test_undo_brings_the_question_back_and_delete_removes_the_rest(page: Page, site: Site) -> None:
    send(page, "質問1")
    wait_for_answer(page)
    send(page, "質問2")
    expect(page.locator(".turn.user")).to_have_count(2)
    wait_for_answer(page)
    page.get_by_role("button", name="この質問を取り消して").click()
    expect(composer(page)).to_have_value("質問2")
    expect(page.locator(".turn")).to_have_count(2)
    page.locator(".turn.assistant").hover()
    page.locator(".turn.assistant [data-tool=delete]").click()
    page.get_by_role("dialog").get_by_role("button", name="削除").click()
    expect(page.locator(".turn")).to_have_count(1)
    assert len(site.path(conversation_of(page))) == 1
    page.get_by_role("button", name="回答する").click()
    wait_for_answer(page)


@pytest.mark.thorough
def test_only_the_last_turns_are_shown_at_first(open_page: OpenPage, site: Site) -> None:
    texts = [f"{'答え' if n % 2 else '質問'}{n // 2 + 1}" for n in range(26)]
    page = open_page(f"/?chat={site.conversation(*texts)}")
    expect(page.locator(".turn")).to_have_count(20)
    page.get_by_role("button", name="以前のメッセージを表示").click()
    expect(page.locator(".turn")).to_have_count(26)
    expect(page.locator(".turn").first).to_contain_text("質問1")


@pytest.mark.thorough
def test_the_meter_says_which_turns_no_longer_fit(open_page: OpenPage, site: Site) -> None:
    send(page := open_page(), "モデルを読み込む")
    wait_for_answer(page)  # the meter counts with the loaded model
    texts = [f"{'答え' if n % 2 else '質問'}{n}：" + "長い文章です。" * 600 for n in range(8)]
    page = open_page(f"/?chat={site.conversation(*texts)}")
    expect(page.locator(".meter")).to_contain_text("入りきりません")
    line = page.locator(".window-line")
    expect(line).to_have_count(1)
    expect(page.locator(".window-line + .turn.user")).to_have_count(1)


@pytest.mark.thorough
def test_an_empty_message_does_nothing(page: Page, site: Site) -> None:
    send(page, " 　\n ")
    page.wait_for_timeout(300)
    expect(page.locator(".turn")).to_have_count(0)
    assert "chat=" not in page.url


def test_shift_enter_breaks_the_line(page: Page) -> None:
    composer(page).fill("一行目")
    composer(page).press("Shift+Enter")
    page.keyboard.type("二行目")
    expect(composer(page)).to_have_value("一行目\n二行目")
    expect(page.locator(".turn")).to_have_count(0)


@pytest.mark.thorough
def test_a_megabyte_of_text_is_kept_and_explained(page: Page, site: Site) -> None:
    text = "あいうえお漢字ＡＢＣ " * 31_000
    composer(page).evaluate(
        "(box, text) => { box.value = text; box.dispatchEvent(new Event('input')) }", text
    )
    composer(page).press("Enter")
    expect(page.locator(".notice")).to_contain_text("長すぎます")
    expect(page.get_by_role("button", name="すべて表示")).to_be_visible()
    chat = conversation_of(page)
    assert site.path(chat)[0].content == text
    page.get_by_role("button", name="末尾だけを使う").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("使われない部分")
    expect(dialog.locator("pre")).to_contain_text("あいうえお漢字ＡＢＣ")
    dialog.get_by_role("button", name="やめる").click()
    expect(page.get_by_role("button", name="質問を編集")).to_be_visible()
    assert site.path(chat)[0].content == text, "nothing is cut before it is confirmed"
    page.get_by_role("button", name="先頭だけを使う").click()
    dialog.get_by_role("button", name="この部分だけを送る").click()
    expect(page.locator(".pager").first).to_contain_text("2 / 2")
    shorter = site.path(chat)[0].content
    assert 1000 < len(shorter) < len(text) and text.startswith(shorter)
    page.get_by_role("button", name="停止").click()


@pytest.mark.thorough
def test_a_long_system_prompt_is_one_of_the_choices(open_page: OpenPage, site: Site) -> None:
    chat = site.conversation("質問です")
    site.storage.update_conversation(OWNER, chat, system_prompt="かならず守ってください。" * 3000)
    page = open_page(f"/?chat={chat}")
    page.get_by_role("button", name="回答する").click()
    expect(page.locator(".notice")).to_contain_text("システムプロンプト")
    page.get_by_role("button", name="先頭だけを使う").click()
    expect(page.get_by_role("alert").last).to_contain_text("残りません")
    page.get_by_role("button", name="システムプロンプトを短くする").click()
    expect(page.locator("#system-prompt textarea")).to_be_focused()


def test_a_killed_engine_costs_one_sentence_and_no_text(open_page: OpenPage, site: Site) -> None:
    import psutil

    chat = site.conversation(**ENDLESS)
    page = open_page(f"/?chat={chat}")
    send(page, "続けて")
    expect(page.locator(".live .answer .block").first).to_be_visible()
    for worker in psutil.Process(site.process.pid).children(recursive=True):
        worker.kill()
    notice = page.locator(".turn.assistant .notice")
    expect(notice).to_contain_text("途中で止まりました")
    assert [message.role for message in site.path(chat)] == [Role.USER, Role.ASSISTANT]
    site.storage.update_conversation(OWNER, chat, sampling={"max_tokens": 20})
    send(page, "もう一度")
    wait_for_answer(page)


@pytest.mark.thorough
def test_two_tabs_and_a_deep_link_show_the_same(open_page: OpenPage, site: Site) -> None:
    chat = site.conversation("二つの画面", "同じ答え", title="共有")
    page = open_page(f"/?chat={chat}")
    other = page.context.new_page()
    other.goto(page.url)
    for tab in (page, other):
        expect(tab.locator(".turn")).to_have_count(2)
        expect(tab).to_have_title("共有 — Kajogaki")
        expect(tab.locator("#conversations .conv.on")).to_contain_text("共有")


@pytest.mark.thorough
def test_an_unknown_conversation_says_so(open_page: OpenPage) -> None:
    page = open_page("/?chat=nobody-has-this")
    expect(page.get_by_role("alert")).to_contain_text("見つかりません")
    expect(page.get_by_text("何から始めましょうか")).to_be_visible()


@pytest.mark.thorough
def test_the_phone_has_a_drawer_that_closes_after_a_pick(open_page: OpenPage, site: Site) -> None:
    site.conversation("電話から", "はい", title="電話で開く会話")
    page = open_page("/", viewport=PHONE, has_touch=True, is_mobile=True)
    expect(page.locator("#side")).not_to_be_in_viewport()
    page.get_by_role("button", name="会話の一覧を開く").tap()
    expect(page.locator("#side")).to_be_in_viewport()
    page.touchscreen.tap(PHONE["width"] - 10, 400)
    expect(page.locator("#side")).not_to_be_in_viewport()
    page.get_by_role("button", name="会話の一覧を開く").tap()
    page.get_by_role("link", name="電話で開く会話").tap()
    expect(page.locator(".turn")).to_have_count(2)
    expect(page.locator("#side")).not_to_be_in_viewport()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    send(page, "電話からの質問")
    wait_for_answer(page)


@pytest.mark.thorough
def test_a_lost_server_keeps_what_was_typed(open_page: OpenPage, site: Site) -> None:
    page = open_page(f"/?chat={site.conversation('a', 'b')}")
    expect(page.locator(".turn")).to_have_count(2)
    page.route("**/gradio_api/**", lambda route: route.abort())
    send(page, "届かない文")
    expect(page.get_by_role("alert")).to_contain_text("サーバーにつながりません")
    expect(composer(page)).to_have_value("届かない文")


@pytest.mark.thorough
def test_the_end_stays_in_sight_until_the_reader_scrolls_up(
    open_page: OpenPage, site: Site
) -> None:
    formula = "\n\n".join(f"$$\\sum_{{i=1}}^{{{number}}} x_i^2$$" for number in range(12))
    page = open_page(f"/?chat={site.conversation('式', formula, **ENDLESS)}")
    expect(page.locator(".katex-display")).to_have_count(12)
    far = "(() => { const s = document.querySelector('.scroll');\
 return s.scrollHeight - s.scrollTop - s.clientHeight })()"
    page.wait_for_function(f"{far} < 5")
    send(page, "続けて")
    page.wait_for_function(f"{far} < 60 && document.querySelector('.live .block')")
    page.locator(".scroll").hover()
    page.mouse.wheel(0, -400)
    page.wait_for_function(f"{far} > 200")
    page.wait_for_timeout(500)
    assert page.evaluate(far) > 200
    page.get_by_role("button", name="最新のメッセージへ").click()
    page.wait_for_function(f"{far} < 60")
    page.mouse.wheel(0, -40)  # a little is respected, too
    page.wait_for_timeout(1_000)
    assert page.evaluate(far) > 30


def test_the_first_stop_tells_of_no_problem(open_page: OpenPage, site: Site) -> None:
    """An empty red box stayed until it was closed: an update of a component without a value."""
    page = open_page(f"/?chat={site.conversation(**ENDLESS)}")
    send(page, "長く書いて")
    expect(page.locator(".live .answer .block").first).to_be_visible()
    page.get_by_role("button", name="停止").click()
    expect(page.get_by_role("button", name="送信")).to_be_visible()
    for value in ("{visible: 'hidden'}", "{sentence: ''}", "{sentence: '困りました。'}"):
        page.evaluate(f"kajogaki.problem(null, {{value: {value}}}, () => null)")
    expect(page.locator(".toast")).to_have_text("困りました。")


def test_an_answer_that_runs_in_circles_is_ended_and_says_so(
    open_page: OpenPage, site: Site
) -> None:
    chat = site.conversation(grammar='root ::= "予算は増えました。" root', max_tokens=900)
    page = open_page(f"/?chat={chat}")
    send(page, "予算は？")
    answer = wait_for_answer(page)
    expect(answer.locator(".notice")).to_contain_text("同じ言葉の繰り返しになったため")
    expect(answer.locator(".answer")).to_have_text("予算は増えました。予算は増えました。")
    assert site.path(chat)[-1].content == "予算は増えました。" * 2


def test_the_built_in_model_offers_only_what_it_can_do(open_page: OpenPage, site: Site) -> None:
    """It was offered for mails, and refused to write them."""
    page = open_page()
    chips = page.locator(".suggestions button")
    expect(chips).to_have_count(3)
    try:
        page.get_by_role("combobox", name="モデル").select_option("kajogaki")
        expect(chips).to_have_text(["文章を箇条書きに要約する", "資料を読み込んで質問する"])
        page.reload()
        expect(chips).to_have_count(2)
        chips.first.click()
        expect(page.locator("#summary-view textarea")).to_be_visible()
    finally:
        site.storage.set_setting(OWNER, "model_id", "")
