"""``whatsit keys``."""

from collections.abc import Mapping
from typing import Any

import click

from whatsit.cli.terminal import print_rows, store_option


@click.group()
def keys() -> None:
    """Make, list and revoke the keys of the API."""


@keys.command("create")
@click.argument("name")
@store_option
def create_key(*, name: str, **options: Any) -> None:
    """Make a key for NAME and print it; it can't be shown again."""
    click.echo(_open_keys(options).create(name))
    click.echo("This key is shown only now. Send it as: Authorization: Bearer KEY", err=True)


@keys.command("list")
@store_option
def list_keys(**options: Any) -> None:
    """List the keys: id, name, when each was made, and when it was revoked."""
    rows = [
        (key.id, key.name, key.created, key.revoked or "") for key in _open_keys(options).known()
    ]
    print_rows(("id", "name", "created", "revoked"), rows)


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@store_option
def revoke_key(*, key_id: str, **options: Any) -> None:
    """Make the key ID stop working, within a second, in all servers of this store."""
    key = _open_keys(options).revoke(key_id)
    click.echo(f"The key {key.id} ({key.name}) is revoked since {key.revoked}.")


def _open_keys(options: Mapping[str, Any]) -> Any:  # KeyFile, imported only when needed
    from whatsit.access.keys import KeyFile
    from whatsit.settings import load_settings

    return KeyFile(load_settings(options).keys_store)
