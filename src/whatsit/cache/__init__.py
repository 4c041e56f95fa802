"""The prediction cache: tiers that may fail, and a whole that does not."""
