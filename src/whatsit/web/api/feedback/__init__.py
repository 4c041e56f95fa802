"""The routes that take corrections, and undo them."""
