"""What stands between a stranger and the service: hosts, keys, rates and security headers."""
