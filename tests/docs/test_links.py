"""Links within the repository lead to a file, and to a heading of it."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.fences import pages

LINKS = re.compile(r"\]\((?P<target>[^)\s]+)\)|<(?:img|a)\b[^>]*?(?:src|href)=\"(?P<html>[^\"]+)\"")
NAMED = re.compile(r"(?<![\w/.-])docs/[\w/-]+\.md\b")
SPEAK_OF_DOCUMENTS = ("src", "deploy", "scripts", "bench", "tests", ".github")
READ = {".py", ".md", ".yml", ".yaml", ".json", ".toml", ".tf", ".sh", ".txt", ".js"}


def without_code(text: str) -> str:
    """A page without its fences and code spans, which may look like links."""
    text = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "code", text)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#{1,6} +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path, root: Path = ROOT) -> list[str]:
    """The links of a page that lead nowhere, or out of the repository."""
    dead = []
    for match in LINKS.finditer(without_code(page.read_text("utf-8"))):
        target = match["target"] or match["html"]
        if re.match(r"https?:|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if (
            not file.exists()
            or not file.is_relative_to(root)
            or (anchor and file.suffix == ".md" and anchor not in anchors(file))
        ):
            dead.append(target)
    return dead


@pytest.mark.parametrize("page", [*pages(), ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_no_link_is_dead(page):
    assert dead_links(page) == []


def test_a_dead_link_is_found(tmp_path):
    (tmp_path / "there.md").write_text("# Is it?\n\n```sh\n# not a heading\n```\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](there.md#is-it) [c](gone.md) [d](there.md#not-a-heading) ![e](no.png)\n"
        '[f](#gone) <img src="gone.png"> `[g](code.md)` [h](../outside.md)\n'
    )

    assert dead_links(page, tmp_path) == [
        *("gone.md", "there.md#not-a-heading", "no.png", "#gone", "gone.png", "../outside.md")
    ]


def test_pages_that_other_files_name_are_there():
    files = [path for path in ROOT.iterdir() if path.is_file() and path.name != "CHANGELOG.md"]
    files += [path for folder in SPEAK_OF_DOCUMENTS for path in (ROOT / folder).rglob("*")]
    named = {
        (found, str(path.relative_to(ROOT)))
        for path in files
        if path.suffix in READ or path.name in {"Makefile", "Dockerfile", "NOTICE"}
        for found in NAMED.findall(path.read_text("utf-8"))
    }

    assert len(named) > 20
    assert [(page, file) for page, file in sorted(named) if not (ROOT / page).is_file()] == []
