"""Storage against a simple model in memory, and exports against whatever a file may hold."""

import copy
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tests.budget import examples
from webui.errors import AppError
from webui.storage import NotFoundError, Role, Status, Storage
from webui.storage.texts import search_key, snippet

OWNERS = ("alice", "bob")


@contextmanager
def open_storage() -> Iterator[Storage]:
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(Path(folder) / "k.db")
        try:
            yield storage
        finally:
            storage.close()


# --- the message tree ----------------------------------------------------------------------------


@dataclass
class Node:
    """A message of the model; `children` are oldest first."""

    parent: "Node | None"
    role: Role
    content: str
    status: Status
    order: int
    id: str = ""
    children: list["Node"] = field(default_factory=list)

    def subtree(self) -> list["Node"]:
        return [self] + [node for child in self.children for node in child.subtree()]


@dataclass
class Talk:
    """A conversation of the model; `root` is no message but the parent of the first ones."""

    id: str
    owner: str
    root: Node = field(default_factory=lambda: Node(None, Role.USER, "", Status.COMPLETE, 0))
    leaf: Node | None = None
    is_deleted: bool = False

    def path(self) -> list[Node]:
        nodes: list[Node] = []
        node = self.leaf
        while node is not None and node is not self.root:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]


class StorageMachine(RuleBasedStateMachine):
    talks = Bundle("talks")
    nodes = Bundle("nodes")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "k.db"
        self.storage = Storage(self.file)
        self.model: list[Talk] = []
        self.gone: set[int] = set()  # id() of deleted nodes; `nodes` keeps them alive
        self.clock = 0

    def teardown(self) -> None:
        self.storage.close()
        self.folder.cleanup()

    @rule(target=talks, owner=st.sampled_from(OWNERS))
    def create(self, owner: str) -> Talk:
        talk = Talk(self.storage.create_conversation(owner).id, owner)
        self.model.append(talk)
        return talk

    @rule(
        target=nodes,
        talk=talks,
        role=st.sampled_from(Role),
        status=st.sampled_from(Status),
        place=st.integers(0, 20),
    )
    def add(self, talk: Talk, role: Role, status: Status, place: int) -> tuple[Talk, Node]:
        """Below the leaf mostly, else anywhere."""
        assume(not talk.is_deleted)
        anywhere = talk.root.subtree()
        parent = anywhere[place] if place < len(anywhere) else talk.leaf or talk.root
        self.clock += 1
        node = Node(parent, role, f"text {self.clock}", status, self.clock)
        added = self.storage.add_message(
            talk.owner,
            talk.id,
            role,
            node.content,
            parent_id=parent.id or None,
            status=status,
        )
        node.id = added.id
        parent.children.append(node)
        talk.leaf = node
        return talk, node

    @rule(at=nodes, content=st.text(max_size=5), status=st.sampled_from(Status))
    def update(self, at: tuple[Talk, Node], content: str, status: Status) -> None:
        talk, node = at
        if self.is_hidden(talk, node):
            with pytest.raises(NotFoundError):
                self.storage.update_message(talk.owner, node.id, content=content)
            return
        node.content, node.status = content.replace("\x00", "\ufffd"), status
        self.storage.update_message(talk.owner, node.id, content=content, status=status)

    @rule(at=nodes, version=st.integers(-1, 6))
    def show_version(self, at: tuple[Talk, Node], version: int) -> None:
        talk, node = at
        siblings = node.parent.children if node.parent else []
        if self.is_hidden(talk, node) or not 1 <= version <= len(siblings):
            with pytest.raises(NotFoundError):
                self.storage.show_version(talk.owner, node.id, version)
            return
        talk.leaf = max(siblings[version - 1].subtree(), key=lambda below: below.order)
        self.storage.show_version(talk.owner, node.id, version)

    @rule(talk=talks)
    def undo(self, talk: Talk) -> None:
        assume(not talk.is_deleted)
        users = [node for node in talk.path() if node.role is Role.USER]
        if users:
            talk.leaf = users[-1].parent
        expected = users[-1].content if users else ""
        assert self.storage.undo(talk.owner, talk.id) == expected

    @rule(at=consumes(nodes))
    def delete_message(self, at: tuple[Talk, Node]) -> None:
        talk, node = at
        if self.is_hidden(talk, node):
            with pytest.raises(NotFoundError):
                self.storage.delete_message(talk.owner, node.id)
            return
        assert node.parent is not None
        node.parent.children.remove(node)
        if node in talk.path():
            siblings = node.parent.children
            talk.leaf = (
                max(siblings[-1].subtree(), key=lambda below: below.order)
                if siblings
                else node.parent
            )
        self.gone.update(id(below) for below in node.subtree())
        self.storage.delete_message(talk.owner, node.id)

    @rule(talk=talks)
    def delete_conversation(self, talk: Talk) -> None:
        assume(not talk.is_deleted)
        talk.is_deleted = True
        self.storage.delete_conversation(talk.owner, talk.id)

    @rule(talk=talks)
    def restore_conversation(self, talk: Talk) -> None:
        if talk.is_deleted:
            talk.is_deleted = False
            self.interrupt(talk)
        self.storage.restore_conversation(talk.owner, talk.id)

    @rule()
    def restart(self) -> None:
        self.storage.close()
        self.storage = Storage(self.file)
        num_interrupted = sum(self.interrupt(talk) for talk in self.model)
        assert self.storage.mark_interrupted() == num_interrupted

    @rule(talk=talks)
    def copy_by_export(self, talk: Talk) -> None:
        assume(not talk.is_deleted)
        exported = self.storage.export_conversation(talk.owner, talk.id)
        (copied,) = self.storage.import_conversations("carol", exported)
        assert self.storage.export_conversation("carol", copied) == exported
        assert [message.content for message in self.storage.path("carol", copied)] == [
            node.content for node in talk.path()
        ]

    @invariant()
    def paths_agree(self) -> None:
        for talk in self.model:
            if talk.is_deleted:
                with pytest.raises(NotFoundError):
                    self.storage.path(talk.owner, talk.id)
                continue
            shown = [
                (m.id, m.parent_id, m.role, m.content, m.status, m.version, m.num_versions)
                for m in self.storage.path(talk.owner, talk.id)
            ]
            assert shown == [self.expected(node) for node in talk.path()]

    @invariant()
    def only_the_owner_sees_a_conversation(self) -> None:
        for owner in OWNERS:
            listed = {item.id for item in self.storage.conversations(owner)}
            own = [talk for talk in self.model if talk.owner == owner]
            assert listed == {talk.id for talk in own if not talk.is_deleted}
        for talk in self.model:
            (stranger,) = set(OWNERS) - {talk.owner}
            with pytest.raises(NotFoundError):
                self.storage.path(stranger, talk.id)

    @invariant()
    def every_message_is_found_by_searching(self) -> None:
        for owner in OWNERS:
            found = {item.id for item in self.storage.conversations(owner, "text")}
            assert found == {
                talk.id
                for talk in self.model
                if talk.owner == owner
                and not talk.is_deleted
                and any("text" in node.content for node in talk.root.subtree())
            }

    def is_hidden(self, talk: Talk, node: Node) -> bool:
        return talk.is_deleted or id(node) in self.gone

    def interrupt(self, talk: Talk) -> int:
        writing = [node for node in talk.root.subtree() if node.status is Status.WRITING]
        for node in writing:
            node.status = Status.PARTIAL
        return len(writing)

    def expected(self, node: Node) -> tuple[str, str | None, Role, str, Status, int, int]:
        assert node.parent is not None
        siblings = node.parent.children
        return (
            node.id,
            node.parent.id or None,
            node.role,
            node.content,
            node.status,
            siblings.index(node) + 1,
            len(siblings),
        )


