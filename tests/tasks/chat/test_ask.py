"""Conversations that answer from documents: what is saved, shown again, exported and imported."""

import json
from pathlib import Path
from typing import Any

from tests.tasks.ask_world import LEAVE, ME, World, literal
from webui.storage import DocumentChoice, Message, Status
from webui.strings import Language
from webui.tasks.ask.result import answer_from
from webui.tasks.chat.chat import ReplyState, ReplyUpdate
from webui.tasks.chat.export import to_markdown

ALL = DocumentChoice(is_on=True)
SAYS = "年次有給休暇は、入社六か月後に十日です[1]。"


def conversation(desk: World, documents: DocumentChoice, *says: str, **sampling: Any) -> str:
    grammar = {"grammar": literal(*says)} if says else {"max_tokens": 4}
    made = desk.shelf.storage.create_conversation(
        ME, sampling={**grammar, **sampling}, documents=documents
    )
    return made.id


def ask(desk: World, conversation_id: str, question: str) -> list[ReplyUpdate]:
    desk.chat.send(ME, conversation_id, question)

    async def collect() -> list[ReplyUpdate]:
        return [update async for update in desk.chat.reply(ME, conversation_id)]

    return desk.runner.run(collect())


def last_message(desk: World, conversation_id: str) -> Message:
    return desk.shelf.storage.path(ME, conversation_id)[-1]


def test_an_answer_is_saved_with_what_it_rests_on(desk: World) -> None:
    chat = conversation(desk, ALL, SAYS)
    updates = ask(desk, chat, "年次有給休暇は何日もらえますか")
    last = updates[-1]
    assert last.state is ReplyState.DONE and last.answer and last.text == SAYS
    assert ReplyState.SEARCHING in {update.state for update in updates}
    message = last_message(desk, chat)
    assert (message.content, message.status) == (SAYS, Status.COMPLETE)
    assert answer_from(message.content, message.evidence) == last.answer
    assert message.stats["prompt_tokens"] > 50 and message.stats["tokens_per_s"] > 0
    assert last.answer.citations[0].quote == LEAVE


def test_a_follow_up_keeps_its_subject_over_several_turns(desk: World) -> None:
    chat = conversation(desk, ALL, SAYS)
    ask(desk, chat, "年次有給休暇は何日もらえますか")
    for question in ("それはいつですか", "その条件は？"):
        answer = ask(desk, chat, question)[-1].answer
        assert answer and "年次有給休暇" in answer.question and question in answer.question
        assert answer.passages[0].text.startswith(LEAVE)
    assert last_message(desk, chat).stats["cached_tokens"] > 100  # the passages


def test_without_the_switch_the_model_answers_alone(desk: World) -> None:
    chat = conversation(desk, DocumentChoice(), "はい。")
    assert ask(desk, chat, "年次有給休暇は何日もらえますか")[-1].answer is None
    assert last_message(desk, chat).evidence == {}
    desk.shelf.storage.update_conversation(ME, chat, documents=ALL)
    assert ask(desk, chat, "年次有給休暇は何日もらえますか")[-1].answer is not None


def test_what_is_not_in_the_documents_is_said_and_saved(desk: World) -> None:
    chat = conversation(desk, ALL)
    last = ask(desk, chat, "量子コンピューターの誤り訂正とは")[-1]
    assert last.state is ReplyState.DONE and last.text == "資料には見当たりません。"
    message = last_message(desk, chat)
    assert message.content == last.text and message.evidence["abstention"] == "nothing_relevant"


def test_a_choice_that_has_gone_is_one_sentence(desk: World) -> None:
    chat = conversation(desk, DocumentChoice(True, (), ("gone",)))
    last = ask(desk, chat, "年次有給休暇は？")[-1]
    assert last.state is ReplyState.ERROR and "選び直して" in last.error


def test_stopping_keeps_what_was_written(desk: World) -> None:
    chat = conversation(desk, ALL, ignore_eos=True, max_tokens=1500)
    desk.chat.send(ME, chat, "年次有給休暇は何日もらえますか")

    async def stop() -> str:
        updates = desk.chat.reply(ME, chat)
        async for update in updates:
            if len(update.text) > 10:
                await updates.aclose()
                return update.text
        raise AssertionError("it ended by itself")

    text = desk.runner.run(stop())
    message = last_message(desk, chat)
    assert message.status is Status.PARTIAL and message.content.startswith(text)


def test_an_export_has_the_sources_and_an_import_brings_them_back(desk: World) -> None:
    storage = desk.shelf.storage
    chat = conversation(desk, ALL, SAYS)
    answer = ask(desk, chat, "年次有給休暇は何日もらえますか")[-1].answer
    ask(desk, chat, "量子コンピューターの誤り訂正とは")
    exported = json.loads(json.dumps(storage.export_conversation(ME, chat)))
    shown = to_markdown(exported, Language.JA)
    assert f"**出典**\n\n- [1] 規程.pdf 2ページ: 「{LEAVE}」" in shown
    assert "**近い箇所**" in shown
    (copy,) = storage.import_conversations("somebody", exported)
    message = storage.path("somebody", copy)[1]
    assert answer_from(message.content, message.evidence) == answer
    assert storage.conversation("somebody", copy).documents == ALL


def test_the_context_meter_shows_what_was_read(desk: World) -> None:
    chat = conversation(desk, ALL, SAYS)
    ask(desk, chat, "年次有給休暇は何日もらえますか")
    usage = desk.runner.run(desk.chat.context_usage(ME, chat))
    assert usage and usage.num_tokens == last_message(desk, chat).stats["prompt_tokens"]


def test_evidence_of_strangers_does_no_harm(desk: World, tmp_path: Path) -> None:
    """An imported file may say anything; it is shown as an ordinary answer then."""
    storage = desk.shelf.storage
    chat = conversation(desk, ALL, SAYS)
    ask(desk, chat, "年次有給休暇は何日もらえますか")
    exported = json.loads(json.dumps(storage.export_conversation(ME, chat)))
    evidence = exported["conversations"][0]["messages"][1]["evidence"]
    spoiled: list[dict[str, Any]] = [
        {"passages": 5},
        {**evidence, "citations": [{**evidence["citations"][0], "end": 10**9}]},
        {**evidence, "abstention": "no such"},
        {**evidence, "passages": [{**evidence["passages"][0], "span": None}]},
    ]
    for values in spoiled:
        exported["conversations"][0]["messages"][1]["evidence"] = values
        (copy,) = storage.import_conversations("somebody", exported)
        message = storage.path("somebody", copy)[1]
        assert answer_from(message.content, message.evidence) is None
        assert "出典" not in to_markdown(exported, Language.JA)
