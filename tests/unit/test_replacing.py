"""A file takes the place of another whole, or not at all."""

import pytest

from whatsit.files import replacing


def test_a_write_that_fails_leaves_the_file_before_it(tmp_path):
    file = tmp_path / "state.json"
    file.write_bytes(b"before")

    def fail_half_way() -> None:
        with replacing(file) as new:
            new.write(b"half of wh")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()

    assert file.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("durable", [True, False])
def test_what_was_written_takes_its_place(tmp_path, durable):
    file = tmp_path / "state.json"
    file.write_bytes(b"before")

    with replacing(file, durable=durable) as new:
        new.write(b"after")
        assert file.read_bytes() == b"before"

    assert file.read_bytes() == b"after"
