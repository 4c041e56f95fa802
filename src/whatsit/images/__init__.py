"""From the bytes of a picture file to the pixels that a model takes."""
