"""Values with `{{ expressions }}` in their strings, compiled when saved and rendered for each event.

A string that is exactly one expression keeps the type of its value. Values without `{{` are found
when compiling and cost nothing. Statements (`{% ... %}`) are refused; comments and everything else
are plain text.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .budget import MAX_SOURCE, Budget, ExpressionError, fits, to_text
from .documents import MAX_DEPTH, DocumentError, check_document
from .expressions import Expression
from .functions import FUNCTIONS, Function

_STATEMENT = re.compile(r"\{%[-+]?\s*\w+[^%]*%\}")
_TOKEN = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^'"{}]+|.""", re.DOTALL)

Render = Callable[[Budget], Any]


class TemplateError(ValueError):
    """A template that can't be read, or has no value; `path` is where it stands in the value given."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled value. `reads` names the roots it looks at, and pairs such as `event.payload`."""

    source: Any
    run: Render | None
    reads: frozenset[str]

    @property
    def is_constant(self) -> bool:
        return self.run is None

    def render(self, context: Mapping[str, Any]) -> Any:
        """Return the value, or raise TemplateError naming the path and the reason.

        All templates of one value share the bounds. The result may share parts with `context` and
        with the template: read it, don't change it.
        """
        return self.source if self.run is None else self.run(Budget(context))


def compile_template(value: Any, functions: Mapping[str, Function] = FUNCTIONS) -> Template:
    """Compile all templates in `value` (lists and maps too, keys not); raise TemplateError."""
    compiler = _Compiler(functions)
    run = compiler.value(value, "", 0)
    return Template(value, run, frozenset(compiler.reads))


def compile_expression(text: str, functions: Mapping[str, Function] = FUNCTIONS) -> Template:
    """Compile one expression with or without its braces."""
    stripped = text.strip()
    bare = not (stripped.startswith("{{") and stripped.endswith("}}"))
    return compile_template("{{ " + stripped + " }}" if bare else stripped, functions)


def is_templated(value: Any) -> bool:
    return isinstance(value, str) and "{{" in value


class _Compiler:
    def __init__(self, functions: Mapping[str, Function]) -> None:
        self.functions = functions
        self.reads: set[str] = set()

    def value(self, value: Any, path: str, depth: int) -> Render | None:
        """Return how to render a value, or None when it is what it is."""
        if depth > MAX_DEPTH:
            raise TemplateError(path, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, str):
            return self.text(value, path)
        if isinstance(value, list):
            return self.sequence(value, path, depth)
        return self.mapping(value, path, depth) if isinstance(value, dict) else None

    def sequence(self, value: list[Any], path: str, depth: int) -> Render | None:
        runs = [self.value(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
        if not any(runs):
            return None
        pairs = list(zip(runs, value, strict=True))
        return lambda budget: [run(budget) if run else item for run, item in pairs]

    def mapping(self, value: dict[str, Any], path: str, depth: int) -> Render | None:
        runs = {
            key: run
            for key, item in value.items()
            if (run := self.value(item, f"{path}.{key}" if path else str(key), depth + 1))
        }
        if not runs:
            return None
        return lambda budget: value | {key: run(budget) for key, run in runs.items()}

    def text(self, source: str, path: str) -> Render | None:
        if "{{" not in source and "{%" not in source:
            return None
        try:
            parts = [self.part(part) for part in _parts(source)]
        except ExpressionError as error:
            raise TemplateError(path, str(error)) from None
        if not any(isinstance(part, Expression) for part in parts):
            return None
        if len(parts) == 1 and isinstance(parts[0], Expression):
            return _guarded(parts[0].value, path)
        return _guarded(lambda budget: _mixed(parts, budget), path)

    def part(self, part: tuple[bool, str]) -> Expression | str:
        is_expression, source = part
        if not is_expression:
            return source
        expression = Expression(source, self.functions)
        self.reads |= expression.reads
        return expression


def _mixed(parts: list[Expression | str], budget: Budget) -> str:
    texts = [part if isinstance(part, str) else to_text(part.value(budget)) for part in parts]
    fits(sum(map(len, texts)))
    return "".join(texts)


def _guarded(evaluate: Render, path: str) -> Render:
    """Put the path to an error, and let nothing out that couldn't be stored."""

    def run(budget: Budget) -> Any:
        try:
            value = budget.emit(evaluate(budget))
            check_document(value)
        except (ExpressionError, DocumentError) as error:
            raise TemplateError(path, str(error)) from None
        return value

    return run


def _parts(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the text and the sources of the expressions of a string, each with which of them it is."""
    position = 0
    while (start := text.find("{{", position)) >= 0:
        yield from _plain(text[position:start])
        end = _end(text, start + 2)
        source = text[start + 2 : end]
        if source[:1] in ("-", "+") and source[1:2].isspace():
            raise ExpressionError("'{{-' does not trim here; write {{ -x }} for a negative value")
        yield True, source
        position = end + 2
    yield from _plain(text[position:])


def _plain(text: str) -> Iterator[tuple[bool, str]]:
    if _STATEMENT.search(text):
        raise ExpressionError("statements ({% ... %}) are not part of the language, only {{ expressions }}")
    if text:
        yield False, text


def _end(text: str, start: int) -> int:
    """Return where the closing braces stand, past strings and maps that hold braces of their own."""
    depth = 0
    for token in _TOKEN.finditer(text, start, start + MAX_SOURCE + 2):
        if token[0] == "{":
            depth += 1
        elif token[0] == "}" and depth:
            depth -= 1
        elif token[0] == "}":
            if text.startswith("}}", token.start()):
                return token.start()
            raise ExpressionError("a single '}' closes nothing")
        elif token[0] in ("'", '"'):
            raise ExpressionError("a string in the expression is not closed")
    if len(text) - start > MAX_SOURCE:
        raise ExpressionError(f"an expression is longer than {MAX_SOURCE} characters, or not closed")
    raise ExpressionError("'{{' is not closed by '}}'")
