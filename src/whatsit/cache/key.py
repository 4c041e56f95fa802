"""The cache key: everything the answer depends on, and nothing else."""

SCHEMA_VERSION = 1
"""Raise it when the stored form changes; older entries are then never looked at again."""


def build_cache_key(namespace: str, fingerprint: str, image_sha256: str) -> str:
    """The full key of one picture's prediction by one model.

    Args:
        namespace: Prefix that keeps installations apart in a shared Redis.
        fingerprint: See `whatsit.classifier.build_fingerprint`.
        image_sha256: Hex digest of the image bytes.

    Example:
        >>> build_cache_key("whatsit", "f" * 64, "0" * 64)[:24]
        'whatsit:1:ffffffffffffff'
    """
    return f"{namespace}:{SCHEMA_VERSION}:{fingerprint[:32]}:{image_sha256}"
