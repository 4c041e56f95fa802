"""The pipeline on Azure ML, and the same YAML on this machine."""
