"""Work on many pictures: find them, answer them, keep the results."""
