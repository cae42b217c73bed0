"""What the browser is given to draw, as plain values."""

from dataclasses import replace
from datetime import date

import pytest

from webui.storage import Message, Role, Status
from webui.strings import Language
from webui.tasks.chat.chat import ReplyState, ReplyUpdate
from webui.tasks.chat.context import ContextUsage
from webui.ui.boot import with_boot
from webui.ui.chat.conversation import BadRequestError, manner_of
from webui.ui.chat.conversation_list import date_label
from webui.ui.chat.message_view import (
    LiveReply,
    MessageView,
    last_turns,
    message_views,
    statistics_line,
    status_line,
    usage_view,
)
from webui.ui.chat.sampling_values import from_panel, panel_values, rebased
from webui.ui.language import language_of, page_strings

JA, EN = Language.JA, Language.EN
TODAY = date(2026, 11, 21)


def message(number: int, role: Role, **changes: object) -> Message:
    plain = Message(
        id=f"m{number}",
        conversation_id="c",
        parent_id=None,
        role=role,
        content=f"text {number}",
        reasoning="",
        status=Status.COMPLETE,
        model_id="",
        stats={},
        created_at=0.0,
        version=1,
        num_versions=1,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def turns(count: int) -> list[Message]:
    return [
        message(number, Role.ASSISTANT if number % 2 else Role.USER) for number in range(2 * count)
    ]


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        ({"state": ReplyState.QUEUED, "num_waiting_ahead": 1}, "順番待ち 2番目"),
        ({"state": ReplyState.QUEUED}, "まもなく始まります"),
        ({"state": ReplyState.LOADING, "load_fraction": 0.42}, "モデルを読み込み中 42%"),
        (
            {"state": ReplyState.READING, "num_prompt_done": 512, "num_prompt_tokens": 4096},
            "読み込み中 512/4,096",
        ),
        ({"state": ReplyState.WRITING}, "書いています… 3 秒"),
    ],
)
def test_the_status_line_says_what_is_going_on(update: dict[str, object], expected: str) -> None:
    told = ReplyUpdate("m", **update)  # type: ignore[arg-type]
    assert status_line(told, 3.9, "", JA) == expected


def test_a_waiting_answer_says_what_it_waits_for() -> None:
    """It said "about to start" for 80 seconds while a summary had the model."""
    waits_for = "要約の処理を待っています"
    assert status_line(ReplyUpdate("m", ReplyState.QUEUED), 80.0, waits_for, JA) == waits_for
    third = ReplyUpdate("m", ReplyState.QUEUED, num_waiting_ahead=2)
    assert status_line(third, 80.0, waits_for, JA) == "順番待ち 3番目"


def test_statistics_are_four_numbers_with_units() -> None:
    stats = {
        "completion_tokens": 1234,
        "tokens_per_s": 14.26,
        "elapsed_s": 86.53,
        "time_to_first_token_s": 0.421,
        "finish_reason": "stop",
    }
    assert statistics_line(stats, JA) == [
        "1,234 トークン", "14.3 トークン/秒", "経過時間 86.5 秒", "最初の文字まで 0.42 秒",
    ]  # fmt: skip
    assert statistics_line({**stats, "time_to_first_token_s": None}, EN)[-1] == "86.5 s elapsed"
    assert statistics_line({}, JA) == []


def drawn(one: Message) -> MessageView:
    (view,) = message_views([one], [one], None, JA, "Model {}".format)
    return view


def test_an_answer_says_which_model_wrote_it() -> None:
    assert drawn(replace(message(1, Role.ASSISTANT), model_id="m"))["model"] == "Model m"
    assert drawn(message(0, Role.USER))["model"] == ""


def test_the_last_turns_begin_with_a_question() -> None:
    shown, num_earlier = last_turns(turns(12), 10)
    assert (len(shown), num_earlier, shown[0].role) == (20, 2, Role.USER)
    assert last_turns(turns(3), 10) == (turns(3), 0)


def test_the_first_turn_inside_the_window_is_marked() -> None:
    views = message_views(turns(4), turns(4), ContextUsage(4000, 4096, 4, 2), JA, str)
    assert [view["id"] for view in views if view["begins_window"]] == ["m4"]
    assert not any(
        view["begins_window"]
        for view in message_views(turns(4), turns(4), ContextUsage(9, 99, 4, 0), JA, str)
    )


