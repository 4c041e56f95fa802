"""Tables in CSV that people hand to the pipeline."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from whatsit.errors import DatasetRejected


def read_table(
    table: Path, needed: Sequence[Sequence[str]]
) -> Iterator[tuple[int, dict[str, str | None]]]:
    """The rows of a CSV file with a head, each with the number of its last line.

    Args:
        table: In UTF-8, with or without a byte order mark.
        needed: Columns. Of each inner sequence the table has one column or more.

    Raises:
        DatasetRejected: The file can't be read, is not CSV in UTF-8, or lacks a column.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or ()
            for names in needed:
                if not set(names) & set(columns):
                    raise DatasetRejected(
                        f"{table.name} has no column {' or '.join(map(repr, names))}."
                    )
            for row in reader:
                yield reader.line_num, row
    except OSError as error:
        raise DatasetRejected(f"{table.name} can't be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetRejected(f"{table.name} is not CSV in UTF-8.") from error