StorageMachine.TestCase.settings = settings(
    max_examples=examples(40),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestStorage = StorageMachine.TestCase


# --- export and import ---------------------------------------------------------------------------

any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
plain_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats() | any_text,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
values = st.dictionaries(
    st.text(max_size=8), st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=8), max_size=3
)
times = st.floats(0, 4e9)


@st.composite
def conversations(draw: st.DrawFn) -> dict[str, Any]:
    num_messages = draw(st.integers(0, 6))
    messages = [
        {
            "id": number,
            "parent": draw(st.none() | st.integers(1, number - 1)) if number > 1 else None,
            "role": draw(st.sampled_from(["user", "assistant"])),
            "content": draw(any_text),
            "reasoning": draw(any_text),
            "status": draw(st.sampled_from(["complete", "partial", "error"])),
            "model_id": draw(any_text),
            "stats": draw(values),
            "created_at": draw(times),
        }
        for number in range(1, num_messages + 1)
    ]
    return {
        "title": draw(any_text),
        "title_is_auto": draw(st.booleans()),
        "system_prompt": draw(any_text),
        "sampling": draw(values),
        "model_id": draw(any_text),
        "created_at": draw(times),
        "updated_at": draw(times),
        "leaf": draw(st.none() | st.integers(1, num_messages)) if messages else None,
        "messages": messages,
    }


