"""The cache key: everything the answer depends on, and nothing else."""

SCHEMA_VERSION = 3
"""Raise it when the stored form changes; older entries are then never looked at again."""


def build_cache_key(namespace: str, fingerprint: str, image_sha256: str, asked: str = "") -> str:
    """The full key of what one model has to say about one picture.

    Args:
        namespace: Prefix that keeps installations apart in a shared Redis.
        fingerprint: See `whatsit.classifier.build_fingerprint`.
        image_sha256: Hex digest of the image bytes, or of the pixels that the model sees.
        asked: What is wanted of the picture, if not its prediction; ``pixels`` where the digest
            is that of the pixels.

    Example:
        >>> build_cache_key("whatsit", "f" * 64, "0" * 64)[:24]
        'whatsit:3:ffffffffffffff'
    """
    return f"{namespace}:{SCHEMA_VERSION}:{fingerprint[:32]}:{image_sha256}{asked and f':{asked}'}"
