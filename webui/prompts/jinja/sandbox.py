"""Sandbox: the Jinja environment in which every template runs, ours and those of model files.

Reaches nothing but its arguments, is bounded in time and output (see budget), and carries the
origin of every character through all that a template can do with text (see traced). Conventions
(trim_blocks, raise_exception, strftime_now, tojson, {% generation %}, loop controls) are those of
Hugging Face's `apply_chat_template`, which model makers write for.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from jinja2.visitor import NodeTransformer

from webui.prompts.jinja.budget import spend, weigh
from webui.prompts.jinja.filters import (
    CONCAT,
    TICK,
    check_format,
    check_operands,
    check_printable,
    check_sizes,
    filters,
    functions,
    join,
    joined,
    lift,
    marked,
    printable,
    tests,
)
from webui.prompts.jinja.traced import derived

STR_METHODS = frozenset(
    "strip lstrip rstrip split rsplit splitlines partition rpartition replace removeprefix"
    " removesuffix startswith endswith find rfind index rindex count lower upper title capitalize"
    " center ljust rjust isalpha isalnum isdigit isnumeric isdecimal isspace islower"
    " isupper istitle".split()
)


class Sandbox(ImmutableSandboxedEnvironment):
    """`now` gives the date that templates print. One instance serves all threads."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # folding constants would run the template outside its budget
            finalize=printable,
            extensions=[LoopControlExtension, _GenerationTag],
        )
        self.concat = joined  # type: ignore[method-assign]
        self.globals = functions(now)
        self.filters = filters()
        self.tests = cast(dict[str, Any], tests())

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
            return lambda parts: join(parts, obj)
        if attribute in STR_METHODS:
            return getattr(lift(obj), attribute)
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
        check_sizes(getattr(__obj, "__name__", ""), owner, args, kwargs)
        result = super().call(__context, __obj, *args, **kwargs)
        if isinstance(owner, dict | list | tuple):  # .get() gives what was there, nothing new
            return result
        return marked(result, owner, *args, *kwargs.values())

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        spend(weigh(left, right))
        if operator == "%" and isinstance(left, str):
            check_format(left)
            check_printable(right)
            return derived(super().call_binop(context, operator, left, right), left, right)
        check_operands(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def _formatter(self, text: str) -> Callable[..., str]:
        def format(*args: Any, **kwargs: Any) -> str:
            check_format(text)
            check_printable((args, kwargs))
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

    def visit_Call(self, node: nodes.Call) -> nodes.Node:
        if node.dyn_args or node.dyn_kwargs:  # would unpack without end before anything is asked
            raise TemplateSyntaxError("no *arguments here", node.lineno)
        return self.generic_visit(node)

    visit_Filter = visit_Test = visit_Call

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
