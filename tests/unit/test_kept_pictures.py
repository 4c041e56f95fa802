"""How much of the disk the kept pictures may take."""

import hashlib
import os
from pathlib import Path

from whatsit.feedback.pictures import KeptPictures


def keep(pictures: KeptPictures, *contents: bytes) -> list[bool]:
    with pictures.changing():
        return [pictures.keep(hashlib.sha256(each).hexdigest(), each) for each in contents]


def small(count: int, start: int = 0) -> list[bytes]:
    return [f"picture {number}".encode() for number in range(start, start + count)]


def on_disk(folder: Path) -> int:
    return sum(entry.stat().st_blocks * 512 for entry in os.scandir(folder))


def test_small_pictures_count_as_much_as_they_take_on_the_disk(tmp_path):
    pictures = KeptPictures(tmp_path, 20 * 4096)
    kept = keep(pictures, *small(50))

    assert kept == [True] * 20 + [False] * 30
    assert on_disk(pictures.folder) <= 20 * 4096


def test_there_are_no_more_pictures_than_so_many(tmp_path):
    pictures = KeptPictures(tmp_path, 10**9, max_pictures=5)

    assert keep(pictures, *small(8)) == [True] * 5 + [False] * 3
    assert keep(pictures, *small(5)) == [True] * 5, "those that are there already"


def test_what_is_deleted_makes_room_again(tmp_path):
    pictures = KeptPictures(tmp_path, 10**9, max_pictures=5)
    keep(pictures, *small(5))
    with pictures.changing():
        pictures.forget(hashlib.sha256(small(1)[0]).hexdigest())

    assert keep(pictures, *small(2, start=5)) == [True, False]


def test_pictures_of_other_processes_count_too(tmp_path):
    one, other = (KeptPictures(tmp_path, 10**9, max_pictures=5) for _ in range(2))
    assert keep(one, *small(2)) == [True] * 2
    assert keep(other, *small(2, start=2)) == [True] * 2
    # Within the grain of the file system's clock, the folder may seem unchanged.
    os.utime(one.folder)

    assert keep(one, *small(2, start=4)) == [True, False]
