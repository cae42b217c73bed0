"""Asker: a question, answered from documents, as a stream of updates.

Knows the library, models and prompts; saves nothing, and knows nothing about pages or HTTP.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from webui.documents.library import Library
from webui.engine.client import Delta, Engine
from webui.engine.pool import EnginePool, Waiting
from webui.models import ModelSpec
from webui.prompts import Choice
from webui.storage import Documents
from webui.tasks.ask import followups, intents, talking
from webui.tasks.ask.citing import MAX_CITATIONS, cited, is_empty, says_nothing
from webui.tasks.ask.inquiry import AnswerUpdate, Asking, AskState, Inquiry
from webui.tasks.ask.intents import SMALL_TALK, Intent, Understood
from webui.tasks.ask.prompting import (
    MAX_TOKENS,
    AnswerPrompt,
    answer_prompt,
    choice_prompt,
    plain_prompt,
)
from webui.tasks.ask.quoting import best_quotes, quoted_answer
from webui.tasks.ask.result import Abstention, Answer, NumberedPassage, rests_on_nothing
from webui.tasks.ask.searching import AskError, Searcher, in_order_of
from webui.tasks.formats import Formats

HEARTBEAT_S = 0.5
UPDATE_S = 0.1  # at most ten updates a second while it is written
MAX_REMARK_TOKENS = 80
TALKING_FROM = 3_000_000_000  # one of 1.5 billion told a life of its own, and knew no remark

Updates = AsyncGenerator[AnswerUpdate, None]


class Asker:
    def __init__(
        self,
        library: Library,
        documents: Documents,
        pool: EnginePool,
        formats: Formats | None = None,
        rewriting_from: int = followups.MIN_PARAMS,
        talking_from: int = TALKING_FROM,
    ) -> None:
        """Parameters of the smallest model that may rewrite a question, or answer a remark."""
        self._searcher = Searcher(library, documents)
        self._pool = pool
        self._formats = formats or Formats()
        self._rewriting_from = rewriting_from
        self._talking_from = talking_from

    async def answer(self, asking: Asking) -> Updates:
        """Updates: SEARCHING at once, at least one every HEARTBEAT_S, DONE with the answer last.

        Small talk, and what is asked about the last answer or the documents as such, is answered
        as that. Where nothing relevant is found no model is called, and the answer says so with
        the nearest passages. Closing the generator stops everything. Raises AppError: nothing to
        search in, no model, no room for a single passage, the engine's own.
        """
        understood = intents.understood(asking.question)
        asking = replace(asking, question=understood.rest or asking.question)
        inquiry = Inquiry(asking)
        yield inquiry.update(AskState.SEARCHING)
        spec = self._pool.spec(asking.model_id)  # an unknown model is told before anything else
        intent = understood.intent
        if intent is Intent.REWORK and asking.last and not spec.is_builtin:
            updates = self._leased(inquiry, spec, lambda engine: self._reworking(inquiry, engine))
        elif at_once := await self._at_once(inquiry, intent, spec):
            yield inquiry.finish(at_once)
            return
        else:
            updates = self._from_documents(inquiry, spec, understood)
        async with aclosing(updates):
            async for update in updates:
                yield update

    async def _at_once(self, inquiry: Inquiry, intent: Intent, spec: ModelSpec) -> Answer | None:
        """What needs neither a search nor a model."""
        asking, language = inquiry.asking, inquiry.says_in
        if intent in SMALL_TALK:
            return talking.small_talk(intent, language)
        if intent is Intent.WHERE:
            return talking.place_of(asking.last, language)
        if intent is Intent.REWORK:
            return talking.no_rework(language, has_answer=asking.last is not None)
        if intent is Intent.LISTING:
            names = await asyncio.to_thread(self._searcher.names, asking.owner, asking.documents)
            return talking.listing(names, language)
        return None

    async def _leased(
        self, inquiry: Inquiry, spec: ModelSpec, work: Callable[[Engine], Updates]
    ) -> Updates:
        """`work` with the model, once it is our turn."""
        async with aclosing(self._pool.leased(spec.id, inquiry.asking.owner)) as states:
            async for state in states:
                if isinstance(state, Waiting):
                    yield inquiry.wait(state)
                    continue
                inquiry.model_id = spec.id
                async with aclosing(work(state)) as updates:
                    async for update in updates:
                        yield update
                return

    # --- from documents --------------------------------------------------------------------------

    async def _from_documents(
        self, inquiry: Inquiry, spec: ModelSpec, understood: Understood
    ) -> Updates:
        asking = inquiry.asking
        leans = followups.leans_on_history(asking.question, asking.history)
        question = followups.joined(asking.question, asking.history) if leans else asking.question
        async with aclosing(self._searching(inquiry, question)) as updates:
            async for update in updates:
                yield update
        may_rewrite = leans and _is_able(spec, self._rewriting_from)
        is_unsure = understood.intent is Intent.UNSURE and _is_able(spec, self._talking_from)
        if understood.otherwise and not (inquiry.searched.is_relevant or is_unsure or leans):
            yield inquiry.finish(talking.small_talk(understood.otherwise, inquiry.says_in))
            return
        if not (inquiry.searched.is_relevant or may_rewrite or is_unsure):
            yield inquiry.abstain(Abstention.NOTHING_RELEVANT)
            return

        def work(engine: Engine) -> Updates:
            return self._with_model(inquiry, engine, spec, may_rewrite, is_unsure)

        async with aclosing(self._leased(inquiry, spec, work)) as updates:
            async for update in updates:
                yield update

    async def _with_model(
        self,
        inquiry: Inquiry,
        engine: Engine,
        spec: ModelSpec,
        may_rewrite: bool,
        is_unsure: bool,
    ) -> Updates:
        choice = self._choice(inquiry, engine)
        if is_unsure:
            async with aclosing(self._telling(inquiry, engine, choice)) as updates:
                async for update in updates:
                    yield update
            if inquiry.answer:  # it was a remark
                return
        if may_rewrite:
            async with aclosing(self._rewriting(inquiry, engine, choice)) as updates:
                async for update in updates:
                    yield update
        if not inquiry.searched.is_relevant:
            yield inquiry.abstain(Abstention.NOTHING_RELEVANT)
            return
        prompt = await asyncio.to_thread(self._answer_prompt, inquiry, engine, choice)
        if spec.is_builtin:  # too small to find an answer: it quotes
            quotes = best_quotes(inquiry.searched.question, prompt.passages)
            if not quotes:
                yield inquiry.abstain(Abstention.NOTHING_RELEVANT)
                return
            prompt = prompt.quoting(quotes)
        async with aclosing(self._writing(inquiry, engine, prompt)) as updates:
            async for update in updates:
                yield update
        yield await asyncio.to_thread(self._finish, inquiry, prompt)

    async def _searching(self, inquiry: Inquiry, question: str) -> Updates:
        asking = inquiry.asking
        began_at = time.perf_counter()
        search = asyncio.to_thread(
            self._searcher.search,
            asking.owner,
            question,
            asking.documents,
            asking.language,
            names_failed=not asking.history,
        )
        task = asyncio.create_task(search)
        while not (await asyncio.wait({task}, timeout=HEARTBEAT_S))[0]:
            yield inquiry.update(AskState.SEARCHING)
        inquiry.found(task.result(), time.perf_counter() - began_at)

    async def _rewriting(self, inquiry: Inquiry, engine: Engine, choice: Choice) -> Updates:
        """Another search, when the model makes a better question than the rules."""
        asking = inquiry.asking
        messages = followups.rewriting_messages(
            asking.question, asking.history, inquiry.language, choice.family
        )
        prompt = plain_prompt(engine, choice, messages, followups.MAX_TOKENS, stops=("\n",))
        written: list[str] = []
        async with aclosing(self._aside(inquiry, engine, prompt, written)) as updates:
            async for update in updates:
                yield update
        question = "".join(written).strip()
        if not followups.is_good_rewriting(question, asking.question, asking.history):
            return
        async with aclosing(self._searching(inquiry, question)) as updates:
            async for update in updates:
                yield update

    def _answer_prompt(self, inquiry: Inquiry, engine: Engine, choice: Choice) -> AnswerPrompt:
        asking, last, searched = inquiry.asking, inquiry.asking.last, inquiry.searched
        assert engine.tokenizer and engine.ready, "a leased engine is loaded"
        worth = searched.passages[: searched.num_worth]
        return answer_prompt(
            engine.tokenizer,
            choice,
            engine.ready.n_ctx,
            searched.question,
            in_order_of(worth, last.passages if last else ()),
            inquiry.language,
            asking.wishes,
        )

    def _finish(self, inquiry: Inquiry, prompt: AnswerPrompt) -> AnswerUpdate:
        """In a thread: comparing a long answer with its passages takes tens of milliseconds."""
        if inquiry.is_cut and is_empty(inquiry.raw):  # all of it was thinking
            raise AskError("ask.cut_before_answer")
        raw = inquiry.raw
        if says_nothing(raw, prompt.nothing):
            quote = quoted_answer(inquiry.searched.question, prompt.passages, inquiry.says_in)
            if not quote:
                return inquiry.abstain(Abstention.MODEL)
            raw = quote
        answer = self._cited(inquiry, raw, prompt.passages)
        if rests_on_nothing(answer) and not inquiry.is_cut:
            return inquiry.abstain(Abstention.MODEL)
        return inquiry.finish(answer)

    def _cited(self, inquiry: Inquiry, raw: str, passages: tuple[NumberedPassage, ...]) -> Answer:
        found = cited(raw, passages, inquiry.searched.question)
        owner = inquiry.asking.owner
        citations = [
            self._searcher.citation(
                owner,
                (sentence.start, sentence.end),
                window.passage,
                (window.start, window.end),
                is_marked,
                window.score,
            )
            for sentence in found.sentences
            for window, is_marked in sentence.windows
        ]
        return replace(
            inquiry.outline(found.passages),
            text=found.text,
            citations=tuple(citations[:MAX_CITATIONS]),
            flags=tuple(flag for sentence in found.sentences for flag in sentence.flags),
        )

    # --- without a search ------------------------------------------------------------------------

    async def _telling(self, inquiry: Inquiry, engine: Engine, choice: Choice) -> Updates:
        """Whether a remark asks for something; when it does not, it is answered as a remark."""
        language, asking = inquiry.language, inquiry.asking
        if inquiry.searched.is_relevant:
            question, options = choice_prompt(engine, choice, asking.question, language)
            told: list[str] = []
            async with aclosing(self._aside(inquiry, engine, question, told)) as updates:
                async for update in updates:
                    yield update
            if "".join(told).strip() == options[0]:
                return
        messages = talking.remark_messages(asking.question, language, choice.family)
        prompt = plain_prompt(engine, choice, messages, MAX_REMARK_TOKENS, asking.wishes)
        async with aclosing(self._writing(inquiry, engine, prompt)) as updates:
            async for update in updates:
                yield update
        said = inquiry.raw.strip()
        fixed = talking.small_talk(Intent.UNSURE, language)
        yield inquiry.finish(replace(fixed, text=said) if said else fixed)

    async def _reworking(self, inquiry: Inquiry, engine: Engine) -> Updates:
        """The last answer, written in another way; it rests on the same passages."""
        asking, last = inquiry.asking, inquiry.asking.last
        assert last is not None
        choice = self._choice(inquiry, engine)
        messages = talking.rework_messages(last, asking.question, inquiry.language, choice.family)
        prompt = plain_prompt(engine, choice, messages, MAX_TOKENS, asking.wishes)
        async with aclosing(self._writing(inquiry, engine, prompt)) as updates:
            async for update in updates:
                yield update
        answer = await asyncio.to_thread(self._cited, inquiry, inquiry.raw, last.passages)
        yield inquiry.finish(talking.reworked(answer, last))

    # --- the model -------------------------------------------------------------------------------

    async def _writing(self, inquiry: Inquiry, engine: Engine, prompt: AnswerPrompt) -> Updates:
        """What the model writes for `prompt`, as it comes; in the end it is in `inquiry.raw`."""
        inquiry.begin(prompt)
        shown_at = 0.0
        events = engine.generate(prompt.token_ids, prompt.sampling, prompt.stops)
        async with aclosing(events):
            async for event in events:
                update = inquiry.take(event, prompt)
                now = time.perf_counter()
                if update.finish_reason or now - shown_at >= UPDATE_S:
                    shown_at = now
                    yield update

    async def _aside(
        self, inquiry: Inquiry, engine: Engine, prompt: AnswerPrompt, written: list[str]
    ) -> Updates:
        """A call that nobody sees; what it writes goes to `written`."""
        events = engine.generate(prompt.token_ids, prompt.sampling, prompt.stops)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Delta):
                    written.append(prompt.parser.feed(event.text)[0])
                yield inquiry.update(AskState.SEARCHING)
        written.append(prompt.parser.flush()[0])

    def _choice(self, inquiry: Inquiry, engine: Engine) -> Choice:
        assert engine.tokenizer, "a leased engine is loaded"
        spec = self._pool.spec(inquiry.model_id)
        return self._formats.choice(spec, engine.tokenizer, inquiry.asking.owner)


def _is_able(spec: ModelSpec, least: int) -> bool:
    return spec.remote is not None or spec.n_params >= least
