"""What a handler reads of a request, taken from its own source: the calls of `daemons.kit.bodies`, and what it takes
from query and headers itself, in the handler and in whatever it hands the request to."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from types import FunctionType
from typing import Any, Final, cast

from daemons.kit import bodies


class Part(Enum):
    """What is followed through the source."""

    REQUEST = auto()
    QUERY = auto()
    HEADERS = auto()
    #: Each name that the query has: no one of them is read.
    EVERY = auto()
    UNKNOWN = auto()


@dataclass
class Reads:
    """What one handler reads; `unclear` are uses whose name or model the source does not tell."""

    bodies: list[Any] = field(default_factory=list)
    queries: list[Any] = field(default_factory=list)
    numbers: dict[str, tuple[int | None, int, int]] = field(default_factory=dict)
    parameters: set[str] = field(default_factory=set)
    required: set[str] = field(default_factory=set)
    headers: set[str] = field(default_factory=set)
    raw: bool = False
    unclear: list[str] = field(default_factory=list)


_RAW: Final = ("read", "content", "post", "multipart", "text", "json")
_FOLLOWED: Final = (Part.REQUEST, Part.QUERY, Part.HEADERS)
_ASKED: Final = ("get", "getall", "getone")


def reads_of(handler: Callable[..., Any]) -> Reads:
    """Of a bound or plain handler."""
    found = Reads()
    function = cast(FunctionType, getattr(handler, "__func__", handler))
    owner = type(getattr(handler, "__self__", None))
    names = list(inspect.signature(function).parameters)
    _follow(function, {names[-1]: Part.REQUEST}, owner, found, set())
    return found


def _follow(function: FunctionType, known: Mapping[str, object], owner: type, found: Reads, seen: set[object]) -> None:
    key = (function, tuple(sorted((name, str(value)) for name, value in known.items())))
    if key in seen:
        return
    function = inspect.unwrap(function)
    seen.add(key)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    _Walk(function, known, owner, found, seen).visit(tree.body[0])


class _Walk(ast.NodeVisitor):
    def __init__(
        self, function: FunctionType, known: Mapping[str, object], owner: type, found: Reads, seen: set[object]
    ) -> None:
        self._function = function
        self._known = dict(known)
        self._owner = owner
        self._found = found
        self._seen = seen

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for each in node.body:
            self.visit(each)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        for each in node.body:
            self.visit(each)

    def visit_Assign(self, node: ast.Assign) -> None:
        """Names of constants and parts that are kept in variables."""
        for target in node.targets:
            if isinstance(target, ast.Name):
                value = self._value(node.value)
                if value is not Part.UNKNOWN:
                    self._known[target.id] = value
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        """A name that goes through constants stands for each of them."""
        self._bind(node.target, node.iter)
        self.generic_visit(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension(node)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node)

    def _comprehension(self, node: ast.GeneratorExp | ast.ListComp) -> None:
        for each in node.generators:
            self._bind(each.target, each.iter)
        self.generic_visit(node)

    def _bind(self, target: ast.expr, source: ast.expr) -> None:
        value = self._value(source)
        if isinstance(target, ast.Name) and (value is Part.QUERY or isinstance(value, tuple)):
            self._known[target.id] = Part.EVERY if value is Part.QUERY else value

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if self._value(node.value) is Part.REQUEST and node.attr in _RAW:
            self._found.raw = True
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        part = self._value(node.value)
        if part in (Part.QUERY, Part.HEADERS):
            self._named(part, node.slice, node)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        if isinstance(node.ops[0], ast.In | ast.NotIn):
            part = self._value(node.comparators[0])
            if part in (Part.QUERY, Part.HEADERS):
                self._named(part, node.left, node)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        target = self._value(node.func)
        if target is bodies.read:
            self._model(self._found.bodies, node)
        elif target is bodies.query:
            self._model(self._found.queries, node)
        elif target is bodies.number:
            self._number(node)
        elif isinstance(node.func, ast.Attribute) and node.func.attr in _ASKED:
            part = self._value(node.func.value)
            if part in (Part.QUERY, Part.HEADERS):
                self._named(part, node.args[0], node)
        elif isinstance(target, FunctionType):
            self._into(target, node)
        self.generic_visit(node)

    def _model(self, into: list[Any], node: ast.Call) -> None:
        model = self._value(node.args[1])
        if isinstance(model, type):
            if model not in into:
                into.append(model)
        else:
            self._found.unclear.append(ast.unparse(node))

    def _number(self, node: ast.Call) -> None:
        name = self._value(node.args[1])
        given = {each.arg: self._value(each.value) for each in node.keywords}
        bounds = tuple(given.get(key) for key in ("default", "low", "high"))
        if isinstance(name, str):
            self._found.numbers[name] = bounds  # type: ignore[assignment]
        else:
            self._found.unclear.append(ast.unparse(node))

    def _named(self, part: object, expression: ast.expr, node: ast.AST) -> None:
        value = self._value(expression)
        names = (value,) if isinstance(value, str) else value
        if isinstance(names, tuple) and all(isinstance(name, str) for name in names):
            (self._found.parameters if part is Part.QUERY else self._found.headers).update(names)
        elif value is not Part.EVERY:
            self._found.unclear.append(ast.unparse(node))

    def _into(self, target: FunctionType, node: ast.Call) -> None:
        """Go on where the request is handed to."""
        if target.__module__ == bodies.__name__ and target is not bodies.expected:
            return
        names = list(inspect.signature(target).parameters)
        bound = isinstance(node.func, ast.Attribute) and names[:1] == ["self"]
        given: dict[str, object] = dict(zip(names[1:] if bound else names, map(self._value, node.args), strict=False))
        given |= {each.arg: self._value(each.value) for each in node.keywords if each.arg}
        if any(
            value in (Part.REQUEST, Part.QUERY, Part.HEADERS) for value in given.values() if isinstance(value, Part)
        ):
            defaults = {
                name: each.default
                for name, each in inspect.signature(target).parameters.items()
                if each.default is not inspect.Parameter.empty
            }
            _follow(target, {**defaults, **given}, self._owner, self._found, self._seen)

    def _value(self, node: ast.expr) -> object:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                known = self._owner if name == "self" else self._function.__globals__.get(name, Part.UNKNOWN)
                return self._known.get(name, known)
            case ast.Attribute(value=inner, attr=name):
                return _attribute(self._value(inner), name)
            case ast.Tuple(elts=parts):
                return tuple(map(self._value, parts))
            case ast.Await(value=inner):
                return self._value(inner)
            case _:
                return _computed(node) if isinstance(node, ast.BinOp | ast.UnaryOp) else Part.UNKNOWN


def _attribute(held: object, name: str) -> object:
    if isinstance(held, Part):
        parts = {"query": Part.QUERY, "headers": Part.HEADERS} if held is Part.REQUEST else {}
        return parts.get(name, Part.UNKNOWN)
    found = inspect.getattr_static(held, name, Part.UNKNOWN)
    return found.__func__ if isinstance(found, staticmethod) else found


def _computed(node: ast.expr) -> object:
    """Numbers such as `2**31`."""
    try:
        return eval(compile(ast.Expression(node), "<number>", "eval"), {"__builtins__": {}})
    except NameError:
        return Part.UNKNOWN
