"""How to talk to a model: its chat template and what ends an answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from webui.catalog import ModelSpec
from webui.engine.tokenizer import Tokenizer
from webui.prompts import ChatTemplate, RenderedPrompt, TemplateRefusedError

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHATML_STOPS = ("<|im_end|>",)


@dataclass(frozen=True, slots=True)
class PromptFormat:
    template: ChatTemplate
    stops: tuple[str, ...] = ()

    def render(self, messages: Sequence[Mapping[str, str]]) -> RenderedPrompt:
        """The prompt. A template that refuses a system message gets it in the first user turn.

        Raises TemplateError.
        """
        try:
            return self.template.render(messages)
        except TemplateRefusedError:
            if len(messages) < 2 or messages[0]["role"] != "system":
                raise
            system, first, *rest = messages
            merged = {"role": "user", "content": f"{system['content']}\n\n{first['content']}"}
            return self.template.render([merged, *rest])


def format_of(spec: ModelSpec, tokenizer: Tokenizer) -> PromptFormat:
    """The file's own template, or ChatML where it has none. Raises TemplateError."""
    template = ChatTemplate(
        spec.chat_template or CHATML,
        name=spec.name,
        bos_token=tokenizer.bos_text,
        eos_token=tokenizer.eos_text,
    )
    return PromptFormat(template, () if spec.chat_template else CHATML_STOPS)
