"""The use case: a picture comes in, an answer goes out, computed at most once."""
