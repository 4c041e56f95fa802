"""Models are folders: a catalogue of known ones, a store of present ones, a way to get them."""
