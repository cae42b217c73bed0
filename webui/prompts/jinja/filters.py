"""What templates may call: filters, tests and functions, each paid for and keeping text's origin.

Knows nothing about the syntax tree or about messages. What is not on the lists below is refused by
name, not half supported.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from jinja2 import pass_context
from jinja2.exceptions import TemplateRuntimeError
from jinja2.filters import FILTERS
from jinja2.runtime import Context, Undefined
from jinja2.tests import TESTS
from jinja2.utils import Namespace, _PassArg

from webui.prompts.jinja.budget import MAX_NODES, BudgetError, spend, total, weigh
from webui.prompts.jinja.traced import Traced, concat, derived

DATA = (str, int, float, list, tuple, dict)  # all that text may be made of
MAX_ARGUMENT = 100_000  # widths, counts, ranges
# Filters that no template can name: the instrumented syntax tree calls them.
TICK, CONCAT = "kajogaki tick", "kajogaki concat"
JINJA_FILTERS = frozenset(
    "abs capitalize count d default dictsort first float groupby indent int items last length list"
    " lower map max min reject rejectattr reverse round select selectattr sort title unique"
    " upper".split()
)
UNWEIGHED = frozenset("count d default first last length".split())  # they look at one item only
# Filters that give back what they were given, or text whose origin they carried along themselves.
SELECTING = JINJA_FILTERS - frozenset("capitalize indent lower title upper".split()) | {
    TICK,
    CONCAT,
    "join",
    "replace",
    "safe",
    "string",
    "trim",
}
ITERATING = frozenset(
    "dictsort groupby items join list map max min reject rejectattr select selectattr sort"
    " unique".split()
)  # character by character, when they get a text
MAX_JSON_INDENT = 16
HUGE_WIDTH = re.compile(r"%[-+ #0]*(\d{4}|\*)|\.(\d{4}|\*)|\{[^{}]*\d{4}|\{[^{}]+\{")
REFUSED_TESTS = frozenset({"callable", "escaped", "filter", "test"})


class RefusedError(Exception):
    """The template itself says no, through raise_exception."""


def filters() -> dict[str, Callable[..., Any]]:
    chosen = {name: FILTERS[name] for name in JINJA_FILTERS} | OWN_FILTERS
    return {name: _guarded(function, name) for name, function in chosen.items()}


def tests() -> dict[str, Callable[..., Any]]:
    return {
        name: _guarded(cast(Callable[..., Any], function), name)
        for name, function in TESTS.items()
        if name not in REFUSED_TESTS
    }


def functions(now: Callable[[], datetime]) -> dict[str, Any]:
    """The global names of every template."""
    return {
        "range": _range,
        "dict": dict,
        "namespace": Namespace,
        "raise_exception": _raise_exception,
        "strftime_now": lambda form: _strftime(now(), form),
    }


def _guarded(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`function` as a filter or test that is paid for and whose result keeps its origin.

    Taking the context, which no constant has, also keeps Jinja from running it while compiling.
    """
    passes = _PassArg.from_obj(function)

    @pass_context
    def guarded(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        if name in UNWEIGHED:
            spend()
        else:
            check_sizes(name, value, args, kwargs)
        first = {
            _PassArg.context: (context,),
            _PassArg.eval_context: (context.eval_ctx,),
            _PassArg.environment: (context.environment,),
            None: (),
        }[passes]
        result = function(*first, value, *args, **kwargs)
        if name in SELECTING:
            return result
        made = str.__str__(result) if isinstance(result, str) else result  # trust no part of it
        return marked(made, value, *args, *kwargs.values())

    return guarded


def check_sizes(name: str, of: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Refuse what would be slow or large in one step. Raises BudgetError."""
    spend(weigh(of, *args, *kwargs.values()))
    for value in (*args, *kwargs.values()):
        if isinstance(value, int) and abs(value) > MAX_ARGUMENT:
            raise BudgetError(f"{name.strip('_')}({value}) is too large")
    if isinstance(of, str):
        _check_text_step(name, of, args)


def _check_text_step(name: str, text: str, args: Sequence[Any]) -> None:
    """The same for what grows with the text."""
    match name, args:
        case "replace", (str(old), str(new), *_):
            total([(text.count(old) if old else len(text) + 1) * len(new)])
        case ("split" | "rsplit", (str(sep), *_)) if sep and text.count(sep) < MAX_NODES:
            return
        case (("split" | "rsplit" | "splitlines"), _) if len(text) > MAX_NODES:
            raise BudgetError("it splits a text into too many parts")
        case "indent", (int(width), *_):
            total([width * text.count("\n")])
        case _ if name in ITERATING and len(text) > MAX_ARGUMENT:
            raise BudgetError(f"{name} takes no text of this size")


def check_operands(operator: str, left: Any, right: Any) -> None:
    match operator, left, right:
        case ("*", str(), int() as count) | ("*", int() as count, str()):
            if count > MAX_ARGUMENT:
                raise BudgetError("it repeats too often")
            total([(len(left) if isinstance(left, str) else len(right)) * max(0, count)])
        case ("*", list() | tuple(), _) | ("*", _, list() | tuple()):
            raise BudgetError("it multiplies lists")
        case ("**", _, _) if not (abs(left) <= MAX_ARGUMENT and abs(right) <= 64):
            raise BudgetError("its numbers are too large")


def marked(result: Any, *sources: Any) -> Any:
    """`result`; message-born when it is new text and any of `sources` holds message-born text."""
    if isinstance(result, str | list | tuple | dict):
        spend(weigh(result))
    if not isinstance(result, str) or isinstance(result, Traced):
        return result
    known = all(source is None or isinstance(source, DATA) for source in sources)
    return derived(result, *sources) if known else Traced(result)


def check_printable(value: Any) -> None:
    """Text may be made of data only: an object prints its insides, however large."""
    spend(weigh(value))
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple):
            waiting += item
        elif not (item is None or isinstance(item, str | int | float | Undefined)):
            raise TemplateRuntimeError(f"it prints a {type(item).__name__}")


def check_format(template: str) -> None:
    if HUGE_WIDTH.search(template):
        raise BudgetError("it formats to a huge width")


def _text(value: Any) -> str:
    """`value` as text, with its origin."""
    if isinstance(value, str):
        return value
    check_printable(value)
    return derived(str(value), value)


def lift(text: str) -> Traced:
    """`text` with the methods of Traced, its origin unchanged."""
    return text if isinstance(text, Traced) else Traced(text, ())


@pass_context
def printable(context: Context, value: Any) -> str:
    text = _text(value)
    spend(len(text))
    return text


def joined(parts: Iterable[str]) -> str:
    parts = list(parts)
    total(map(len, parts))
    return concat(parts)


def join(parts: Iterable[Any], between: str = "", attribute: str | None = None) -> str:
    if attribute is not None:
        raise TemplateRuntimeError("join takes no attribute here")
    if isinstance(parts, str):
        _check_text_step("join", parts, ())
    texts = [_text(part) for part in parts]
    total([len(between) * len(texts), *map(len, texts)])
    return lift(between).join(texts)


def _trim(text: Any, chars: str | None = None) -> str:
    return lift(_text(text)).strip(chars)


def _replace(text: Any, old: str, new: str, count: int = -1) -> str:
    return lift(_text(text)).replace(old, _text(new), count)


def _tojson(
    value: Any,
    indent: int | None = None,
    ensure_ascii: bool = False,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """As in transformers: no HTML escaping, Japanese stays readable."""
    if indent and indent > MAX_JSON_INDENT:
        raise BudgetError("it indents too far")
    return json.dumps(
        value, indent=indent, ensure_ascii=ensure_ascii, separators=separators, sort_keys=sort_keys
    )


OWN_FILTERS: dict[str, Callable[..., Any]] = {
    TICK: lambda value: value,
    CONCAT: join,
    "join": join,
    "replace": _replace,
    "safe": _text,
    "string": _text,
    "tojson": _tojson,
    "trim": _trim,
}


def _range(*args: int) -> range:
    numbers = range(*args)
    if len(numbers) > MAX_ARGUMENT:
        raise BudgetError("its range is too large")
    return numbers


def _raise_exception(message: str) -> None:
    raise RefusedError(str(message)[:500])


def _strftime(now: datetime, form: str) -> str:
    if re.search(r"%[^a-zA-Z%]", form):
        raise TemplateRuntimeError("strftime_now takes plain formats only")
    return now.strftime(form)
