"""Walks over trees that libraries make of our code: commands of click, JSON schemas of pydantic."""

from collections.abc import Iterator
from typing import Any

import click

WIDTH = 100
"""Of a page of help, in characters."""


def walk_commands(
    name: str, command: click.Command, parent: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    """Each command below one with its page of help, at a fixed width."""
    context = click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        **command.context_settings,
    )
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for inner in sorted(command.list_commands(context)):
            found = command.get_command(context, inner)
            assert found is not None
            yield from walk_commands(inner, found, context)


def walk_keys(schema: Any, definitions: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """Each key of a JSON schema with what it may be, its references followed."""
    if isinstance(schema, list):
        for choice in schema:
            yield from walk_keys(choice, definitions, path)
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[-1]]
    yield from walk_keys(schema.get("anyOf"), definitions, path)
    for free in (schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()):
        yield from walk_keys(free, definitions, f"{path}*.")
    for name, inner in schema.get("properties", {}).items():
        facts = strip_schema(inner, "description", "$ref")
        yield f"{path}{name}", {**facts, "required": name in schema.get("required", ())}
        yield from walk_keys(inner, definitions, f"{path}{name}.")


def strip_schema(schema: Any, *left_out: str) -> Any:
    """A JSON schema without its titles and some other members, at every depth."""
    if isinstance(schema, list):
        return [strip_schema(inner, *left_out) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    kept = schema.keys() - {"title", *left_out}
    return {name: strip_schema(schema[name], *left_out) for name in kept}
