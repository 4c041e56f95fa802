"""The picture formats, a module each: what a file holds, read from its header."""
