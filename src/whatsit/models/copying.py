"""Copies of the files of a model, each plain and complete."""

from pathlib import Path
from typing import Literal

from whatsit.engines.onnx_file import MAX_WEIGHTS_BYTES, describe_onnx
from whatsit.engines.onnx_merge import merge_onnx
from whatsit.errors import InvalidModelCard
from whatsit.files import copy_plain, is_there
from whatsit.labels.load import MAX_LABELS_BYTES
from whatsit.models.folder import unreadable_weights


def copy_weights(
    source: Path, target: Path, *, follow: bool = False
) -> Literal["copied", "merged"]:
    """Copy weights, as one file where they lie in several.

    Args:
        source: The weights file.
        target: The new file; nothing has that name.
        follow: True if `source` may be a link.

    Raises:
        WeightsRejected: They can't be read or used.
        OSError: `target` can't be written.
    """
    try:
        copy_plain(source, target, MAX_WEIGHTS_BYTES, follow=follow)
    except OSError as error:
        if error.filename == str(target):
            raise
        raise unreadable_weights(source, error) from error
    if not describe_onnx(target, source.name).data_files:
        return "copied"
    target.unlink()
    merge_onnx(source, target, follow=follow)
    return "merged"


def copy_labels(source: Path, target: Path, *, follow: bool = False) -> None:
    """Copy a file of labels; nothing if the card names a bundled set.

    Args:
        source: The file.
        target: The new file; nothing has that name.
        follow: True if `source` may be a link.

    Raises:
        InvalidModelCard: It can't be read.
        OSError: `target` can't be written.
    """
    if not is_there(source):
        return
    try:
        copy_plain(source, target, MAX_LABELS_BYTES, follow=follow)
    except OSError as error:
        if error.filename == str(target):
            raise
        raise InvalidModelCard(
            f"The labels file {source.name!r} can't be read: {error.strerror}."
        ) from error
