"""The classes of a model: their names, their place among all things, and how to find one."""