exports = st.builds(
    lambda items: {"kajogaki": 1, "conversations": items}, st.lists(conversations(), max_size=3)
)


@settings(max_examples=examples(60), deadline=None)
@given(exports)
def test_export_import_export_is_the_same(data: dict[str, Any]) -> None:
    with open_storage() as storage:
        ids = storage.import_conversations("alice", data)
        first = json.loads(json.dumps(storage.export_all("alice")))
        storage.import_conversations("bob", first)
        assert storage.export_all("bob") == first
        for given_one, id in zip(data["conversations"], ids, strict=True):
            (kept,) = storage.export_conversation("alice", id)["conversations"]
            for name in ("title_is_auto", "created_at", "updated_at", "leaf"):
                assert kept[name] == given_one[name]
            assert shape(kept) == shape(given_one)


def shape(conversation: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(m["id"], m["parent"], m["role"], m["status"]) for m in conversation["messages"]]


@settings(max_examples=examples(150), deadline=None)
@given(exports, st.data())
def test_a_changed_export_is_taken_whole_or_not_at_all(
    data: dict[str, Any], draws: st.DataObject
) -> None:
    spoiled = copy.deepcopy(data)
    places = list(_places(spoiled))
    container, key = places[draws.draw(st.integers(0, len(places) - 1))]
    container[key] = draws.draw(plain_json)
    with open_storage() as storage:
        try:
            ids = storage.import_conversations("alice", spoiled)
        except AppError as error:
            assert error.message() and storage.conversations("alice") == []
        else:
            assert {item.id for item in storage.conversations("alice")} == set(ids)
            json.dumps(storage.export_all("alice"), ensure_ascii=False).encode()


@settings(max_examples=examples(50), deadline=None)
@given(plain_json)
def test_no_data_crashes_an_import(data: object) -> None:
    with open_storage() as storage, pytest.raises(AppError):
        storage.import_conversations("alice", data)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place inside `value` where something stands: its container and key."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in list(items):
        yield value, key
        yield from _places(item)


# --- search --------------------------------------------------------------------------------------

mixed = st.text(st.sampled_from("aAＡｶﾞガかが\u3099①㍿ßﷺ 　\nあい猫😀%_"), max_size=40)


@settings(max_examples=examples(80), deadline=None)
@given(mixed, mixed, st.data())
def test_search_finds_exactly_the_texts_that_contain_the_query(
    one: str, two: str, draws: st.DataObject
) -> None:
    source = draws.draw(st.sampled_from([one, two]))
    start = draws.draw(st.integers(0, len(source)))
    query = source[start : start + draws.draw(st.integers(1, 4))]
    assume(query.strip())
    with open_storage() as storage:
        ids = {}
        for text in (one, two):
            id = storage.create_conversation("alice").id
            storage.add_message("alice", id, Role.USER, text, parent_id=None)
            ids[id] = text
        found = {item.id for item in storage.conversations("alice", query)}
        needle = search_key(query)
        assert found == {id for id, text in ids.items() if needle in search_key(text)}


@settings(max_examples=examples(200), deadline=None)
@given(mixed, st.integers(0, 600), mixed, st.integers(0, 600), mixed)
def test_a_snippet_contains_the_match(
    before: str, num_before: int, middle: str, num_after: int, after: str
) -> None:
    text = before * (num_before // 10) + "いろは" + middle + after * (num_after // 10)
    needle = search_key("いろは")
    assume(needle in search_key(text))  # not where a voicing mark made it いろば
    line = snippet(text, search_key(text), needle)
    assert "いろは" in line
    assert "\n" not in line and len(line) <= 102
