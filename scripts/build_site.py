"""Build the documentation site with Zensical: ``build_site.py [ADDRESS]``.

The pages are those of ``docs/``, and links within them are checked. A link to a file of the
repository that is not a page leads to GitHub where ``GITHUB_REPOSITORY`` names the repository, and
is plain text elsewhere; a picture is copied. The build fails if a page would fetch something from
another machine.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "site"
ANCHOR = re.compile(
    r'<a (?P<before>[^>]*?)href="(?P<target>\.\./[^"#]*)[^"]*"(?P<after>[^>]*)>(?P<text>.*?)</a>',
    re.S,
)
IMAGE = re.compile(r'(?P<before><img [^>]*?src=")(?P<target>\.\./[^"]*)"')
FETCHED = re.compile(
    r"<(?:link(?! rel=.canonical)|script|img|iframe|source|video|audio)\b"
    r"[^>]*?(?:href|src)=[\"']?(?:https?:)?//[^\"'> ]*"
    r"|@import\b[^;]*//[^;]*|url\([\"']?(?:https?:)?//[^)]*"
)


def build(url: str = "") -> None:
    """Build the site into ``site/``.

    Args:
        url: Address that the site is published at; empty if unknown.

    Raises:
        SystemExit: A link leads nowhere, or a page would fetch something from elsewhere.
    """
    config = ROOT / "zensical.toml"
    if url:
        text = config.read_text("utf-8")
        # Zensical takes folders as relative to the configuration, so it stands beside the other.
        config = ROOT / ".zensical.toml"
        config.write_text(
            text.replace("[project]\n", f'[project]\nsite_url = "{url}"\n', 1), "utf-8"
        )
    zensical = Path(sys.executable).with_name("zensical")
    command = [str(zensical), "build", "--strict", "--clean", "--config-file", str(config)]
    if subprocess.run(command, check=False).returncode:
        sys.exit("The site was not built.")
    for page in SITE.rglob("*.html"):
        page.write_text(lead_out(page.read_text("utf-8"), page), "utf-8")
    if foreign := find_foreign(SITE):
        sys.exit("The site would fetch from elsewhere:\n" + "\n".join(foreign))


def find_foreign(site: Path) -> list[str]:
    """The addresses that the pages and styles of a site fetch from other machines."""
    return [
        f"{file.relative_to(site)}: {found}"
        for kind in ("*.html", "*.css")
        for file in sorted(site.rglob(kind))
        for found in FETCHED.findall(file.read_text("utf-8"))
    ]


def lead_out(text: str, page: Path) -> str:
    """A page whose links to files outside `docs/` lead to GitHub, and whose pictures are here."""

    def outside(target: str) -> str:
        """The path of a link in the repository; empty if it stays in the site."""
        # The built page lies as deep below the site as its source below the repository.
        path = os.path.normpath(page.parent.relative_to(SITE) / target)
        return path.removeprefix("../") if path.startswith("../") else ""

    def link(found: re.Match[str]) -> str:
        if not (path := outside(found["target"])):
            return found[0]
        if not (repository := os.environ.get("GITHUB_REPOSITORY")):
            return found["text"]
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        place = f"{server}/{repository}/blob/{os.environ.get('GITHUB_SHA', 'main')}/{path}"
        return f'<a {found["before"]}href="{place}"{found["after"]}>{found["text"]}</a>'

    def image(found: re.Match[str]) -> str:
        if not (path := outside(found["target"])):
            return found[0]
        copy = SITE / "images" / Path(path).name
        shutil.copyfile(ROOT / path, copy)
        return f'{found["before"]}{os.path.relpath(copy, page.parent)}"'

    return IMAGE.sub(image, ANCHOR.sub(link, text))


if __name__ == "__main__":
    build(*sys.argv[1:])
