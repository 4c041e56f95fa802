"""The code fences of the documents, and the notes above them that say who runs them.

A fence that shows a command is `sh`, `python` or `js`, and a test runs it. One that this folder
does not run has a note on the line above it: `<!-- run by tests/FILE.py -->`, or
`<!-- not run: REASON -->` with a reason of `REASONS`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

RUN = {"sh", "python", "js"}
SHOWN = {"caddy", "ini", "json", "nginx", "promql", "text", "toml"}
REASONS = {
    "needs an account of Azure",
    "needs an account of GitHub",
    "needs a container engine",
    "needs root",
    "installs packages",
    "changes this checkout",
    "starts what runs this test",
}
PROGRAMS = {
    *("act", "apt-get", "az", "bash", "cat", "cd", "cp", "curl", "docker", "export", "gh", "git"),
    *("kill", "make", "openssl", "pip", "printf", "pytest", "python", "python3", "sh", "ssh"),
    *("sudo", "terraform", "uv", "whatsit", "zensical"),
}
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^ *```$", re.M | re.S
)
_NOTE = re.compile(r"<!-- (?P<note>(?:not run|run by)\b.*?) -->$")
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*$")


@dataclass(frozen=True)
class Fence:
    """A code fence of a page."""

    page: str
    line: int
    language: str
    text: str
    note: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The commands of a shell fence, each on one line and without its comment."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [" ".join(line.split(" #")[0].split()) for line in lines if line.strip()]


def pages() -> list[Path]:
    """Every document that people read."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "AGENTS.md")]
    return [*top, *sorted((ROOT / "docs").rglob("*.md"))]


def read_fences(text: str, page: str) -> list[Fence]:
    """All fences of one page."""
    found = []
    for match in _FENCE.finditer(text):
        before = text[: match.start()].rstrip("\n").rpartition("\n")[2].strip()
        note = _NOTE.match(before)
        indent = match["indent"]
        body = "\n".join(line.removeprefix(indent) for line in match["text"].splitlines())
        number = text.count("\n", 0, match.start()) + 1
        found.append(
            Fence(page, number, match["language"], body + "\n", note["note"] if note else "")
        )
    return found


def all_fences() -> list[Fence]:
    """All fences of all documents."""
    return [
        fence
        for page in pages()
        for fence in read_fences(page.read_text("utf-8"), str(page.relative_to(ROOT)))
    ]


def is_command(line: str) -> bool:
    """True if a line starts a program that the documents speak of."""
    words = line.removeprefix("$ ").split()
    while words and _ASSIGNMENT.match(words[0]):
        words.pop(0)
    return bool(words) and words[0] in PROGRAMS


def names_of(command: str) -> list[str]:
    """The words by which a test can be seen to run a command.

    Example:
        >>> names_of("WHATSIT_PORT=1 whatsit models set-live birds")
        ['WHATSIT_PORT', 'models', 'set-live']
        >>> names_of("curl -X DELETE http://localhost:8501/api/v1/feedback/0a1b")
        ['feedback']
        >>> names_of("kill -HUP PID")
        ['SIGHUP']
    """
    words = re.sub(r"\$\([^)]*\)", "", command).split()
    names = []
    while words and _ASSIGNMENT.match(words[0]):
        names.append(words.pop(0).partition("=")[0])
    if words[0] != "whatsit":
        names.clear()
    if words[0] == "curl":
        return names + re.findall(r"localhost:8501/(?:api/v1/)?(\w+)", command)
    if words[0] == "kill":
        return [*names, "SIGHUP" if "-HUP" in words else "SIGTERM"]
    verbs: list[str] = []
    for word in words[1:]:
        if not re.fullmatch(r"[a-z][a-z-]*", word) or len(verbs) == 2:
            break
        verbs.append(word)
    return names + (verbs or [Path(words[0]).name])


def complaint(fence: Fence) -> str:
    """Says which rule a fence breaks; empty if none."""
    if fence.language not in RUN | SHOWN:
        return f"the language {fence.language!r} is not one of {sorted(RUN | SHOWN)}"
    if fence.language in SHOWN:
        if fence.note:
            return "a note stands above a fence that shows no command"
        if any(map(is_command, fence.text.splitlines())):
            return "a command stands in a fence that no test runs; make it `sh`"
        return ""
    if not fence.note:
        return ""
    kind, _, rest = fence.note.partition(": " if fence.note.startswith("not run") else " by ")
    if kind == "not run":
        return "" if rest in REASONS else f"the reason {rest!r} is not one of {sorted(REASONS)}"
    file = ROOT / rest
    if not rest.startswith("tests/") or not file.is_file():
        return f"the test {rest!r} does not exist"
    return _unmentioned(fence, file.read_text("utf-8"))


def _unmentioned(fence: Fence, test: str) -> str:
    """Says what a test that is said to run a fence does not mention."""
    if Path(fence.page).name in test:
        return ""  # it reads the page itself
    test = test.replace("start_server", "serve")  # the fixture that runs `whatsit serve`
    if fence.language == "python":
        wanted = re.findall(r"^from whatsit\S* import (\w+)", fence.text, re.MULTILINE)
    else:
        wanted = [name for command in fence.commands for name in names_of(command)]
    missing = [
        word
        for word in wanted
        if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", test, re.IGNORECASE)
    ]
    return f"{fence.note.removeprefix('run by ')} does not mention {missing}" if missing else ""
