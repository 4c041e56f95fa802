"""The model pipeline on Azure ML: its YAML, checked before it is handed over."""
