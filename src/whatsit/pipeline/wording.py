"""Lists of names in the sentences of reports and refusals."""

from collections.abc import Sequence

NAMED = 10
"""A refusal names this many pictures; more would not help."""


def listed(names: Sequence[str]) -> str:
    """Return the first names, quoted, and how many more there are."""
    shown = ", ".join(map(repr, names[:NAMED]))
    return f"{shown} and {len(names) - NAMED} more" if len(names) > NAMED else shown
