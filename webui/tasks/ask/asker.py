"""Asker: a question, answered from documents, as a stream of updates.

Knows the library, models and prompts; saves nothing, and knows nothing about pages or HTTP.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from webui.documents.library import Library
from webui.engine.client import Delta, Engine
from webui.engine.pool import EnginePool, Waiting
from webui.engine.request import SamplingParams
from webui.models import ModelSpec
from webui.prompts import Choice
from webui.storage import Documents
from webui.strings import Language
from webui.tasks.ask import followups
from webui.tasks.ask.citing import MAX_CITATIONS, Window, cited, is_empty, says_nothing
from webui.tasks.ask.inquiry import AnswerUpdate, Asking, AskState, Inquiry
from webui.tasks.ask.prompting import AnswerPrompt, answer_prompt
from webui.tasks.ask.quoting import best_quotes
from webui.tasks.ask.result import Abstention, Answer, Citation
from webui.tasks.ask.searching import AskError, Searcher, in_order_of
from webui.tasks.formats import Formats
from webui.text.language import main_language

HEARTBEAT_S = 0.5
UPDATE_S = 0.1  # at most ten updates a second while it is written


class Asker:
    def __init__(
        self,
        library: Library,
        documents: Documents,
        pool: EnginePool,
        formats: Formats | None = None,
        rewriting_from: int = followups.MIN_PARAMS,
    ) -> None:
        """`rewriting_from`: parameters of the smallest model that may rewrite a question."""
        self._searcher = Searcher(library, documents)
        self._pool = pool
        self._formats = formats or Formats()
        self._rewriting_from = rewriting_from

    async def answer(self, asking: Asking) -> AsyncGenerator[AnswerUpdate, None]:
        """Updates: SEARCHING at once, at least one every HEARTBEAT_S, DONE with the answer last.

        Where nothing relevant is found no model is called, and the answer says so with the nearest
        passages. Closing the generator stops everything. Raises AppError: nothing to search in,
        no model, no room for a single passage, the engine's own.
        """
        inquiry = Inquiry(asking)
        yield inquiry.update(AskState.SEARCHING)
        spec = self._pool.spec(asking.model_id)  # an unknown model is told before anything else
        leans = followups.leans_on_history(asking.question, asking.history)
        question = followups.joined(asking.question, asking.history) if leans else asking.question
        async with aclosing(self._searching(inquiry, question)) as updates:
            async for update in updates:
                yield update
        may_rewrite = leans and self._can_rewrite(spec)
        if not inquiry.searched.is_relevant and not may_rewrite:
            yield inquiry.abstain(Abstention.NOTHING_RELEVANT)
            return
        async with aclosing(self._pool.leased(spec.id, asking.owner)) as states:
            async for state in states:
                if isinstance(state, Waiting):
                    yield inquiry.wait(state)
                    continue
                async with aclosing(self._with_model(inquiry, state, spec, may_rewrite)) as updates:
                    async for update in updates:
                        yield update
                return

    async def _with_model(
        self, inquiry: Inquiry, engine: Engine, spec: ModelSpec, may_rewrite: bool
    ) -> AsyncGenerator[AnswerUpdate, None]:
        assert engine.tokenizer and engine.ready, "a leased engine is loaded"
        asking = inquiry.asking
        choice = self._formats.choice(spec, engine.tokenizer, asking.owner)
        if may_rewrite:
            async with aclosing(self._rewriting(inquiry, engine, choice)) as updates:
                async for update in updates:
                    yield update
            if not inquiry.searched.is_relevant:
                yield inquiry.abstain(Abstention.NOTHING_RELEVANT)
                return
        prompt = await asyncio.to_thread(
            answer_prompt,
            engine.tokenizer,
            choice,
            engine.ready.n_ctx,
            inquiry.searched.question,
            in_order_of(inquiry.searched.passages, asking.earlier_passages),
            answer_language(asking.question, asking.language),
            asking.wishes,
        )
        if spec.is_builtin:  # too small to find an answer: it quotes
            quotes = best_quotes(inquiry.searched.question, prompt.passages)
            if not quotes:
                yield inquiry.abstain(Abstention.NOTHING_RELEVANT)
                return
            prompt = prompt.quoting(quotes)
        inquiry.begin(prompt, spec.id)
        async with aclosing(self._writing(inquiry, engine, prompt)) as updates:
            async for update in updates:
                yield update

    async def _searching(
        self, inquiry: Inquiry, question: str
    ) -> AsyncGenerator[AnswerUpdate, None]:
        asking = inquiry.asking
        began_at = time.perf_counter()
        search = asyncio.to_thread(
            self._searcher.search, asking.owner, question, asking.documents, asking.language
        )
        task = asyncio.create_task(search)
        while not (await asyncio.wait({task}, timeout=HEARTBEAT_S))[0]:
            yield inquiry.update(AskState.SEARCHING)
        inquiry.found(task.result(), time.perf_counter() - began_at)

    async def _rewriting(
        self, inquiry: Inquiry, engine: Engine, choice: Choice
    ) -> AsyncGenerator[AnswerUpdate, None]:
        """Another search, when the model makes a better question than the rules."""
        assert engine.tokenizer is not None
        asking = inquiry.asking
        language = answer_language(asking.question, asking.language)
        messages = followups.rewriting_messages(
            asking.question, asking.history, language, choice.family
        )
        thinking = False if choice.format.thinking_switch else None
        rendered = choice.format.render(messages, thinking=thinking)
        stops = (*choice.format.stop_strings(thinking), "\n")
        sampling = SamplingParams(
            max_tokens=followups.MAX_TOKENS,
            temperature=0,
            stop_token_ids=engine.tokenizer.stop_token_ids(stops),
        )
        parser, written = choice.format.reasoning_parser(rendered), ""
        events = engine.generate(engine.tokenizer.encode(rendered), sampling, stops)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Delta):
                    written += parser.feed(event.text)[0]
                yield inquiry.update(AskState.SEARCHING)
        written += parser.flush()[0]
        if not followups.is_good_rewriting(written, asking.question, asking.history):
            return
        async with aclosing(self._searching(inquiry, written.strip())) as updates:
            async for update in updates:
                yield update

    async def _writing(
        self, inquiry: Inquiry, engine: Engine, prompt: AnswerPrompt
    ) -> AsyncGenerator[AnswerUpdate, None]:
        shown_at = 0.0
        events = engine.generate(prompt.token_ids, prompt.sampling, prompt.stops)
        async with aclosing(events):
            async for event in events:
                update = inquiry.take(event, prompt)
                now = time.perf_counter()
                if update.finish_reason or now - shown_at >= UPDATE_S:
                    shown_at = now
                    yield update
        if inquiry.is_cut and is_empty(inquiry.raw):  # all of it was thinking
            raise AskError("ask.cut_before_answer")
        if says_nothing(inquiry.raw, prompt.nothing):
            yield inquiry.abstain(Abstention.MODEL)
            return
        answer = await asyncio.to_thread(self._finish, inquiry, prompt)
        yield inquiry.finish(answer)

    def _finish(self, inquiry: Inquiry, prompt: AnswerPrompt) -> Answer:
        """In a thread: comparing a long answer with its passages takes tens of milliseconds."""
        written, sentences = cited(inquiry.raw, prompt.passages)
        owner = inquiry.asking.owner
        citations = [
            self._citation(owner, sentence.start, sentence.end, window, is_marked)
            for sentence in sentences
            for window, is_marked in sentence.windows
        ]
        return replace(
            inquiry.outline(prompt.passages),
            text=written,
            citations=tuple(citations[:MAX_CITATIONS]),
            flags=tuple(flag for sentence in sentences for flag in sentence.flags),
        )

    def _citation(
        self, owner: str, start: int, end: int, window: Window, is_marked: bool
    ) -> Citation:
        passage = window.passage
        span = self._searcher.place(owner, passage, window.start, window.end)
        page = span.page_from if passage.page else 0
        return Citation(
            start,
            end,
            passage.number,
            passage.document_id,
            passage.file,
            page,
            span,
            window.quote,
            window.score,
            is_marked,
            self._searcher.where(owner, passage.document_id, span),
        )

    def _can_rewrite(self, spec: ModelSpec) -> bool:
        return spec.remote is not None or spec.n_params >= self._rewriting_from


def answer_language(question: str, reader: Language) -> Language:
    """The question's; the reader's where a word or two may be either."""
    has_japanese = any("\u3041" <= char <= "\u9fff" for char in question)
    if has_japanese or len(question.split()) < 3:
        return Language.JA if has_japanese else reader
    return main_language(question)
