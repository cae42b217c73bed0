"""ChatTemplate: what templates can do, that message text stays marked, and that nothing hurts."""

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.patience import ends
from webui.prompts import ChatTemplate, RenderedPrompt, TemplateError, TemplateRefusedError
from webui.prompts.jinja.template import MAX_SOURCE_CHARS
from webui.prompts.jinja.traced import Traced
from webui.strings import Language

MESSAGES = [
    {"role": "system", "content": " S<|im_end|> "},
    {"role": "user", "content": "U1\n</think>x"},
]


def render(source: str, messages: list[dict[str, str]] = MESSAGES, **values: object) -> str:
    return template(source).render(messages, **values).text  # type: ignore[arg-type]


def template(source: str) -> ChatTemplate:
    return ChatTemplate(source, name="test", bos_token="<s>", eos_token="</s>", now=noon)


def noon() -> datetime:
    return datetime(2026, 11, 21, 12)


def marked(prompt: RenderedPrompt) -> list[str]:
    return [prompt.text[span.start : span.end] for span in prompt.message_spans]


CHAINS = {  # what a template may do with a message → what of the result is the message's
    "{{ bos_token }}<|a|>{{ messages[0].content }}<|b|>": [" S<|im_end|> "],
    "{{ '<|a|>' + messages[0]['content'] | trim + '<|b|>' }}": ["S<|im_end|>"],
    "{{ '<|a|>' ~ messages[0].content.strip() ~ '<|b|>' ~ eos_token }}": ["S<|im_end|>"],
    "{{ messages[1].content.split('</think>')[-1].lstrip('x') }}<|b|>": [],
    "{{ messages[1].content.split('</think>') | last }}<|b|>": ["x"],
    "{{ messages[1].content | replace('U1', '<|b|>') }}": ["\n</think>x"],
    "{{ messages[1].content[:2] }}<|b|>{{ messages[1].content[-1] }}": ["U1", "x"],
    "{% set a %}<|a|>{{ messages[1].content }}{% endset %}{{ a }}<|b|>": ["U1\n</think>x"],
    "{% macro f(x) %}<|{{ x }}|>{% endmacro %}{{ f('a') ~ f(messages[1].content[0]) }}": ["U"],
    "{% set ns = namespace(t='<|a|>') %}{% for m in messages %}"
    "{% set ns.t = ns.t + m.content|trim + '|' %}{% endfor %}{{ ns.t }}": [
        "S<|im_end|>",
        "U1\n</think>x",
    ],
    "{% for m in messages %}<|{{ m.role }}|>{{ m.get('content') }}{% endfor %}": [
        " S<|im_end|> ",
        "U1\n</think>x",
    ],
    "{{ messages | map(attribute='content') | join('<|b|>') }}": [" S<|im_end|> ", "U1\n</think>x"],
    "{{ '<|b|>'.join([messages[1].content, 'x']) }}": ["U1\n</think>x"],
    "{{ messages[1].content | upper }}<|b|>": ["U1\n</THINK>X"],
    "{{ messages[1] | tojson }}<|b|>": ['{"role": "user", "content": "U1\\n</think>x"}'],
    "{{ '%s<|b|>' % messages[1].content[:2] }}": ["U1<|b|>"],  # not followed: all of it
    "{{ '{}<|b|>'.format(messages[1].content[:2]) }}": ["U1<|b|>"],
    "{{ '{}<|b|>'.format('a') ~ '%d|' % 3 }}": [],
    "{{ [messages[1].content] }}<|b|>": ["['U1\\n</think>x']"],
    "{% for c in messages[1].content %}{{ c }}{% endfor %}<|b|>": ["U1\n</think>x"],
    "{{ strftime_now(messages[1].content[:2]) }}<|b|>": ["U1"],
    "{{ messages[1].content | indent(2) }}<|b|>": ["U1\n  </think>x"],
    "{{ (messages[1].content | list)[0:2] | join }}<|b|>": ["U1"],
    "{% filter trim %} <|a|>{{ messages[0].content }} {% endfilter %}": [" S<|im_end|>"],
    "{{ messages[0].content | default('<|a|>') | string | safe }}": [" S<|im_end|> "],
    "{{ {'k': messages[1].content}['k'] | first }}<|b|>": ["U"],
}


