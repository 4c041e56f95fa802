"""Who may ask, how often, and under which host names and addresses."""
