"""Write what the page needs to find a name by its English label: names/en.json.

Run it as ``python -m scripts.build_names`` when labels or groups have changed.
"""

import json
from pathlib import Path

from whatsit.models.catalogue import bundled_folder
from whatsit.models.folder import open_folder

NAMES = Path(__file__).parent.parent / "src/whatsit/web/ui/assets/ask/names"


def english_names() -> dict[str, str]:
    """The English label of every class and group of the bundled model, by its WordNet id."""
    labels = open_folder(bundled_folder()).labels
    return {str(entry.wnid): entry.label for entry in (*labels.groups, *labels.entries)}


def main() -> None:
    """Write the file."""
    text = json.dumps(english_names(), ensure_ascii=False, indent=0)
    (NAMES / "en.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
