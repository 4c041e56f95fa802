"""Scripts that build what is shipped, and help to develop it."""
