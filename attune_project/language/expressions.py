"""One expression: parsed by Jinja, checked against a list of nodes, turned into plain closures.

Jinja's grammar is used and its code generator isn't: no Python is generated or executed, so there
is nothing to escape from. What a closure can do is written below. A name is a look-up in the
context, a dot is a look-up of a key in a map, a call is one of our functions; no operation reaches
an attribute of an object.

How the bounds hold: there are no loops and no variables, so an expression evaluates each of its
nodes at most once and source length bounds their number; operators that go through a value pay
for each part of it; whatever could grow (`*`, `+`, `%`, text) is measured before it is made;
functions look at the clock. Nesting is limited before anything recursive sees it.
"""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.parser import Parser

from .budget import MAX_SOURCE, Budget, ExpressionError, fits, to_text
from .formatting import format_text
from .functions import Function, finite
from .operations import BINARY, COMPARE, entry, look_up, look_up_key, multiply_numbers
from .operators import kind_of

MAX_NESTING = 100
MAX_BRACKETS = 25
KEY_ROOTS = ("key", "keystore")

Evaluate = Callable[[Budget], Any]

_ENVIRONMENT = Environment(autoescape=False)  # noqa: S701  # only its parser is used, nothing is rendered by it
_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_KNOWN_ESCAPES = frozenset("\\'\"abfnrtvxuU\n")


class Expression:
    """A compiled expression; `reads` names what it looks at: roots, and `event.payload`-like pairs."""

    __slots__ = ("cost", "evaluate", "reads")

    def __init__(self, source: str, functions: Mapping[str, Function]) -> None:
        tree = parse(source)
        self.cost = _measure(tree)
        compiler = _Compiler(functions)
        self.evaluate = compiler.compile(tree)
        self.reads = frozenset(compiler.reads)

    def value(self, budget: Budget) -> Any:
        """Evaluate; raise ExpressionError for what has no value."""
        budget.spend(self.cost)
        return self.evaluate(budget)


def parse(source: str) -> nodes.Expr:
    """Return Jinja's tree of an expression, or raise ExpressionError saying what can't be read."""
    if len(source) > MAX_SOURCE:
        raise ExpressionError(f"the expression is longer than {MAX_SOURCE} characters")
    if not source.strip():
        raise ExpressionError("the expression is empty")
    _check_brackets(_STRING.sub("", source))
    try:
        parser = Parser(_ENVIRONMENT, _STRING.sub(_keep_backslashes, source), state="variable")
        tree = parser.parse_expression()
        if not parser.stream.eos:
            raise ExpressionError(f"can't be read from {parser.stream.current.value!r} on")
    except TemplateSyntaxError as error:
        raise ExpressionError(f"can't be read: {error.message}") from None
    except RecursionError:
        raise ExpressionError("the expression is nested too deeply") from None
    except ValueError as error:
        # Python's limit on the digits of an integer; ExpressionError is one of its own.
        raise (
            error if isinstance(error, ExpressionError) else ExpressionError("a number is too long")
        ) from None
    return tree


def _check_brackets(source: str) -> None:
    """Refuse deep nesting before Jinja's recursive parser sees it."""
    depth = 0
    for character in source:
        depth += (character in "([{") - (character in ")]}")
        if depth > MAX_BRACKETS:
            raise ExpressionError("the expression is nested too deeply")


def _keep_backslashes(literal: re.Match[str]) -> str:
    r"""Let '\d' and '\1' mean themselves, as regular expressions want; Jinja would warn, or see \x01."""
    return _ESCAPE.sub(lambda found: found[0] if found[1] in _KNOWN_ESCAPES else "\\" + found[0], literal[0])


def _measure(tree: nodes.Node) -> int:
    """Count the nodes; raise when they are nested too deeply to walk."""
    count = 0
    level: list[nodes.Node] = [tree]
    for _ in range(MAX_NESTING):
        count += len(level)
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return count
    raise ExpressionError("the expression is nested too deeply")


