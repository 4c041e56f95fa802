"""The cache key: everything the answer depends on, and nothing else."""

import re

SCHEMA_VERSION = 4
"""Raise it when the stored form changes; older entries are then never read again."""

_MODEL = re.compile(r"[0-9a-f]{32}")


def build_prefix(namespace: str) -> str:
    """The prefix of every key of a namespace, for all schema versions."""
    return f"{namespace}:"


def parse_cache_key(namespace: str, key: str) -> str | None:
    """The model (32 hex digits of its fingerprint) that a key's entry is of; None for other keys.

    Example:
        >>> parse_cache_key("whatsit", build_cache_key("whatsit", "f" * 64, "0" * 64))[:4]
        'ffff'
        >>> parse_cache_key("whatsit", "whatsit:rate:somebody")
    """
    parts = key.removeprefix(build_prefix(namespace)).split(":")
    is_ours = len(parts) >= 3 and parts[0].isdigit() and _MODEL.fullmatch(parts[1]) is not None
    return parts[1] if is_ours else None


def build_cache_key(namespace: str, fingerprint: str, image_sha256: str, asked: str = "") -> str:
    """The full key of one model's result for one picture.

    Args:
        namespace: Prefix that keeps installations apart in a shared Redis.
        fingerprint: See `whatsit.classifier.build_fingerprint`.
        image_sha256: Hex digest of the image bytes, or of the pixels that the model sees.
        asked: The result asked for, if not the prediction; ``pixels`` where the digest
            is that of the pixels.

    Example:
        >>> build_cache_key("whatsit", "f" * 64, "0" * 64)[:24]
        'whatsit:4:ffffffffffffff'
    """
    return f"{namespace}:{SCHEMA_VERSION}:{fingerprint[:32]}:{image_sha256}{asked and f':{asked}'}"
