"""How good answers are: fit what turns logits into promises, and measure if they are kept."""
