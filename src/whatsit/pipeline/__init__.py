"""How models are measured and made. The service never imports this."""
