"""Sandbox: the Jinja environment in which every template runs, ours and those of model files.

Reaches nothing but its arguments, is bounded in time and output (see budget), and carries the
origin of every character through all that a template can do with text (see traced). It keeps to
what chat templates use: what is not on the lists below is refused by name, not half supported.
Conventions (trim_blocks, raise_exception, strftime_now, tojson, {% generation %}, loop controls)
are those of Hugging Face's `apply_chat_template`, which model makers write for.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from jinja2 import nodes, pass_context
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.ext import Extension, LoopControlExtension
from jinja2.filters import FILTERS
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from jinja2.tests import TESTS
from jinja2.utils import Namespace, _PassArg
from jinja2.visitor import NodeTransformer

from webui.prompts.budget import BudgetError, spend, total, weigh
from webui.prompts.traced import Traced, concat, derived

DATA = (str, int, float, list, tuple, dict)  # all that text may be made of
MAX_ARGUMENT = 100_000  # widths, counts, ranges
STR_METHODS = frozenset(
    "strip lstrip rstrip split rsplit splitlines partition rpartition replace removeprefix"
    " removesuffix startswith endswith find rfind index rindex count lower upper title capitalize"
    " center ljust rjust isalpha isalnum isdigit isnumeric isdecimal isspace islower"
    " isupper istitle".split()
)
# Filters that no template can name: the instrumented syntax tree calls them.
TICK, CONCAT = "kajogaki tick", "kajogaki concat"
JINJA_FILTERS = frozenset(
    "abs capitalize count d default dictsort first float groupby indent int items last length list"
    " lower map max min reject rejectattr reverse round select selectattr sort title trim unique"
    " upper".split()
)
UNWEIGHED = frozenset("count d default first last length".split())  # they look at one item only
# Filters that give back what they were given, or text whose origin they carried along themselves.
SELECTING = JINJA_FILTERS - frozenset("capitalize indent lower title trim upper".split()) | {
    TICK,
    CONCAT,
    "join",
    "replace",
    "safe",
    "string",
}
HUGE_WIDTH = re.compile(r"%[-+ #0]*(\d{4}|\*)|\.(\d{4}|\*)|\{[^{}]*\d{4}|\{[^{}]+\{")
REFUSED_TESTS = frozenset({"callable", "escaped", "filter", "test"})


class RefusedError(Exception):
    """The template itself says no, through raise_exception."""


class Sandbox(ImmutableSandboxedEnvironment):
    """`now` gives the date that templates print. One instance serves all threads."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # folding constants would run the template outside its budget
            finalize=_printable,
            extensions=[LoopControlExtension, _GenerationTag],
        )
        self.concat = _concat  # type: ignore[method-assign]
        self.globals = {
            "range": _range,
            "dict": dict,
            "namespace": Namespace,
            "raise_exception": _raise_exception,
            "strftime_now": lambda form: _strftime(now(), form),
        }
        self.filters = {name: _guarded(FILTERS[name], name) for name in JINJA_FILTERS} | {
            name: _guarded(function, name) for name, function in OWN_FILTERS.items()
        }
        self.tests = {
            name: _guarded(cast(Callable[..., Any], function), name)
            for name, function in TESTS.items()
            if name not in REFUSED_TESTS
        }

    def _generate(
        self,
        source: nodes.Template,
        name: str | None,
        filename: str | None,
        defer_init: bool = False,
    ) -> str:
        _Instrument().visit(source)
        source.set_environment(self)
        return super()._generate(source, name, filename, defer_init)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if not isinstance(obj, str):
            return super().getattr(obj, attribute)
        if attribute == "format":
            return self._formatter(obj)
        if attribute == "join":
            return lambda parts: _join(parts, obj)
        if attribute in STR_METHODS:
            return getattr(_lift(obj), attribute)
        if hasattr(str, attribute):
            raise SecurityError(f"strings have no .{attribute} here")
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, str) and isinstance(argument, str):
            return self.getattr(obj, argument)
        spend(weigh(argument))
        return super().getitem(obj, argument)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: B902
        spend()
        if isinstance(__obj, Macro | LoopContext):  # template code, which counts for itself
            return super().call(__context, __obj, *args, **kwargs)
        owner = getattr(__obj, "__self__", None)
        _check_sizes(getattr(__obj, "__name__", ""), owner, args, kwargs)
        result = super().call(__context, __obj, *args, **kwargs)
        if isinstance(owner, dict | list | tuple):  # .get() gives what was there, nothing new
            return result
        return _marked(result, owner, *args, *kwargs.values())

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        spend(weigh(left, right))
        if operator == "%" and isinstance(left, str):
            _check_format(left)
            _check_printable(right)
            return derived(super().call_binop(context, operator, left, right), left, right)
        _check_operands(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def _formatter(self, text: str) -> Callable[..., str]:
        def format(*args: Any, **kwargs: Any) -> str:
            _check_format(text)
            _check_printable((args, kwargs))
            result = SandboxedFormatter(self).vformat(str.__str__(text), args, kwargs)
            return derived(result, text, args, kwargs)

        return format


# --- the syntax tree: places that Jinja compiles to bare Python get a hook ------------------------


class _Instrument(NodeTransformer):
    """Every loop turn, comparison, slice, dictionary key and `~` passes through a filter."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        if node.test is not None:
            node.test = _filter(node.test, TICK)
        tick = nodes.ExprStmt(_filter(nodes.Const(None), TICK), lineno=node.lineno)
        node.body.insert(0, tick)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filter(nodes.List(node.nodes, lineno=node.lineno), CONCAT)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = _filter(node.expr, TICK)
        return node

    def visit_Operand(self, node: nodes.Operand) -> nodes.Node:
        self.generic_visit(node)
        node.expr = _filter(node.expr, TICK)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        return _filter(node, TICK) if isinstance(node.arg, nodes.Slice) else node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:
        self.generic_visit(node)
        node.key = _filter(node.key, TICK)
        return node


def _filter(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(cast(nodes.Expr, node), name, [], [], None, None, lineno=node.lineno)


class _GenerationTag(Extension):
    """{% generation %}…{% endgeneration %} marks text for training; here it means nothing."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


# --- checks --------------------------------------------------------------------------------------


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
            _check_sizes(name, value, args, kwargs)
        first = {
            _PassArg.context: (context,),
            _PassArg.eval_context: (context.eval_ctx,),
            _PassArg.environment: (context.environment,),
            None: (),
        }[passes]
        result = function(*first, value, *args, **kwargs)
        return result if name in SELECTING else _marked(result, value, *args, *kwargs.values())

    return guarded


def _check_sizes(name: str, of: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Refuse what would be slow or large in one step. Raises BudgetError."""
    spend(weigh(of, *args, *kwargs.values()))
    for value in (*args, *kwargs.values()):
        if isinstance(value, int) and abs(value) > MAX_ARGUMENT:
            raise BudgetError(f"{name.strip('_')}({value}) is too large")
    if name == "replace" and len(args) >= 2 and isinstance(of, str):
        old, new = str(args[0]), str(args[1])
        total([(of.count(old) if old else len(of) + 1) * len(new)])


def _check_operands(operator: str, left: Any, right: Any) -> None:
    match operator, left, right:
        case ("*", str(), int() as count) | ("*", int() as count, str()):
            if count > MAX_ARGUMENT:
                raise BudgetError("it repeats too often")
            total([(len(left) if isinstance(left, str) else len(right)) * max(0, count)])
        case ("*", list() | tuple(), _) | ("*", _, list() | tuple()):
            raise BudgetError("it multiplies lists")
        case ("**", _, _) if not (abs(left) <= MAX_ARGUMENT and abs(right) <= 64):
            raise BudgetError("its numbers are too large")


def _marked(result: Any, *sources: Any) -> Any:
    """`result`; message-born when it is new text and any of `sources` holds message-born text."""
    if isinstance(result, str | list | tuple | dict):
        spend(weigh(result))
    if not isinstance(result, str) or isinstance(result, Traced):
        return result
    known = all(source is None or isinstance(source, DATA) for source in sources)
    return derived(result, *sources) if known else Traced(result)


def _check_printable(value: Any) -> None:
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


def _check_format(template: str) -> None:
    if HUGE_WIDTH.search(template):
        raise BudgetError("it formats to a huge width")


def _text(value: Any) -> str:
    """`value` as text, with its origin."""
    if isinstance(value, str):
        return value
    _check_printable(value)
    return derived(str(value), value)


def _lift(text: str) -> Traced:
    """`text` with the methods of Traced, its origin unchanged."""
    return text if isinstance(text, Traced) else Traced(text, ())


# --- filters, globals, output --------------------------------------------------------------------


@pass_context
def _printable(context: Context, value: Any) -> str:
    text = _text(value)
    spend(len(text))
    return text


def _concat(parts: Iterable[str]) -> str:
    parts = list(parts)
    total(map(len, parts))
    return concat(parts)


def _join(parts: Iterable[Any], between: str = "", attribute: str | None = None) -> str:
    if attribute is not None:
        raise TemplateRuntimeError("join takes no attribute here")
    texts = [_text(part) for part in parts]
    total([len(between) * len(texts), *map(len, texts)])
    return _lift(between).join(texts)


def _replace(text: Any, old: str, new: str, count: int = -1) -> str:
    return _lift(_text(text)).replace(old, _text(new), count)


def _tojson(
    value: Any,
    indent: int | None = None,
    ensure_ascii: bool = False,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """As in transformers: no HTML escaping, Japanese stays readable."""
    return json.dumps(
        value, indent=indent, ensure_ascii=ensure_ascii, separators=separators, sort_keys=sort_keys
    )


OWN_FILTERS: dict[str, Callable[..., Any]] = {
    TICK: lambda value: value,
    CONCAT: _join,
    "join": _join,
    "replace": _replace,
    "safe": _text,
    "string": _text,
    "tojson": _tojson,
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
