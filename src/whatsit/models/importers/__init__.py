"""Models of other libraries, turned into model folders."""
