"""The Open Inference Protocol, as other inference servers speak it."""