def test_the_meter_warns_only_when_something_is_left_out() -> None:
    full = usage_view(ContextUsage(4000, 4096, 4, 2), JA)
    assert full is not None
    assert (full["label"], full["warning"]) == ("4,000 / 4,096", "古い2往復は入りきりません")
    fits = usage_view(ContextUsage(10, 4096, 1, 0), EN)
    assert fits is not None
    assert fits["warning"] == ""
    assert usage_view(None, JA) is None


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"status": Status.PARTIAL}, "途中で止まった"),
        ({"status": Status.ERROR, "stats": {"error": "具体的な一文"}}, "具体的な一文"),
        ({"status": Status.WRITING}, "書いています"),
        ({"stats": {"finish_reason": "length"}}, "最大トークン数"),
        ({"stats": {"finish_reason": "repetition"}}, "同じ言葉の繰り返し"),
    ],
)
def test_an_answer_that_did_not_end_well_says_so(changes: dict[str, object], part: str) -> None:
    view = drawn(message(1, Role.ASSISTANT, **changes))
    assert part in view["notice"]


def test_a_question_is_never_markup() -> None:
    view = drawn(message(0, Role.USER, content="**<b>**"))
    assert view["blocks"] == []
    assert view["text"] == "**<b>**"


def test_a_live_reply_ends_inactive() -> None:
    live = LiveReply("c", JA)
    assert live.view(ReplyUpdate("m", ReplyState.WRITING, text="あ"), 1.0, "")["active"]
    done = live.view(ReplyUpdate("m", ReplyState.DONE, text="あい"), 1.0, "")
    assert (done["active"], done["blocks"], done["status"]) == (False, ["<p>あい</p>\n"], "")


@pytest.mark.parametrize(
    ("day", "label"),
    [
        (date(2026, 11, 21), "今日"),
        (date(2026, 11, 22), "今日"),  # a clock that was set back
        (date(2026, 11, 20), "昨日"),
        (date(2026, 11, 14), "過去7日間"),
        (date(2026, 11, 13), "過去30日間"),
        (date(2026, 10, 1), "2026年10月"),
        (date(2025, 3, 1), "2025年3月"),
    ],
)
def test_dates_are_grouped_as_people_speak(day: date, label: str) -> None:
    assert date_label(day, TODAY, JA) == label


def test_the_language_is_japanese_until_another_is_chosen() -> None:
    assert language_of({}) is JA
    assert language_of({"kajogaki_language": "en"}) is EN
    assert language_of({"kajogaki_language": "xx"}) is JA
    assert set(page_strings(JA)) == set(page_strings(EN))


def test_the_panel_keeps_only_what_differs_from_the_defaults() -> None:
    assert from_panel(panel_values("短く", {})) == ("短く", {})
    values = panel_values("", {"temperature": 0.3, "seed": 7, "top_k": 0})
    assert from_panel(values) == ("", {"temperature": 0.3, "seed": 7, "top_k": 0})


def test_the_panel_shows_recommended_values_and_keeps_what_differs_from_them() -> None:
    recommended = {"temperature": 1.0, "presence_penalty": 2.0}
    values = panel_values("", {"top_k": 5}, recommended)
    assert from_panel(values, recommended) == ("", {"top_k": 5})
    assert from_panel(values)[1] == {"top_k": 5, "temperature": 1.0}
    assert rebased(values, recommended, {})[1:4] == panel_values("", {"top_k": 5})[1:4]


@pytest.mark.parametrize(
    ("data", "manner"),
    [
        ({}, {}),
        ({"manner": None}, {}),
        ({"manner": {"thinking": None, "variables": {}}}, {}),
        ({"manner": {"thinking": False}}, {"thinking": False}),
        ({"manner": {"variables": {"a": 1}, "more": 2}}, {"variables": {"a": 1}}),
    ],
)
def test_how_to_answer_comes_from_the_browser(data: object, manner: object) -> None:
    assert manner_of(data) == manner


@pytest.mark.parametrize("variables", [[], "x", {"a": []}, {"a": "x" * 101}, {"x" * 101: 1}])
def test_variables_that_no_page_sends_are_refused(variables: object) -> None:
    with pytest.raises(BadRequestError):
        manner_of({"manner": {"variables": variables}})
    with pytest.raises(BadRequestError):
        manner_of({"manner": {"thinking": "yes"}})


def test_our_head_comes_before_everything_of_gradios() -> None:
    page = with_boot('<html lang="en"><head><meta></head><body><gradio-app></body>', JA)
    assert page.index("window.kajogaki=") < page.index("<meta>")
    assert page.index('id="boot"') < page.index("<gradio-app")
    assert '<html lang="ja">' in page
    with pytest.raises(ValueError, match="no <head>"):
        with_boot("<html>", JA)
