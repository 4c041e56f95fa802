"""Access control: API keys, rates, host names and addresses."""
