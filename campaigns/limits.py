"""A Liquid template's text in; a parsed template that cannot run away, out.

python-liquid limits loops, output and local variables. Tried out, it still hung or filled the memory on:
ranges outside of loops, `offset` and `reversed` on long ranges, `replace`, `join` and `uniq` of long values,
squared whole numbers, and broken HTML that `strip_html` reads. Each has its guard here, and one meter counts
the work of a rendering. Its lexer is quadratic on tags never closed: `templates.scan` refuses those before.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import wraps
from io import StringIO
from typing import Any, TextIO

from liquid import BoundTemplate, Environment, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions import LoopExpression
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.filters.misc import date as format_date
from liquid.exceptions import (
    FilterArgumentError,
    LiquidSyntaxError,
    LoopIterationLimitError,
    ResourceLimitError,
)
from liquid.expression import Expression
from liquid.filter import string_filter, with_context
from liquid.output import LimitedStringIO

# Characters written or passed through filters in one rendering; one turn of a loop counts as TURN of them.
WORK, TURN = 1_000_000, 100
LOOP = 2_000
OUTPUT_BYTES = 500_000
WHOLE_NUMBER_BITS = 256
DATE_LENGTH = 100
TAGS = re.compile(r"</?[a-zA-Z][^<>]*>|<!--|-->")


class Context(RenderContext):
    """The state of one rendering, with its meter."""

    __slots__ = ("work",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.work = WORK

    def spend(self, amount: int) -> None:
        """Take `amount` off the meter; raises ResourceLimitError when it is used up."""
        self.work -= amount
        if self.work < 0:
            raise ResourceLimitError("it makes too much text or loops for too long", token=None)

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Called by the library before each loop; nested and following loops share the meter."""
        super().raise_for_loop_limit(length)
        self.spend(length * TURN)

    def stopindex(self, key: str, index: int | None = None) -> int:
        """Called by the library with the last item a loop needs, before it walks there or reverses them."""
        if index is not None and index > LOOP:
            raise LoopIterationLimitError(f"a loop may not go past item {LOOP}", token=None)
        return super().stopindex(key, index)

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:
        """Where `capture` and `ifchanged` write: the same meter runs there."""
        return Metered(self)


class Metered(LimitedStringIO):
    """Output that spends from the rendering's meter."""

    def __init__(self, context: Context) -> None:
        super().__init__(limit=OUTPUT_BYTES)
        self.context = context

    def write(self, text: str) -> int:
        self.context.spend(len(text))
        return super().write(text)


class Template(BoundTemplate):
    """A parsed template whose renderings are metered."""

    context_class = Context

    def render(self, *args: Any, **kwargs: Any) -> str:
        """Takes what `dict` takes; raises LiquidError, and whatever a filter raises on odd values."""
        context = Context(self, globals=self.make_globals(dict(*args, **kwargs)))
        output = Metered(context)
        self.render_with_context(context, output)
        return output.getvalue()


class Limited(Environment):
    """Liquid without partials, with every filter metered. No filter turns `autoescape` off."""

    template_class = Template
    loop_iteration_limit = LOOP
    local_namespace_limit = OUTPUT_BYTES
    output_stream_limit = OUTPUT_BYTES
    context_depth_limit = 20
    block_nesting_limit = 20

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        # There is nothing to include, and `safe` would let a customer's own words into the HTML.
        for name in ("include", "render"):
            del self.tags[name]
        del self.filters["safe"]
        self.filters |= {"date": date, "strip_html": strip_html}
        self.filters = {name: metered(name, function) for name, function in self.filters.items()}


@with_context
def date(value: object, pattern: str = "%Y-%m-%d", *, context: RenderContext) -> object:
    """`value` by a strftime pattern; "now" is the moment the message is made for, not the machine's clock."""
    if value in ("now", "today"):
        value = context.resolve("now")
    if len(str(value)) > DATE_LENGTH or len(str(pattern)) > DATE_LENGTH:
        raise FilterArgumentError(f"date takes at most {DATE_LENGTH} characters", token=None)
    if isinstance(value, datetime):
        return value.strftime(str(pattern))
    return format_date(value, str(pattern), environment=context.env)


@string_filter
def strip_html(value: str) -> str:
    """The text without tags, in one pass. Escaped text stays escaped."""
    return type(value)(TAGS.sub("", value))


def metered(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, with what it reads taken off the meter before it runs, and what it will make if that is more."""

    @with_context
    @wraps(function)
    def run(value: object, *args: Any, context: Context, **kwargs: Any) -> object:
        context.spend(weight(value) + sum(map(weight, args)) + forecast(name, value, args))
        if getattr(function, "with_context", False):
            kwargs["context"] = context
        result = function(value, *args, **kwargs)
        if isinstance(result, int) and result.bit_length() > WHOLE_NUMBER_BITS:
            raise FilterArgumentError(f"{name}: the number is too long", token=None)
        return result

    return run


def weight(value: object) -> int:
    """What a value costs to walk over: characters, and eight a list item."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list | tuple):
        return 8 * len(value) + sum(len(item) for item in value if isinstance(item, str))
    return len(value) if isinstance(value, Mapping) else 1


def forecast(name: str, value: object, args: tuple[Any, ...]) -> int:
    """What the filters whose result outgrows their arguments will make, in characters or steps."""
    if name == "replace" and args:
        text, sought, new = str(value), str(args[0]), str(args[1]) if len(args) > 1 else ""
        return text.count(sought) * len(new)
    if name == "join" and isinstance(value, list | tuple):
        return len(value) * len(str(args[0] if args else " "))
    if name == "uniq" and isinstance(value, list | tuple):
        return len(value) ** 2
    return 0


def refuse_loose_ranges(template: BoundTemplate) -> None:
    """Raise LiquidSyntaxError for a range that is not what a loop goes over.

    Anywhere else (`contains`, `assign`, a filter) the library would walk through all of it, however long.
    """
    for expression, parent in _expressions(template.nodes, RenderContext(template)):
        bounds_a_loop = isinstance(parent, LoopExpression) and parent.iterable is expression
        if isinstance(expression, RangeLiteral) and not bounds_a_loop:
            raise LiquidSyntaxError("a range may stand only in a for loop", token=expression.token)


def _expressions(nodes: Sequence[Node], context: RenderContext) -> Iterator[tuple[Expression, Expression | None]]:
    """Every expression of a template with the one it is part of."""
    for node in nodes:
        waiting: list[tuple[Expression, Expression | None]] = [(e, None) for e in node.expressions()]
        while waiting:
            expression, parent = waiting.pop()
            yield expression, parent
            waiting.extend((child, expression) for child in expression.children())
        yield from _expressions(list(node.children(context, include_partials=False)), context)
