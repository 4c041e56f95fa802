"""Files that travel in the package: labels, the bundled model, example pictures."""

from importlib import resources


def example_pictures() -> dict[str, bytes]:
    """The bundled example pictures, by name. JPEG bytes; sources stand in NOTICE."""
    folder = resources.files(__name__) / "examples"
    pictures = {
        entry.name.removesuffix(".jpg"): entry.read_bytes()
        for entry in folder.iterdir()
        if entry.name.endswith(".jpg")
    }
    return dict(sorted(pictures.items()))
