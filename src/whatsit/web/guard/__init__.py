"""The guards of the service: hosts, origins, keys, rates and security headers."""
