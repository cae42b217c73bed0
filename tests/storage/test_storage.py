"""Conversations, their trees, search, presets: what the rest of the program relies on."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from webui.errors import AppError
from webui.storage import (
    DocumentChoice,
    InvalidExportError,
    Message,
    NotFoundError,
    Role,
    Status,
    Storage,
)
from webui.strings import Language

ME, OTHER = "me", "somebody else"


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    storage = Storage(tmp_path / "kajogaki.db")
    yield storage
    storage.close()


def say(storage: Storage, conversation_id: str, *contents: str) -> list[Message]:
    """Appends user and assistant messages in turn after the shown leaf."""
    added = []
    for content in contents:
        parent_id = storage.conversation(ME, conversation_id).leaf_id
        parent = storage.message(ME, parent_id) if parent_id else None
        role = Role.ASSISTANT if parent and parent.role is Role.USER else Role.USER
        added.append(storage.add_message(ME, conversation_id, role, content, parent_id=parent_id))
    return added


def shown(storage: Storage, conversation_id: str) -> list[str]:
    return [message.content for message in storage.path(ME, conversation_id)]


def chat(storage: Storage, *contents: str) -> str:
    """A new conversation with these messages."""
    id = storage.create_conversation(ME).id
    say(storage, id, *contents)
    return id


# --- conversations -------------------------------------------------------------------------------


def test_a_new_conversation_is_empty_and_keeps_its_settings(storage: Storage) -> None:
    made = storage.create_conversation(
        ME, system_prompt="短く答える", sampling={"temperature": 0.2}, model_id="tiny"
    )
    assert made == storage.conversation(ME, made.id)
    assert (made.title, made.title_is_auto, made.leaf_id) == ("", True, None)
    assert (made.system_prompt, made.sampling, made.model_id) == (
        "短く答える",
        {"temperature": 0.2},
        "tiny",
    )
    assert storage.path(ME, made.id) == []


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    first = Storage(tmp_path / "k.db")
    id = chat(first, "質問", "答え")
    first.update_conversation(ME, id, title="題", title_is_auto=False)
    first.save_preset(ME, "厳密", {"temperature": 0})
    first.set_setting(ME, "language", "en")
    before = first.export_all(ME)
    first.close()
    again = Storage(tmp_path / "k.db")
    assert again.export_all(ME) == before
    assert again.presets(ME) == {"厳密": {"temperature": 0}}
    assert again.setting(ME, "language", "ja") == "en"
    again.close()


def test_a_conversation_remembers_which_documents_it_answers_from(storage: Storage) -> None:
    made = storage.create_conversation(ME)
    assert made.documents == DocumentChoice() and made.documents.is_everything
    choice = DocumentChoice(True, ("規程集",), ("a", "b"))
    storage.update_conversation(ME, made.id, documents=choice)
    storage.update_conversation(ME, made.id, title="題")
    assert storage.conversation(ME, made.id).documents == choice
    assert storage.create_conversation(ME, documents=choice).documents == choice


def test_what_an_answer_rests_on_stays_with_it(storage: Storage) -> None:
    id = chat(storage, "質問", "答え")
    question, answer = storage.path(ME, id)
    evidence = {"passages": [{"file": "契約書.pdf", "page": 3, "text": "十日\ud800"}]}
    storage.update_message(ME, answer.id, evidence=evidence)
    storage.update_message(ME, answer.id, content="直した答え")
    kept = storage.message(ME, answer.id).evidence
    assert kept == {"passages": [{"file": "契約書.pdf", "page": 3, "text": "十日\ufffd"}]}
    assert storage.message(ME, question.id).evidence == {}
    storage.update_conversation(ME, id, documents=DocumentChoice(True, (), ("a",)))
    exported = json.loads(json.dumps(storage.export_conversation(ME, id)))
    (copy,) = storage.import_conversations(OTHER, exported)
    assert storage.path(OTHER, copy)[1].evidence == kept
    assert storage.conversation(OTHER, copy).documents == DocumentChoice(True, (), ("a",))


def test_an_update_changes_only_what_is_given(storage: Storage) -> None:
    made = storage.create_conversation(ME, system_prompt="a", sampling={"top_k": 1}, model_id="m")
    changed = storage.update_conversation(ME, made.id, system_prompt="")
    assert changed.system_prompt == ""
    assert (changed.sampling, changed.model_id) == ({"top_k": 1}, "m")
    assert storage.update_conversation(ME, made.id, sampling={}).sampling == {}


def test_an_automatic_title_never_replaces_a_persons(storage: Storage) -> None:
    id = storage.create_conversation(ME).id
    storage.update_conversation(ME, id, title="自動", title_is_auto=True)
    storage.update_conversation(ME, id, title="私の題", title_is_auto=False)
    late = storage.update_conversation(ME, id, title="遅い自動", title_is_auto=True)
    assert (late.title, late.title_is_auto) == ("私の題", False)


def test_a_title_is_one_short_line(storage: Storage) -> None:
    id = storage.create_conversation(ME).id
    assert storage.update_conversation(ME, id, title=" 一\n二\t 三 ").title == "一 二 三"
    assert len(storage.update_conversation(ME, id, title="長" * 5000).title) == 200


def test_the_list_is_newest_message_first(storage: Storage) -> None:
    first, second, third = (chat(storage, text) for text in ("一", "二", "三"))
    say(storage, first, "また")
    storage.update_conversation(ME, second, title="renaming does not move it")
    assert [item.id for item in storage.conversations(ME)] == [first, third, second]
    assert [item.id for item in storage.conversations(ME, limit=1, offset=1)] == [third]
    assert storage.conversations(ME, limit=-5, offset=-(10**30)) == []
    assert storage.conversations(ME, limit=10**30, offset=10**30) == []


def test_a_deleted_conversation_is_hidden_everywhere_until_restored(storage: Storage) -> None:
    id = chat(storage, "猫", "返事")
    message = storage.path(ME, id)[0]
    before = storage.export_all(ME)
    storage.delete_conversation(ME, id)
    assert storage.conversations(ME) == storage.conversations(ME, "猫") == []
    assert storage.export_all(ME)["conversations"] == []
    with pytest.raises(NotFoundError):
        storage.path(ME, id)
    with pytest.raises(NotFoundError):
        storage.update_message(ME, message.id, content="x")
    with pytest.raises(NotFoundError):
        storage.delete_conversation(ME, id)
    storage.restore_conversation(ME, id)
    assert storage.export_all(ME) == before
    storage.restore_conversation(ME, id)  # twice does no harm


def test_purging_removes_old_deleted_conversations_only(storage: Storage) -> None:
    kept, deleted = chat(storage, "残す"), chat(storage, "消す", "返事", "もう一つ")
    storage.delete_conversation(ME, deleted)
    assert storage.purge_deleted(older_than_s=3600) == 0
    assert storage.purge_deleted(older_than_s=0) == 1
    with pytest.raises(NotFoundError):
        storage.restore_conversation(ME, deleted)
    assert shown(storage, kept) == ["残す"]


def test_an_answer_cut_by_deleting_its_conversation_comes_back_as_partial(
    storage: Storage,
) -> None:
    id = chat(storage, "質問")
    storage.add_message(
        ME, id, Role.ASSISTANT, "途中", parent_id=storage.path(ME, id)[0].id, status=Status.WRITING
    )
    storage.delete_conversation(ME, id)
    storage.restore_conversation(ME, id)
    assert storage.path(ME, id)[-1].status is Status.PARTIAL


def test_deleted_text_is_not_left_in_the_file(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "k.db")
    secret = "himitsu-no-bun " * 1000
    storage.delete_conversation(ME, chat(storage, secret))
    storage.delete_message(ME, storage.path(ME, chat(storage, secret))[0].id)
    storage.purge_deleted(0)
    storage.close()
    files = list(tmp_path.iterdir())
    assert files == [tmp_path / "k.db"]
    assert b"himitsu" not in files[0].read_bytes()


# --- owners --------------------------------------------------------------------------------------

Call = Callable[[Storage, str, str, str], object]

OWNED_CALLS: dict[str, Call] = {
    "conversation": lambda s, who, conversation, _: s.conversation(who, conversation),
    "update": lambda s, who, conversation, _: s.update_conversation(who, conversation, title="x"),
    "delete": lambda s, who, conversation, _: s.delete_conversation(who, conversation),
    "restore": lambda s, who, conversation, _: s.restore_conversation(who, conversation),
    "add": lambda s, who, conversation, _: s.add_message(
        who, conversation, Role.USER, "x", parent_id=None
    ),
    "path": lambda s, who, conversation, _: s.path(who, conversation),
    "undo": lambda s, who, conversation, _: s.undo(who, conversation),
    "export": lambda s, who, conversation, _: s.export_conversation(who, conversation),
    "message": lambda s, who, _, message: s.message(who, message),
    "update_message": lambda s, who, _, message: s.update_message(who, message, content="x"),
    "show_version": lambda s, who, _, message: s.show_version(who, message, 1),
    "delete_message": lambda s, who, _, message: s.delete_message(who, message),
}


@pytest.mark.parametrize("name", OWNED_CALLS)
@pytest.mark.parametrize("is_deleted", [False, True])
def test_another_owner_learns_and_changes_nothing(
    storage: Storage, name: str, is_deleted: bool
) -> None:
    id = chat(storage, "私の話", "返事")
    message = storage.path(ME, id)[0]
    before = storage.export_all(ME)
    if is_deleted:
        storage.delete_conversation(ME, id)
    errors = []
    for conversation_id, message_id in [(id, message.id), ("unknown", "unknown"), ("\ud800", "")]:
        with pytest.raises(NotFoundError) as caught:
            OWNED_CALLS[name](storage, OTHER, conversation_id, message_id)
        errors.append((type(caught.value), caught.value.args))
    assert errors[0] == errors[1] == errors[2]
    assert storage.conversations(OTHER, "私") == []
    if is_deleted:
        storage.restore_conversation(ME, id)
    assert storage.export_all(ME) == before


def test_a_message_cannot_be_hung_below_another_conversation(storage: Storage) -> None:
    mine, other_talk = chat(storage, "一"), chat(storage, "二")
    foreign = storage.create_conversation(OTHER)
    stranger = storage.add_message(OTHER, foreign.id, Role.USER, "x", parent_id=None)
    for parent_id in (storage.path(ME, other_talk)[0].id, stranger.id, "unknown"):
        with pytest.raises(NotFoundError):
            storage.add_message(ME, mine, Role.USER, "x", parent_id=parent_id)
    assert shown(storage, mine) == ["一"]


def test_presets_and_settings_belong_to_their_owner(storage: Storage) -> None:
    storage.save_preset(ME, "a", {"top_k": 1})
    storage.save_preset(ME, "a", {"top_k": 2})
    storage.set_setting(ME, "key", "mine")
    assert storage.presets(ME) == {"a": {"top_k": 2}}
    assert storage.presets(OTHER) == {}
    assert storage.setting(OTHER, "key", "default") == "default"
    with pytest.raises(NotFoundError):
        storage.delete_preset(OTHER, "a")
    storage.delete_preset(ME, "a")
    assert storage.presets(ME) == {}


# --- the message tree ----------------------------------------------------------------------------


def test_siblings_are_versions_and_each_brings_back_its_branch(storage: Storage) -> None:
    id = chat(storage, "質問", "答え1", "続き", "続きの答え")
    question, answer, *_ = storage.path(ME, id)
    second = storage.add_message(ME, id, Role.ASSISTANT, "答え2", parent_id=question.id)
    assert shown(storage, id) == ["質問", "答え2"]
    assert (second.version, second.num_versions) == (2, 2)
    storage.show_version(ME, second.id, 1)
    assert shown(storage, id) == ["質問", "答え1", "続き", "続きの答え"]
    assert [(m.version, m.num_versions) for m in storage.path(ME, id)] == [
        (1, 1),
        (1, 2),
        (1, 1),
        (1, 1),
    ]
    storage.show_version(ME, answer.id, 2)
    assert shown(storage, id) == ["質問", "答え2"]
    for version in (0, 3, -1, 10**30):
        with pytest.raises(NotFoundError):
            storage.show_version(ME, answer.id, version)


def test_a_version_comes_back_at_the_branch_where_the_talk_last_went_on(storage: Storage) -> None:
    id = chat(storage, "一", "答え")
    first = storage.path(ME, id)[0]
    old = say(storage, id, "古い枝")[0]
    storage.add_message(ME, id, Role.USER, "新しい枝", parent_id=old.parent_id)
    storage.show_version(ME, old.id, 1)
    say(storage, id, "古い枝の続き")  # younger than the newer branch
    storage.add_message(ME, id, Role.USER, "別の一", parent_id=None)
    storage.show_version(ME, first.id, 1)
    assert shown(storage, id) == ["一", "答え", "古い枝", "古い枝の続き"]


def test_undo_steps_back_one_turn_and_deletes_nothing(storage: Storage) -> None:
    id = chat(storage, "一", "答え一", "二", "答え二")
    assert storage.undo(ME, id) == "二"
    assert shown(storage, id) == ["一", "答え一"]
    assert storage.undo(ME, id) == "一"
    assert shown(storage, id) == []
    assert storage.undo(ME, id) == ""
    again = say(storage, id, "一の言い直し")[0]
    assert (again.version, again.num_versions) == (2, 2)
    storage.show_version(ME, again.id, 1)
    assert shown(storage, id) == ["一", "答え一", "二", "答え二"]


def test_deleting_a_message_deletes_what_follows_and_shows_the_newest_sibling(
    storage: Storage,
) -> None:
    id = chat(storage, "質問", "答え1", "続き")
    question, answer, *_ = storage.path(ME, id)
    second = storage.add_message(ME, id, Role.ASSISTANT, "答え2", parent_id=question.id)
    storage.delete_message(ME, second.id)
    assert shown(storage, id) == ["質問", "答え1", "続き"]
    storage.delete_message(ME, answer.id)
    assert shown(storage, id) == ["質問"]
    assert len(storage.export_conversation(ME, id)["conversations"][0]["messages"]) == 1
    storage.delete_message(ME, question.id)
    assert shown(storage, id) == []


def test_deleting_a_hidden_version_leaves_the_shown_path(storage: Storage) -> None:
    id = chat(storage, "質問", "答え1")
    question, hidden = storage.path(ME, id)
    storage.add_message(ME, id, Role.ASSISTANT, "答え2", parent_id=question.id)
    storage.add_message(ME, id, Role.ASSISTANT, "答え3", parent_id=question.id)
    storage.show_version(ME, hidden.id, 2)
    storage.delete_message(ME, hidden.id)
    path = storage.path(ME, id)
    assert [m.content for m in path] == ["質問", "答え2"]
    assert (path[1].version, path[1].num_versions) == (1, 2)


def test_a_very_long_path_can_be_read_and_deleted(storage: Storage) -> None:
    """Regression: foreign keys that cascade stop at 1,000 levels."""
    parents = [None, *range(1, 3000)]
    archived = {
        **ARCHIVED,
        "leaf": 3000,
        "messages": [
            {**MESSAGE, "id": number, "parent": parent}
            for number, parent in enumerate(parents, start=1)
        ],
    }
    (id,) = storage.import_conversations(ME, {"kajogaki": 1, "conversations": [archived]})
    path = storage.path(ME, id)
    assert len(path) == 3000
    storage.delete_message(ME, path[1].id)
    assert storage.path(ME, id)[-1].id == path[0].id
    storage.delete_conversation(ME, id)
    assert storage.purge_deleted(0) == 1


def test_an_answer_grows_and_is_finished(storage: Storage) -> None:
    id = chat(storage, "質問")
    answer = storage.add_message(
        ME, id, Role.ASSISTANT, "", parent_id=storage.path(ME, id)[0].id, status=Status.WRITING
    )
    storage.update_message(ME, answer.id, content="途", reasoning="考え")
    storage.update_message(ME, answer.id, content="途中まで")
    storage.update_message(ME, answer.id, status=Status.COMPLETE, stats={"elapsed_s": 1.5})
    done = storage.message(ME, answer.id)
    assert (done.content, done.reasoning) == ("途中まで", "考え")
    assert (done.status, done.stats) == (Status.COMPLETE, {"elapsed_s": 1.5})


def test_answers_that_nobody_writes_any_more_become_partial(storage: Storage) -> None:
    id = chat(storage, "質問", "答え")
    storage.add_message(ME, id, Role.ASSISTANT, "途中", parent_id=None, status=Status.WRITING)
    other = storage.create_conversation(OTHER)
    storage.add_message(OTHER, other.id, Role.ASSISTANT, "", parent_id=None, status=Status.WRITING)
    assert storage.mark_interrupted() == 2
    assert storage.mark_interrupted() == 0
    assert [m.status for m in storage.path(ME, id)] == [Status.PARTIAL]
    assert [m.status for m in storage.path(OTHER, other.id)] == [Status.PARTIAL]


# --- any text ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("a\x00b", "a\ufffdb"),
        ("lone \ud800 and \udfff", "lone \ufffd and \ufffd"),
        ("\ud83d\ude00", "😀"),  # two halves of one character
        ("\x1b[31m\u202e\r\n", "\x1b[31m\u202e\r\n"),
        ("", ""),
    ],
)
def test_any_text_can_be_stored(storage: Storage, given: str, stored: str) -> None:
    made = storage.create_conversation(given, system_prompt=given, sampling={"grammar": given})
    assert made.owner == made.system_prompt == made.sampling["grammar"] == stored
    message = storage.add_message(given, made.id, Role.USER, given, parent_id=None)
    storage.update_message(given, message.id, reasoning=given, stats={"note": [given]})
    found = storage.message(given, message.id)
    assert (found.content, found.reasoning, found.stats) == (stored, stored, {"note": [stored]})
    storage.update_conversation(given, made.id, title=given)
    storage.set_setting(given, given, given)
    assert storage.setting(given, given) == stored
    storage.save_preset(given, given, {given: given})
    assert list(storage.presets(given).values()) == [{stored: stored}]
    assert json.dumps(storage.export_all(given), ensure_ascii=False).encode()
    assert [item.id for item in storage.conversations(given, given)] == [made.id]


def test_a_megabyte_is_an_ordinary_message(storage: Storage) -> None:
    text = "長い文章です。" * 150_000
    id = chat(storage, text + "終わりの目印" + text)
    assert storage.path(ME, id)[0].content == text + "終わりの目印" + text
    (found,) = storage.conversations(ME, "終わりの目印")
    assert "終わりの目印" in found.snippet and len(found.snippet) < 200


def test_text_without_end_is_refused_with_a_sentence(storage: Storage) -> None:
    id = storage.create_conversation(ME).id
    with pytest.raises(AppError, match="too long") as caught:
        storage.add_message(ME, id, Role.USER, "x" * 10_000_001, parent_id=None)
    assert "10,000,000文字" in caught.value.message(Language.JA)
    assert storage.path(ME, id) == []


# --- search --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("カナです", "ｶﾅ"),
        ("ｶﾞﾗｽの靴", "ガラス"),
        ("ABC", "ａｂｃ"),
        ("ＡＢＣ", "abc"),
        ("Straße", "STRASSE"),
        ("薔薇が咲いた", "薔"),
        ("薔薇が咲いた", "が咲"),
        ("100%の力", "100%"),
        ("snake_case", "e_c"),
        ("back\\slash", "\\"),
        ('it\'s "quoted"', "'s \"q"),
        ("①番", "1番"),
        ("か\u3099", "が"),
        ("改行の\n前後", "の\n前"),
        ("two\n words", "two words"),
        ("\u01f0\u0323", "J\u0323\u030c"),  # equal only if normalised after case folding too
        ("絵文字😀", "😀"),
        ("前後の空白", "  前後　"),
    ],
)
def test_search_finds_any_part_in_any_width_or_case(
    storage: Storage, text: str, query: str
) -> None:
    id = chat(storage, "別の話", f"はじめに。{text}。おわり")
    chat(storage, "関係のない会話")
    (found,) = storage.conversations(ME, query)
    assert found.id == id
    assert text.split("\n")[0] in found.snippet
    storage.update_conversation(ME, id, title=text)
    storage.delete_message(ME, storage.path(ME, id)[0].id)
    (by_title,) = storage.conversations(ME, query)
    assert (by_title.id, by_title.snippet) == (id, "")


@pytest.mark.parametrize("query", ["%", "_", "a%c", "abd", "ガ", "*", '"', "a b"])
def test_search_takes_every_character_literally(storage: Storage, query: str) -> None:
    chat(storage, "abc カキ")
    assert storage.conversations(ME, query) == []


def test_search_sees_other_versions_and_changed_text(storage: Storage) -> None:
    id = chat(storage, "質問", "最初の答え")
    answer = storage.path(ME, id)[1]
    storage.add_message(ME, id, Role.ASSISTANT, "次の答え", parent_id=answer.parent_id)
    assert storage.conversations(ME, "最初")[0].snippet == "最初の答え"
    storage.update_message(ME, answer.id, content="直した答え")
    assert storage.conversations(ME, "最初") == []
    assert storage.conversations(ME, "直した")[0].id == id
    assert storage.conversations(ME, "答え")[0].snippet == "次の答え"


def test_search_results_are_newest_first_and_paged(storage: Storage) -> None:
    ids = [chat(storage, f"猫の話 {number}") for number in range(5)][::-1]
    assert [item.id for item in storage.conversations(ME, "猫", limit=3)] == ids[:3]
    assert [item.id for item in storage.conversations(ME, "猫", limit=3, offset=3)] == ids[3:]


def test_a_snippet_is_one_line_around_the_match(storage: Storage) -> None:
    chat(storage, "前" * 500 + "\n\n目印\n" + "後" * 500)
    snippet = storage.conversations(ME, "目印")[0].snippet
    assert snippet.startswith("…前") and snippet.endswith("後…")
    assert "前 目印 後" in snippet


# --- export and import ---------------------------------------------------------------------------

MESSAGE: dict[str, Any] = {
    "id": 1,
    "parent": None,
    "role": "user",
    "content": "質問",
    "reasoning": "",
    "status": "complete",
    "model_id": "",
    "stats": {},
    "created_at": 1_700_000_000.5,
}
ANSWER: dict[str, Any] = {
    **MESSAGE,
    "id": 2,
    "parent": 1,
    "role": "assistant",
    "content": "答え",
    "reasoning": "考え",
    "status": "partial",
    "model_id": "tiny",
    "stats": {"tokens": 3, "list": [1, None, "x"]},
}
ARCHIVED: dict[str, Any] = {
    "title": "題",
    "title_is_auto": False,
    "system_prompt": "短く",
    "sampling": {"temperature": 0.5},
    "model_id": "tiny",
    "created_at": 1_700_000_000,
    "updated_at": 1_700_000_001.25,
    "leaf": 2,
    "messages": [MESSAGE, ANSWER],
}


def test_an_export_can_be_imported_by_somebody_else(storage: Storage) -> None:
    id = chat(storage, "質問", "答え", "続き")
    storage.add_message(
        ME, id, Role.ASSISTANT, "別", parent_id=storage.path(ME, id)[0].id, model_id="tiny"
    )
    chat(storage, "もう一つ")
    exported = json.loads(json.dumps(storage.export_all(ME)))
    new_ids = storage.import_conversations(OTHER, exported)
    assert storage.export_all(OTHER) == exported
    assert [item.id for item in storage.conversations(OTHER)] == new_ids
    assert id not in new_ids
    assert id not in json.dumps(exported)  # a file that is passed on tells no ids


def test_a_written_by_hand_export_is_read(storage: Storage) -> None:
    data = {"kajogaki": 1, "conversations": [ARCHIVED]}
    (id,) = storage.import_conversations(ME, data)
    assert storage.export_conversation(ME, id) == data
    assert storage.conversations(ME, "答え")[0].id == id


def test_an_imported_conversation_keeps_the_model_that_answered_last(storage: Storage) -> None:
    data = {"kajogaki": 1, "conversations": [{**ARCHIVED, "model_id": ""}]}
    (id,) = storage.import_conversations(ME, data)
    assert storage.conversation(ME, id).model_id == "tiny"


def test_the_first_answer_gives_a_conversation_its_model(storage: Storage) -> None:
    id = storage.create_conversation(ME).id
    storage.add_message(ME, id, Role.USER, "質問", parent_id=None, model_id="no answer")
    assert storage.conversation(ME, id).model_id == ""
    for model_id in ("", "first", "second"):
        storage.add_message(ME, id, Role.ASSISTANT, "答え", parent_id=None, model_id=model_id)
    assert storage.conversation(ME, id).model_id == "first"


def test_an_answer_that_is_being_written_is_exported_as_partial(storage: Storage) -> None:
    id = storage.create_conversation(ME).id
    storage.add_message(ME, id, Role.ASSISTANT, "途", parent_id=None, status=Status.WRITING)
    (message,) = storage.export_conversation(ME, id)["conversations"][0]["messages"]
    assert message["status"] == "partial"
    storage.import_conversations(OTHER, storage.export_all(ME))


def in_message(**changes: Any) -> dict[str, Any]:
    return {**ARCHIVED, "messages": [MESSAGE, {**ANSWER, **changes}]}


def without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"x": value}
    return value


endless: dict[str, Any] = {}
endless["x"] = endless

BAD_CONVERSATIONS: list[tuple[object, str]] = [
    ("text", "conversations[1]"),
    (without(ARCHIVED, "title"), "conversations[1].title"),
    ({**ARCHIVED, "owner": ME}, "conversations[1].owner"),
    (dict[object, object](ARCHIVED) | {7: ME}, "conversations[1].7"),
    ({**ARCHIVED, "\ud800" * 10_000: 1}, "conversations[1]."),
    ({**ARCHIVED, "title": 5}, "conversations[1].title"),
    ({**ARCHIVED, "title": "x" * 201}, "conversations[1].title"),
    ({**ARCHIVED, "title_is_auto": 1}, "conversations[1].title_is_auto"),
    ({**ARCHIVED, "sampling": []}, "conversations[1].sampling"),
    ({**ARCHIVED, "sampling": {1: 2}}, "conversations[1].sampling"),
    ({**ARCHIVED, "sampling": {"x": float("nan")}}, "conversations[1].sampling"),
    ({**ARCHIVED, "sampling": {"x": float("inf")}}, "conversations[1].sampling"),
    ({**ARCHIVED, "sampling": {"x": 10**5000}}, "conversations[1].sampling"),
    ({**ARCHIVED, "sampling": {"x": b"bytes"}}, "conversations[1].sampling"),
    ({**ARCHIVED, "sampling": {"x": [0] * 10_001}}, "conversations[1].sampling"),
    ({**ARCHIVED, "sampling": nested(7)}, "conversations[1].sampling"),
    ({**ARCHIVED, "sampling": endless}, "conversations[1].sampling"),
    ({**ARCHIVED, "created_at": "2020"}, "conversations[1].created_at"),
    ({**ARCHIVED, "created_at": -1}, "conversations[1].created_at"),
    ({**ARCHIVED, "created_at": True}, "conversations[1].created_at"),
    ({**ARCHIVED, "updated_at": 10**5000}, "conversations[1].updated_at"),
    ({**ARCHIVED, "updated_at": float("nan")}, "conversations[1].updated_at"),
    ({**ARCHIVED, "leaf": 3}, "conversations[1].leaf"),
    ({**ARCHIVED, "leaf": "1"}, "conversations[1].leaf"),
    ({**ARCHIVED, "messages": {}}, "conversations[1].messages"),
    ({**ARCHIVED, "messages": [MESSAGE, None]}, "conversations[1].messages[1]"),
    ({**ARCHIVED, "messages": [MESSAGE] * 200_001}, "conversations[1].messages"),
    (in_message(id=1), "conversations[1].messages[1].id"),
    (in_message(id=None), "conversations[1].messages[1].id"),
    (in_message(parent=2), "conversations[1].messages[1].parent"),  # its own parent
    (in_message(parent=3), "conversations[1].messages[1].parent"),
    (in_message(parent=0), "conversations[1].messages[1].parent"),
    (in_message(parent=True), "conversations[1].messages[1].parent"),
    (in_message(parent=1.0), "conversations[1].messages[1].parent"),
    (in_message(role="system"), "conversations[1].messages[1].role"),
    (in_message(role=["user"]), "conversations[1].messages[1].role"),
    (in_message(status="writing"), "conversations[1].messages[1].status"),
    (in_message(content=None), "conversations[1].messages[1].content"),
    (in_message(content="x" * 10_000_001), "conversations[1].messages[1].content"),
    (in_message(stats={"x": {"y": object()}}), "conversations[1].messages[1].stats"),
    (in_message(model_id="m" * 201), "conversations[1].messages[1].model_id"),
    (in_message(evidence=nested(7)), "conversations[1].messages[1].evidence"),
    ({**ARCHIVED, "documents": {"is_on": True}}, "conversations[1].documents.collection_ids"),
    ({**ARCHIVED, "documents": []}, "conversations[1].documents"),
    (
        {
            **ARCHIVED,
            "documents": {"is_on": 1, "collection_ids": [], "document_ids": []},
        },
        "conversations[1].documents.is_on",
    ),
    (
        {
            **ARCHIVED,
            "documents": {"is_on": True, "collection_ids": [], "document_ids": [5]},
        },
        "conversations[1].documents.document_ids[0]",
    ),
]


@pytest.mark.parametrize(("conversation", "where"), BAD_CONVERSATIONS)
def test_a_bad_export_is_refused_whole_and_the_place_is_named(
    storage: Storage, conversation: object, where: str
) -> None:
    data = {"kajogaki": 1, "conversations": [ARCHIVED, conversation]}
    with pytest.raises(InvalidExportError) as caught:
        storage.import_conversations(ME, data)
    for language in Language:
        sentence = caught.value.message(language)
        assert where in sentence and len(sentence) < 400
        assert sentence.encode()  # no lone surrogate in it
    assert storage.conversations(ME) == []


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "{}",
        {},
        {"conversations": []},
        {"kajogaki": 2, "conversations": []},
        {"kajogaki": True, "conversations": []},
        {"kajogaki": 1},
        {"kajogaki": 1, "conversations": {}},
        {"kajogaki": 1, "conversations": [ARCHIVED] * 10_001},
        {"kajogaki": 1, "conversations": [], "more": 1},
    ],
)
def test_what_is_not_our_export_is_refused(storage: Storage, data: object) -> None:
    with pytest.raises(InvalidExportError):
        storage.import_conversations(ME, data)
    assert storage.conversations(ME) == []


def test_unclean_text_in_an_import_is_cleaned(storage: Storage) -> None:
    bad = {**in_message(content="a\ud800\x00", stats={"\ud800": "\x00"}), "title": "\ud800\n題"}
    (id,) = storage.import_conversations(ME, {"kajogaki": 1, "conversations": [bad]})
    message = storage.path(ME, id)[1]
    assert (message.content, message.stats) == ("a\ufffd\ufffd", {"\ufffd": "\ufffd"})
    assert storage.conversation(ME, id).title == "\ufffd 題"
