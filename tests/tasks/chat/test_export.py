"""Exports as Markdown."""

from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from webui.storage import Role, Status, Storage
from webui.strings import Language
from webui.tasks.chat.export import to_markdown

JAPAN = timezone(timedelta(hours=9))


def conversation(*contents: str, **changes: Any) -> dict[str, Any]:
    messages = [message(number, content) for number, content in enumerate(contents, start=1)]
    return {
        "title": "題",
        "system_prompt": "",
        "created_at": 1_700_000_000.0,
        "leaf": len(messages) or None,
        "messages": messages,
        **changes,
    }


def message(number: int, content: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "parent": number - 1 or None,
        "role": "user" if number % 2 else "assistant",
        "content": content,
        "reasoning": "",
        "status": "complete",
        "model_id": "" if number % 2 else "tiny",
        **changes,
    }


def markdown(*conversations: dict[str, Any], language: Language = Language.JA) -> str:
    return to_markdown({"kajogaki": 1, "conversations": list(conversations)}, language, JAPAN)


def test_a_conversation_reads_from_title_to_last_answer() -> None:
    made = conversation("質問です", "**答え**です", system_prompt="短く\n\n答える")
    made["messages"][1]["reasoning"] = "考える"
    made["messages"][1]["status"] = "partial"
    assert markdown(made) == (
        "# 題\n\n"
        "2023年11月15日 07:13\n\n"
        "**システムプロンプト**\n\n"
        "> 短く\n>\n> 答える\n\n"
        "## あなた\n\n"
        "質問です\n\n"
        "## アシスタント (tiny)\n\n"
        "**考えた過程**\n\n"
        "> 考える\n\n"
        "**答え**です\n\n"
        "*（途中で止まった回答）*\n"
    )


def test_english_and_an_untitled_conversation() -> None:
    made = conversation("Hi", title="")
    assert markdown(made, language=Language.EN) == (
        "# Untitled conversation\n\n2023-11-15 07:13\n\n## You\n\nHi\n"
    )


def test_only_the_shown_path_is_written() -> None:
    made = conversation("質問", "最初の答え")
    made["messages"].append(message(3, "次の答え", parent=1, role="assistant"))
    assert "次の答え" not in markdown(made)
    made["leaf"] = 3
    assert "最初の答え" not in markdown(made)
    made["leaf"] = None
    assert "質問" not in markdown(made)


def test_several_conversations_are_parted_by_a_line() -> None:
    both = markdown(conversation("一", title="甲"), conversation("二", title="乙"))
    assert both.index("# 甲") < both.index("\n\n---\n\n") < both.index("# 乙")
    assert markdown() == "\n"


def test_a_title_is_shown_as_it_is() -> None:
    made = conversation(title="*a* <b> [c](d) `e` #\n$x$ ![i](http://x)")
    assert markdown(made).startswith(
        r"# \*a\* \<b\> \[c\](d) \`e\` \# \$x\$ \!\[i\](http://x)" + "\n"
    )


def test_an_open_code_block_does_not_swallow_the_next_message() -> None:
    for opened, closing in [
        ("見て\n```python\nx = 1", "```"),
        ("~~~~\n~~~\n```", "~~~~"),
        ("````md\n```\ninner\n```", "````"),
        ("```\ndone\n```\nand\n  ```\nopen", "```"),
    ]:
        written = markdown(conversation(opened, "次"))
        assert f"\n{closing}\n\n## アシスタント" in written
    for whole in ["```\nx\n```", "``` not `a` fence", "    ```", "text"]:
        assert f"{whole.strip()}\n\n## アシスタント" in markdown(conversation(whole, "次"))


@given(st.text())
def test_nothing_in_a_reasoning_ends_its_quote(reasoning: str) -> None:
    made = conversation("質問", "答え")
    made["messages"][1]["reasoning"] = reasoning
    quote = markdown(made).partition("考えた過程**\n\n")[2].partition("\n\n答え")[0]
    assert all(line.startswith(">") for line in quote.split("\n") if reasoning)


def test_what_storage_exports_can_be_written(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "k.db")
    id = storage.create_conversation("me").id
    asked = storage.add_message("me", id, Role.USER, "質問", parent_id=None)
    for status in Status:
        answer = storage.add_message("me", id, Role.ASSISTANT, "答え", parent_id=asked.id)
        storage.update_message("me", answer.id, status=status)
        for language in Language:
            assert "質問" in to_markdown(storage.export_conversation("me", id), language)
            assert "答え" in to_markdown(storage.export_all("me"), language)
    storage.close()
