"""The quality of answers: fit promises to logits, and measure if they are kept."""
