"""Which picture a TIFF file holds, and how to read it."""
