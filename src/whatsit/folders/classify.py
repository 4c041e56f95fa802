"""The work of ``whatsit classify``: answer files, and show or keep the results."""

import json
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from whatsit.documents import describe_prediction
from whatsit.errors import InputError, SettingsError, WhatsitError
from whatsit.folders.answers import Answers
from whatsit.folders.find import FoundFile, find_files, read_found, show_path
from whatsit.folders.output import Output, open_output
from whatsit.folders.rows import RowFormat, key_of
from whatsit.parallel import map_in_order
from whatsit.prediction import Reply
from whatsit.printable import make_printable, make_printable_json

Step = Callable[[], None]
Paths = Sequence[Path | str]


@dataclass(frozen=True, slots=True)
class Answered:
    """A file and its result; its bytes where they are needed again."""

    found: FoundFile
    result: Reply | WhatsitError
    image_bytes: bytes | None = None


def show_answers(
    paths: Paths, answers: Answers, *, top_k: int, as_json: bool, why: Path | None
) -> list[WhatsitError]:
    """Print the answer to each file as soon as it is there; errors go to standard error.

    Args:
        paths: Files and folders; ``-`` as a text is standard input.
        answers: Where the answers come from.
        top_k: How many labels to show.
        as_json: One JSON document a line, not sentences and bars.
        why: Where to write a PNG, bright where a single picture supports its best label.

    Returns:
        The errors of files that could not be answered.

    Raises:
        WhatsitError: No more pictures can be answered, or `why` can't be written.
    """
    errors: list[WhatsitError] = []
    files = list(find_files(paths))
    with closing(_answer(files, answers, top_k, keep=why is not None)) as all_answered:
        for answered in all_answered:
            path, result = show_path(answered.found.path), answered.result
            if isinstance(result, WhatsitError):
                errors.append(result)
                _tell(f"{path}: {make_printable(result.detail)}")
                continue
            _print(_as_json(path, result) if as_json else _as_table(path, result))
            if why is not None and answered.image_bytes is not None:
                _write_why(answers, answered.image_bytes, result, why)
    return errors


def write_answers(
    paths: Paths,
    answers: Answers,
    *,
    top_k: int,
    out: Path,
    rows: RowFormat,
    resume: bool,
) -> list[WhatsitError]:
    """Write a row for each file to `out`, with a bar on standard error where that is a terminal.

    Args:
        paths: Files and folders; ``-`` as a text is standard input.
        answers: Where the answers come from.
        top_k: How many labels a row lists.
        out: See `whatsit.folders.output.open_output`.
        rows: How a row is written.
        resume: Continue the output of an earlier run in `out`.

    Returns:
        The errors of files that could not be answered, those that an earlier run met included.

    Raises:
        SettingsError: `out` can't be written, or something else is in it.
        WhatsitError: No more pictures can be answered. The rows written so far stay.
        KeyboardInterrupt: Likewise.
    """
    files = {key_of(found).path: found for found in find_files(paths)}
    keys = {path: key_of(found) for path, found in files.items()}
    with open_output(out, rows, keys, resume=resume) as output:
        kept = [row for key in keys.values() if (row := output.result_of(key)) is not None]
        earlier: list[WhatsitError] = [
            InputError("An earlier run could not answer it.") for row in kept if row.failed
        ]
        left = [files[path] for path, key in keys.items() if output.result_of(key) is None]
        tally = _Tally(len(files), len(kept), earlier)
        try:
            with (
                _bar(len(files), len(kept), out) as step,
                closing(_answer(left, answers, top_k)) as answered,
            ):
                _write_rows(answered, rows, output, tally, step)
        except BaseException:
            hint = "" if str(out) == "-" else " To continue: --resume"
            _tell(f"Stopped after {tally.done} of {tally.total}.{hint}")
            raise
        _tell(tally.sentence())
    return tally.errors


@dataclass(slots=True)
class _Tally:
    total: int
    kept: int
    errors: list[WhatsitError]
    new: int = 0

    @property
    def done(self) -> int:
        return self.kept + self.new

    def sentence(self) -> str:
        refused = len(self.errors)
        pictures = "1 picture" if self.total == 1 else f"{self.total} pictures"
        earlier = f" {self.kept} were answered earlier." if self.kept else ""
        return f"{pictures}: {self.total - refused} answered, {refused} refused.{earlier}"


def _write_rows(
    answered: Iterable[Answered], rows: RowFormat, output: Output, tally: _Tally, step: Step
) -> None:
    for each in answered:
        output.append(rows.write(each.found, each.result))
        tally.new += 1
        if isinstance(each.result, WhatsitError):
            tally.errors.append(each.result)
        step()


def _answer(
    files: list[FoundFile], answers: Answers, top_k: int, *, keep: bool = False
) -> Generator[Answered, None, None]:
    def work(found: FoundFile) -> Answered:
        try:
            image_bytes = read_found(found, answers.max_bytes)
            reply = answers.classify(image_bytes, top_k)
            return Answered(found, reply, image_bytes if keep else None)
        except WhatsitError as error:
            if answers.concerns_all(error):
                raise
            return Answered(found, error)

    threads = max(1, min(answers.threads, len(files)))
    return map_in_order(work, files, threads, hurry=answers.hurry)


@contextmanager
def _bar(total: int, done: int, out: Path) -> Iterator[Step]:
    is_mixed = str(out) == "-" and sys.stdout.isatty()
    if not sys.stderr.isatty() or is_mixed:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("classify", total=total, completed=done)
        yield lambda: progress.advance(task)


def _write_why(answers: Answers, image_bytes: bytes, reply: Reply, target: Path) -> None:
    best = reply.prediction.top[0]
    overlay = answers.explain(image_bytes, best.index)
    try:
        target.write_bytes(overlay)
    except OSError as error:
        raise SettingsError(f"{show_path(target)} can't be written: {error.strerror}.") from error
    _tell(f"{show_path(target)} shows the evidence for {best.label!r}.")


def _as_json(path: str, reply: Reply) -> str:
    described = describe_prediction(reply.prediction, reply.top)
    document = {"path": path, **described, "cache": reply.cache}
    # Where letters are missing they are escaped in JSON's own way.
    has_all_letters = sys.stdout.encoding.lower().startswith("utf")
    return make_printable_json(json.dumps(document, ensure_ascii=not has_all_letters))


def _as_table(path: str, reply: Reply) -> str:
    dim, plain = ("\x1b[2m", "\x1b[0m") if sys.stdout.isatty() else ("", "")
    lines = [f"{dim}{path}: {plain}{make_printable(reply.prediction.answer.text)}"]
    # The labels may be those of a server.
    labels = [make_printable(entry.label) for entry in reply.top]
    width = max(map(len, labels))
    for label, entry in zip(labels, reply.top, strict=True):
        bar = "█" * round(entry.score * 30)
        lines.append(f"  {label:<{width}}  {entry.score:6.1%}  {bar}")
    return "\n".join(lines)


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
