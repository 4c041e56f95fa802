"""The command line of a component, and the places in it for inputs and outputs."""

import re
from dataclasses import dataclass

PLACE = re.compile(r"\$\{\{\s*(inputs|outputs)\.(\w+)\s*\}\}")
_SAFE_BARE = re.compile(r"[A-Za-z0-9_./:=@%+,-]+")
_SAFE_QUOTED = re.compile(r'[^"$`\\\n]*')
OPTIONAL = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """A place for an input or output.

    Attributes:
        kind: ``inputs`` or ``outputs``.
        is_optional: It stands within ``$[[ ]]``, which vanishes with the input.
        is_quoted: It stands between double quotes.
    """

    kind: str
    name: str
    is_optional: bool
    is_quoted: bool

    def is_safe_for(self, text: str) -> bool:
        """True if the shell takes the text as it is, in this place."""
        return bool((_SAFE_QUOTED if self.is_quoted else _SAFE_BARE).fullmatch(text))

    @property
    def refused(self) -> str:
        """The characters that a text for this place must not contain, in words."""
        return "quotes, $, ` and \\" if self.is_quoted else "spaces and signs of the shell"

    def __str__(self) -> str:
        return f"${{{{{self.kind}.{self.name}}}}}"


def places_of(command: str) -> tuple[Place, ...]:
    """The places in a command line, in their order."""
    optional = [match.span(1) for match in OPTIONAL.finditer(command)]
    return tuple(
        Place(
            match[1],
            match[2],
            any(start <= match.start() < end for start, end in optional),
            command[: match.start()].count('"') % 2 == 1,
        )
        for match in PLACE.finditer(command)
    )