@pytest.mark.parametrize("source", CHAINS)
def test_message_text_stays_marked_through_what_templates_do(source: str) -> None:
    assert marked(template(source).render(MESSAGES)) == CHAINS[source]


@settings(deadline=None)
@given(st.text(max_size=20), st.sampled_from(list(CHAINS)))
def test_marking_changes_nothing_in_the_text(content: str, source: str) -> None:
    content = content.encode("utf-8", "ignore").decode() + "ab\n</think>x"
    prompt = template(source).render([{"role": "user", "content": content}] * 2)
    unmarked = template(source).render([{"role": "user", "content": Traced(content, ())}] * 2)
    assert prompt.text == unmarked.text
    assert unmarked.message_spans == ()
    edges = [edge for span in prompt.message_spans for edge in (span.start, span.end)]
    assert edges == sorted(set(edges))
    assert all(edge <= len(prompt.text) for edge in edges)


def test_follows_the_conventions_of_hugging_face() -> None:
    assert render("{% if add_generation_prompt %}A{% endif %}{{ tools is none }}") == "ATrue"
    assert render("{{ strftime_now('%d %b %Y') }}") == "21 Nov 2026"
    assert render("{% generation %}x{% endgeneration %}") == "x"
    assert render("{% for m in messages %}{% break %}{% endfor %}x") == "x"
    assert render("  {% if true %}\nx\n  {% endif %}\ny") == "x\ny"
    assert render("{{ ['あ'] | tojson }}{{ '<' | tojson }}") == '["あ"]"<"'
    assert render("{{ enable_thinking }}", enable_thinking=False) == "False"
    assert render("{{ messages[0].tool_calls is defined }}{{ unknown }}") == "False"


def test_lone_surrogates_become_replacement_characters() -> None:
    assert (
        render("{{ messages[0].content }}", [{"role": "user", "content": "a\ud800b😀"}]) == "a�b😀"
    )


def test_a_refusal_is_told_from_a_failure() -> None:
    with pytest.raises(TemplateRefusedError, match="no system here"):
        render("{{ raise_exception('no system here') }}")
    with pytest.raises(TemplateError) as failure:
        render("{{ 1 / 0 }}")
    assert not isinstance(failure.value, TemplateRefusedError)
    assert "test" in failure.value.message(Language.JA)


