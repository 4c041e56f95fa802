"""Signatures as text that depends on the source alone.

`inspect.signature` resolves annotations, and so names the module where a type lives and, for types
of other packages, their form in one version of Python. The words of the source do neither.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from types import ModuleType
from typing import Any


def exported_names(module: ModuleType) -> list[str]:
    """The public names of a module: its ``__all__``, or else what it defines."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    return sorted(name for name in _definitions(module) if _is_public(name))


def describe(module: ModuleType, name: str) -> Iterator[str]:
    """The lines that describe one public name: its signature, and for a class its members.

    Of a constant they hold the words that it is made with, which say what an alias stands for; of
    one that a call makes, only its type.
    """
    value = getattr(module, name)
    full_name = f"{module.__name__}.{name}"
    if inspect.isclass(value):
        yield from _describe_class(full_name, value)
    elif inspect.isfunction(value):
        yield from _describe_function(full_name, _source(value), value)
    elif name.startswith("__"):
        yield full_name
    elif isinstance(ast.parse(words := _words_of(module, name), mode="eval").body, ast.Call):
        yield f"{full_name}: {type(value).__name__}"
    else:
        yield f"{full_name} = {words}"


def _definitions(module: ModuleType) -> dict[str, str]:
    """What a module defines itself, and the words of each constant."""
    found: dict[str, str] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = ""
        found.update(_assigned(node))
    return found


def _words_of(module: ModuleType, name: str) -> str:
    """The words that a constant is made with, wherever it is imported from."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            return _words_of(import_module(str(node.module)), name)
    return _definitions(module)[name]


def _describe_class(full_name: str, kind: type) -> Iterator[str]:
    node = _source(kind)
    bases = ", ".join(map(ast.unparse, [*node.bases, *node.keywords]))
    yield from (f"@{ast.unparse(decorator)}" for decorator in node.decorator_list)
    yield f"class {full_name}({bases})" if bases else f"class {full_name}"
    for inner in node.body:
        yield from (f"    {line}" for line in _describe_member(kind, inner))


def _describe_member(kind: type, node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        if _is_public(node.name) or node.name == "__init__":
            function = inspect.unwrap(_function_of(kind.__dict__[node.name]))
            yield from _describe_function(node.name, node, function)
        if node.name == "__init__":
            yield from _attributes(node)
    elif isinstance(node, ast.AnnAssign) and _is_public(name := ast.unparse(node.target)):
        text = f"{name}: {ast.unparse(node.annotation)}"
        if node.value is not None:
            default = kind.__dict__.get(name)
            if is_dataclass(kind):
                default = next(field.default for field in fields(kind) if field.name == name)
            text += f" = {_shown(default, ast.unparse(node.value))}"
        yield text
    elif isinstance(node, ast.Assign):
        yield from (f"{name} = {text}" for name, text in _assigned(node) if _is_public(name))


def _describe_function(name: str, node: Any, function: Callable[..., Any]) -> Iterator[str]:
    yield from (f"@{ast.unparse(decorator)}" for decorator in node.decorator_list)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    word = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    yield f"{word}{name}({', '.join(_parameters(node.args, function))}){returns}"


def _parameters(arguments: ast.arguments, function: Callable[..., Any]) -> Iterator[str]:
    annotations = {
        given.arg: ast.unparse(given.annotation)
        for given in ast.walk(arguments)
        if isinstance(given, ast.arg) and given.annotation is not None
    }
    sources = dict(_defaults(arguments))
    signature = inspect.signature(function)
    plain = [
        parameter.replace(annotation=inspect.Parameter.empty, default=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
    ]
    # Python itself knows where the bare ``*`` and ``/`` belong.
    names = str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))
    for shown in filter(None, names.strip("()").split(", ")):
        name = shown.lstrip("*")
        text = f"{shown}: {annotations[name]}" if name in annotations else shown
        if name in sources:
            default = signature.parameters[name].default
            text += f" = {_shown(default, sources[name])}"
        yield text


def _defaults(arguments: ast.arguments) -> Iterator[tuple[str, str]]:
    positional = [*arguments.posonlyargs, *arguments.args]
    trailing = positional[len(positional) - len(arguments.defaults) :]
    for given, default in zip(trailing, arguments.defaults, strict=True):
        yield given.arg, ast.unparse(default)
    for given, named in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if named is not None:
            yield given.arg, ast.unparse(named)


def _attributes(initialiser: ast.AST) -> Iterator[str]:
    """What `__init__` puts on the instance under a public name."""
    for node in ast.walk(initialiser):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and ast.unparse(node.value) == "self"
            and _is_public(node.attr)
        ):
            yield f"self.{node.attr}"


def _shown(value: Any, words: str) -> str:
    """A plain value itself, because the name of its constant may change; else its words."""
    return repr(value) if isinstance(value, str | int | float | None) else words


def _assigned(node: ast.stmt) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield target.id, ast.unparse(node.value)
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id, ast.unparse(node.value) if node.value else ""


def _function_of(member: Any) -> Any:
    if isinstance(member, property):
        return member.fget
    return getattr(member, "__func__", member)


def _source(value: Any) -> Any:
    return ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]


def _is_public(name: str) -> bool:
    return not name.startswith("_")
