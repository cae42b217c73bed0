"""Replies: answers as jobs. One at a time in a conversation; Stop works from any tab.

Used from one event loop. Knows nothing about Gradio or HTTP.
"""

import contextlib
from collections.abc import Iterator

from webui.errors import AppError
from webui.jobs import Job, JobKind, JobRunsError, Jobs, Progress
from webui.storage import Conversation, Storage
from webui.strings import Language
from webui.tasks.chat.chat import Chat
from webui.tasks.chat.reply import ReplyState, ReplyUpdate

ReplyJob = Job[ReplyUpdate]


class Replies:
    def __init__(self, storage: Storage, chat: Chat, jobs: Jobs) -> None:
        self._storage = storage
        self._chat = chat
        self._jobs = jobs
        self._beginning: set[tuple[str, str]] = set()

    def start(self, owner: str, conversation_id: str, language: Language) -> ReplyJob:
        """Answer the last question. Raises NotFoundError, JobRunsError."""
        self.check_free(owner, conversation_id)
        conversation = self._storage.conversation(owner, conversation_id)
        job: ReplyJob = Job(
            owner,
            JobKind.REPLY,
            conversation.title,
            subject=conversation_id,
            model_id=self._model_of(conversation),
        )
        updates = self._chat.reply(owner, conversation_id, language=language)
        return self._jobs.start(job, updates, _progress_of)

    def running(self, owner: str, conversation_id: str) -> ReplyJob | None:
        return self._jobs.find(owner, JobKind.REPLY, conversation_id)

    def check_free(self, owner: str, conversation_id: str) -> None:
        """Raises JobRunsError while the conversation is being answered, or about to be."""
        if (owner, conversation_id) in self._beginning or self.running(owner, conversation_id):
            raise JobRunsError("ui.already_answering")

    @contextlib.contextmanager
    def beginning(self, owner: str, conversation_id: str) -> Iterator[None]:
        """While a question is being stored no other may come; a new conversation has no id yet.

        Raises JobRunsError.
        """
        self.check_free(owner, conversation_id)
        if conversation_id:
            self._beginning.add((owner, conversation_id))
        try:
            yield
        finally:
            self._beginning.discard((owner, conversation_id))

    def stop(self, owner: str, conversation_id: str) -> None:
        """What was written stays."""
        if job := self.running(owner, conversation_id):
            job.cancel()

    def _model_of(self, conversation: Conversation) -> str:
        with contextlib.suppress(AppError):  # an unknown model is told when it is loaded
            return self._chat.model_of(conversation).id
        return conversation.model_id


def _progress_of(update: ReplyUpdate) -> Progress:
    return Progress(
        is_waiting=update.state is ReplyState.QUEUED,
        has_failed=update.state is ReplyState.ERROR,
    )