NS = "{% set ns = namespace(x='ab', y=[1]) %}"
HOSTILE = [
    "{% for i in range(10**9) %}a{% endfor %}",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% for i in range(99999) %}{% for j in range(99999) if j < 0 %}{% endfor %}{% endfor %}",
    "{% for i in range(99999) %}" + "x" * 5000 + "{% endfor %}",
    "{% for i in range(99999) %}{{ messages }}{% endfor %}",
    "{{ 'a' * 10**9 }}",
    "{{ 10**9 * 'a' }}",
    "{{ '' * 10**12 }}",
    "{{ (1,) * 10**9 }}",
    "{{ [1] * 10**9 }}",
    NS + "{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    NS + "{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    NS + "{% for i in range(99) %}{% set ns.x = ns.x.replace('a', ns.x) %}{% endfor %}",
    NS + "{% for i in range(99) %}{% set ns.x = ns.x | replace('a', ns.x) %}{% endfor %}",
    NS + "{% for i in range(99) %}{% set ns.x = ns.x.join([ns.x] | list) ~ ns.x %}{% endfor %}",
    NS + "{% for i in range(99) %}{% set ns.y = ns.y + ns.y %}{% endfor %}",
    NS + "{% for i in range(99) %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.y }}",
    NS + "{% for i in range(99) %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.y | tojson }}",
    NS + "{% for i in range(99) %}{% set ns.y = (ns.y, ns.y) %}{% endfor %}{{ {ns.y: 1} }}",
    NS + "{% for i in range(99) %}{% set ns.y = (ns.y, ns.y) %}{% endfor %}{{ {}[ns.y] }}",
    NS + "{% for i in range(99) %}{% set ns.y = (ns.y, ns.y) %}{% endfor %}{{ ns.y in [1] }}",
    NS + "{% for i in range(99) %}{% set ns.y = (ns.y, ns.y) %}{% endfor %}{{ '%s' % ns.y }}",
    NS + "{% for i in range(99) %}{% set ns.y = (ns.y, ns.y) %}{% endfor %}{{ '' ~ ns.y }}",
    NS + "{% for i in range(99) %}{% set ns.y = (ns.y, ns.y) %}{% endfor %}{{ ns.y is eq 1 }}",
    "{% set a = namespace(x=1) %}{% set b = namespace(x=1) %}{% for i in range(99) %}"
    "{% set a.x = [a.x, a.x] %}{% set b.x = [b.x, b.x] %}{% endfor %}{{ a.x == b.x }}",
    NS + "{% set ns.y = [ns] %}{{ ns.y }}",
    "{% set s = 'a' * 100000 %}" + NS + "{% for i in range(99999) %}"
    "{% set ns.y = ns.y + [s[1:]] %}{% endfor %}",
    "{% set x = range(99999) | list %}{% for i in range(99999) %}{% set y = x[::-1] %}{% endfor %}",
    "{{ 'a'.center(10**9) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%*d' % (1000000000, 1) }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ '{:{}}'.format(1, 1000000000) }}",
    "{{ '{:{a[w]}}'.format(1, a={'w': 1000000000}) }}",
    "{{ 10**10**10 }}",
    "{{ 2**64**64 }}",
    "{{ [messages] | tojson(indent=100000) }}",
    "{{ messages[0].content | indent(100000000) }}",
    "{{ strftime_now('%1000000000d') }}",
    "{{ range(99999) | join(range(99999) | join) }}",
    "{{ (range(99999) | join).replace('1', range(99999) | join) }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% macro f(n) %}{% for i in range(9) %}{{ f(n - 1) if n }}{% endfor %}{% endmacro %}"
    "{{ f(40) }}",
    "{% for x in [[]] recursive %}{{ loop([[[]]]) }}{% endfor %}",
    "{{" + "(" * 5000 + "1" + ")" * 5000 + "}}",
    "{{ 1" + " + 1" * 5000 + " }}",
    "{% if x %}" * 150 + "{% endif %}" * 150,
    "{{ ''.__class__.__mro__ }}",
    "{{ ''['__class__'] }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update({'role': 'x'}) }}",
    "{{ messages | attr('append') }}",
    "{{ self.__init__.__globals__ }}",
    "{{ range.__self__ }}{{ (range | string)() }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ lipsum(10000) }}",
    "{{ cycler(1).next() }}",
    "{% include 'x' %}",
    "{% import 'x' as x %}",
    "{% extends 'x' %}",
    "{{ raise_exception(*messages[0].content) }}",
    "{{ 'abc'.encode() }}",
    "{{ ('a' * 90000).expandtabs(90000) }}",
    "{{ 'a' | wordwrap(1) }}",
    "{{ messages | unknown }}",
    "{% unclosed",
    "{{ x is unknown }}",
    "{% for %}",
    "x" * (MAX_SOURCE_CHARS + 1),
]


@pytest.mark.parametrize("source", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_template_fails_and_keeps_nobody_waiting(source: str) -> None:
    with ends(), pytest.raises(TemplateError):
        render(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages[0].content | list | length }}",
        "{{ messages[0].content.split() | length }}",
        "{{ messages[0].content | join('-') }}",
        "{{ ''.join(messages[0].content) }}",
        "{{ messages[0].content | unique | list }}",
        "{{ messages[0].content.replace('a', 'b' * 1000) }}",
        "{% for c in messages[0].content %}{{ c }}{% endfor %}",
    ],
)
def test_a_huge_message_makes_no_template_slow(source: str) -> None:
    with ends(), pytest.raises(TemplateError):
        render(source, [{"role": "user", "content": "a b\n" * 250_000}])


def test_a_megabyte_of_text_and_a_thousand_messages_render() -> None:
    source = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n"
        "{% endfor %}"
    )
    megabyte = [{"role": "user", "content": "日本語の文。\n" * 150_000}]
    assert len(render(source, megabyte)) > 1_000_000
    many = [{"role": "user", "content": f"質問{i}"} for i in range(1000)]
    assert render(source, many).count("<|im_end|>") == 1000


def test_templates_do_not_see_each_other() -> None:
    render("{% set x = 1 %}{{ namespace(y=2).y }}")
    assert render("{{ x }}{{ y }}") == ""
