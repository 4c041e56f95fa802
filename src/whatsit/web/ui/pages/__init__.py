"""The pages that a visitor can open."""
