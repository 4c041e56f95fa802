"""Work on many pictures at once: finding them, answering them, keeping what came of it."""