class _Compiler:
    """Turn each allowed node into a closure; any other is refused by name."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self.functions = functions
        self.reads: set[str] = set()

    def compile(self, node: Any) -> Evaluate:
        if type(node) in BINARY:
            return self._binary(node)
        compile_node = _NODES.get(type(node))
        if compile_node is None:
            raise ExpressionError(f"{type(node).__name__.lower()} is not part of the language")
        return compile_node(self, node)

    def many(self, several: list[Any]) -> list[Evaluate]:
        return [self.compile(node) for node in several]

    def constant(self, node: nodes.Const) -> Evaluate:
        value = node.value
        if isinstance(value, int | float):
            finite(value)
        return lambda budget: value

    def name(self, node: nodes.Name) -> Evaluate:
        name = node.name
        if name == "null":
            return lambda budget: None
        self.reads.add(name)
        return lambda budget: budget.context.get(name)

    def _note_read(self, node: Any, key: Any) -> None:
        if isinstance(node, nodes.Name):
            self.reads.add(f"{node.name}.{key}")

    def attribute(self, node: nodes.Getattr) -> Evaluate:
        names = _dotted(node)
        if names and names[0] in KEY_ROOTS:
            root, rest = names[0], names[1:]
            self.reads.add(root)
            return lambda budget: look_up_key(budget.context.get(root), rest)
        value, key = self.compile(node.node), node.attr
        self._note_read(node.node, key)
        return lambda budget: entry(value(budget), key)

    def item(self, node: nodes.Getitem) -> Evaluate:
        value = self.compile(node.node)
        if isinstance(node.arg, nodes.Slice):
            return self._slice(value, node.arg)
        if isinstance(node.arg, nodes.Const):
            self._note_read(node.node, node.arg.value)
        key = self.compile(node.arg)
        return lambda budget: look_up(value(budget), key(budget))

    def _slice(self, value: Evaluate, node: nodes.Slice) -> Evaluate:
        parts = [self.compile(part) if part else _nothing for part in (node.start, node.stop, node.step)]

        def slice_of(budget: Budget) -> Any:
            whole = value(budget)
            bounds = [part(budget) for part in parts]
            if whole is None:
                return None
            if not isinstance(whole, str | list) or not all(b is None or type(b) is int for b in bounds):
                raise ExpressionError(f"{kind_of(whole)} can't be sliced so")
            if bounds[2] == 0:
                raise ExpressionError("the step of a slice is not zero")
            budget.spend(len(whole) >> (8 if isinstance(whole, str) else 0))
            return whole[slice(*bounds)]

        return slice_of

    def _binary(self, node: nodes.BinExpr) -> Evaluate:
        left, apply = self.compile(node.left), BINARY[type(node)]
        if isinstance(node, nodes.Mod) and isinstance(node.right, nodes.Tuple):
            return self._format(left, node.right)
        right = self.compile(node.right)
        return lambda budget: apply(budget, left(budget), right(budget))

    def _format(self, left: Evaluate, right: nodes.Tuple) -> Evaluate:
        """Compile `'%s: %d' % (a, b)`: only here do brackets hold several arguments."""
        arguments = self.many(right.items)
        return lambda budget: format_text(left(budget), [argument(budget) for argument in arguments])

    def join(self, node: nodes.Concat) -> Evaluate:
        parts = self.many(node.nodes)

        def joined(budget: Budget) -> str:
            texts = [to_text(part(budget)) for part in parts]
            length = sum(map(len, texts))
            fits(length)
            budget.spend(length >> 8)
            return "".join(texts)

        return joined

    def compare(self, node: nodes.Compare) -> Evaluate:
        first = self.compile(node.expr)
        steps = [(COMPARE[operand.op], self.compile(operand.expr)) for operand in node.ops]

        def compared(budget: Budget) -> bool:
            left = first(budget)
            for compare, operand in steps:
                right = operand(budget)
                if not compare(budget, left, right):
                    return False
                left = right
            return True

        return compared

    def both(self, node: nodes.And) -> Evaluate:
        left, right = self.compile(node.left), self.compile(node.right)
        return lambda budget: left(budget) and right(budget)

    def either(self, node: nodes.Or) -> Evaluate:
        left, right = self.compile(node.left), self.compile(node.right)
        return lambda budget: left(budget) or right(budget)

    def opposite(self, node: nodes.Not) -> Evaluate:
        value = self.compile(node.node)
        return lambda budget: not value(budget)

    def sign(self, node: nodes.Neg | nodes.Pos) -> Evaluate:
        value, factor = self.compile(node.node), -1 if isinstance(node, nodes.Neg) else 1
        return lambda budget: multiply_numbers(budget, factor, value(budget))

    def choice(self, node: nodes.CondExpr) -> Evaluate:
        test, yes = self.compile(node.test), self.compile(node.expr1)
        no = self.compile(node.expr2) if node.expr2 else _nothing
        return lambda budget: yes(budget) if test(budget) else no(budget)

    def sequence(self, node: nodes.List | nodes.Tuple) -> Evaluate:
        items = self.many(node.items)
        return lambda budget: [item(budget) for item in items]

    def mapping(self, node: nodes.Dict) -> Evaluate:
        pairs = [(self.compile(pair.key), self.compile(pair.value)) for pair in node.items]

        def mapped(budget: Budget) -> dict[str, Any]:
            result = {}
            for key, value in pairs:
                name = key(budget)
                if not isinstance(name, str):
                    raise ExpressionError(f"the keys of a map are text, not {kind_of(name)}")
                result[name] = value(budget)
            return result

        return mapped

    def call(self, node: nodes.Call) -> Evaluate:
        if not isinstance(node.node, nodes.Name):
            raise ExpressionError("only functions can be called; values have no methods")
        return self._function(node.node.name, node, list(node.args))

    def filtered(self, node: nodes.Filter) -> Evaluate:
        if node.node is None:
            raise ExpressionError("a filter needs a value on its left")
        return self._function(node.name, node, [node.node, *node.args])

    def _function(self, name: str, node: nodes.Call | nodes.Filter, given: list[Any]) -> Evaluate:
        function = self.functions.get(name)
        if function is None:
            near = get_close_matches(name, self.functions, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ExpressionError(f"unknown function {name!r}{hint}")
        if node.kwargs or node.dyn_args or node.dyn_kwargs:
            raise ExpressionError(f"{name}: arguments are given by position only")
        if not function.least <= len(given) <= function.most:
            wanted = (
                f"{function.least} to {function.most}" if function.most > function.least else function.most
            )
            raise ExpressionError(f"{name} takes {wanted} arguments, not {len(given)}")
        arguments = self.many(given)
        return lambda budget: function(name, budget, [argument(budget) for argument in arguments])


def _nothing(budget: Budget) -> None:
    return None


def _dotted(node: Any) -> list[str]:
    """Return the names of `a.b.c`, or nothing when anything else is in it."""
    names: list[str] = []
    while isinstance(node, nodes.Getattr):
        names.append(node.attr)
        node = node.node
    return [node.name, *reversed(names)] if isinstance(node, nodes.Name) else []


_NODES: dict[type, Callable[[_Compiler, Any], Evaluate]] = {
    nodes.Const: _Compiler.constant,
    nodes.Name: _Compiler.name,
    nodes.Getattr: _Compiler.attribute,
    nodes.Getitem: _Compiler.item,
    nodes.Concat: _Compiler.join,
    nodes.Compare: _Compiler.compare,
    nodes.And: _Compiler.both,
    nodes.Or: _Compiler.either,
    nodes.Not: _Compiler.opposite,
    nodes.Neg: _Compiler.sign,
    nodes.Pos: _Compiler.sign,
    nodes.CondExpr: _Compiler.choice,
    nodes.List: _Compiler.sequence,
    nodes.Tuple: _Compiler.sequence,
    nodes.Dict: _Compiler.mapping,
    nodes.Call: _Compiler.call,
    nodes.Filter: _Compiler.filtered,
}
