"""A model is a whole folder or none, and a download is the right file or none."""

import gzip
import hashlib
import resource
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.tiny_models import as_onnx
from whatsit.errors import (
    InvalidModelCard,
    ModelUnavailable,
    StoreUnusable,
    UnknownModel,
    WeightsRejected,
)
from whatsit.model_card import build_card, read_card, write_card
from whatsit.models.catalogue import BUNDLED_MODEL, CatalogueEntry, catalogue
from whatsit.models.download import download
from whatsit.models.folder import open_folder
from whatsit.models.resolve import resolve_model
from whatsit.models.store import ModelStore

CONTENT = bytes(range(256)) * 4_096  # 1 MiB: many chunks of the downloader
DIGEST = hashlib.sha256(CONTENT).hexdigest()
HALF = len(CONTENT) // 2


# A server that can be as bad as real ones


@dataclass
class FileServer:
    """Serves one file; each list is what happens to the coming requests, one after the other.

    Attributes:
        content: What it sends.
        ranges: Whether it can send a part.
        cuts: Hang up after so many bytes.
        stall_seconds: Fall silent for so long, half-way.
        delay_seconds: Be silent for so long before the first byte.
        status: Answer with this error instead.
        requested: The Range header of each request so far.
    """

    content: bytes = CONTENT
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    stall_seconds: float = 0.0
    delay_seconds: float = 0.0
    status: int = 200
    requested: list[str | None] = field(default_factory=list)
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.requested.append(wanted)
        time.sleep(self.delay_seconds)
        if self.status != 200:
            request.send_error(self.status)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        body = self.content[start:]
        request.send_response(206 if start else 200)
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body)
            request.send_header("Content-Encoding", "gzip")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if self.cuts:
            request.wfile.write(body[: self.cuts.pop(0)])
            return
        request.wfile.write(body[: len(body) // 2])
        time.sleep(self.stall_seconds)
        request.wfile.write(body[len(body) // 2 :])


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what some of these tests are about."""


@pytest.fixture
def serve(monkeypatch) -> Iterator[Callable[..., FileServer]]:
    """Start servers of files on addresses of their own."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    running: list[QuietServer] = []

    def start(**behaviour: Any) -> FileServer:
        files = FileServer(**behaviour)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                files.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        server = QuietServer(("127.0.0.1", 0), Handler)
        running.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        files.url = f"http://127.0.0.1:{server.server_port}/model.onnx"
        return files

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def part_of(target: Path) -> Path:
    return target.with_name("model.onnx.part")


def fetch(target: Path, *servers: FileServer, **options: Any) -> Path:
    urls = [server.url for server in servers]
    return download(urls, target, sha256=DIGEST, size_bytes=len(CONTENT), **options)


# Downloads


def test_a_download_gives_the_whole_file_its_name(serve, target):
    assert fetch(target, serve()) == target

    assert target.read_bytes() == CONTENT
    assert not part_of(target).exists()


def test_progress_rises_to_the_whole_size(serve, target):
    told: list[tuple[int, int]] = []

    fetch(target, serve(), progress=lambda present, total: told.append((present, total)))

    present = [so_far for so_far, _ in told]
    assert len(told) > 2
    assert present == sorted(set(present))
    assert {total for _, total in told} == {present[-1]} == {len(CONTENT)}


def test_a_broken_download_keeps_what_has_arrived(serve, target):
    with pytest.raises(ModelUnavailable):
        fetch(target, serve(cuts=[HALF]))

    assert not target.exists()
    assert part_of(target).read_bytes() == CONTENT[:HALF]


def test_the_next_attempt_asks_only_for_the_rest(serve, target):
    server = serve(cuts=[HALF])
    told: list[int] = []
    with pytest.raises(ModelUnavailable):
        fetch(target, server)

    fetch(target, server, progress=lambda present, _: told.append(present))

    assert server.requested == [None, f"bytes={HALF}-"]
    assert told[0] > HALF
    assert target.read_bytes() == CONTENT


def test_the_next_address_goes_on_where_the_first_broke(serve, target):
    broken, whole = serve(cuts=[HALF]), serve()

    fetch(target, broken, whole)

    assert whole.requested == [f"bytes={HALF}-"]
    assert target.read_bytes() == CONTENT


def test_a_server_that_can_not_send_a_part_sends_all_again(serve, target):
    part_of(target).write_bytes(CONTENT[:HALF])
    server = serve(ranges=False)

    fetch(target, server)

    assert server.requested == [f"bytes={HALF}-"]
    assert target.read_bytes() == CONTENT


def test_a_file_that_had_arrived_already_is_not_fetched_again(serve, target):
    part_of(target).write_bytes(CONTENT)
    server = serve()

    fetch(target, server)

    assert server.requested == []
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("extra", [b"", b"more"], ids=["same-size", "longer"])
def test_a_wrong_part_of_full_size_is_thrown_away(serve, target, extra):
    part_of(target).write_bytes(bytes(len(CONTENT)) + extra)
    server = serve()

    fetch(target, server)

    assert server.requested == [None]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "wrong",
    [CONTENT[:-1] + b"?", CONTENT[:HALF], b"<html>Please log in.</html>", b""],
    ids=["last-byte", "half", "page", "empty"],
)
def test_wrong_bytes_are_refused_and_the_next_address_is_asked(serve, target, wrong):
    right = serve()

    fetch(target, serve(content=wrong), right)

    assert right.requested == [None]
    assert target.read_bytes() == CONTENT


def test_wrong_bytes_that_break_off_do_not_spoil_the_next_address(serve, target):
    right = serve()

    fetch(target, serve(content=CONTENT[::-1], cuts=[HALF]), right)

    assert right.requested == [f"bytes={HALF}-", None]
    assert target.read_bytes() == CONTENT


def test_a_spoilt_part_is_not_the_end_of_an_attempt(serve, target):
    part_of(target).write_bytes(b"?" * HALF)

    fetch(target, serve())

    assert target.read_bytes() == CONTENT


def test_too_many_bytes_do_not_spoil_the_next_address(serve, target):
    right = serve()

    fetch(target, serve(content=CONTENT[::-1] + b"more"), right)

    assert right.requested == [None]
    assert target.read_bytes() == CONTENT


def test_a_line_that_breaks_often_still_gets_on(serve, target):
    with pytest.raises(ModelUnavailable):
        fetch(target, serve(cuts=[1000]))

    assert part_of(target).read_bytes() == CONTENT[:1000]


def test_wrong_bytes_never_get_the_name(serve, target):
    with pytest.raises(ModelUnavailable, match=r"127\.0\.0\.1: the file is not the one"):
        fetch(target, serve(content=CONTENT[::-1]))

    assert not target.exists()
    assert part_of(target).read_bytes() == b""


def test_more_bytes_than_the_file_has_are_not_read(serve, target):
    with pytest.raises(ModelUnavailable, match="more bytes than the file has"):
        fetch(target, serve(content=CONTENT * 3))

    assert not target.exists()
    assert part_of(target).read_bytes() == b""


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_an_error_of_a_server_is_not_taken_for_the_file(serve, target, status):
    part_of(target).write_bytes(CONTENT[:HALF])
    whole = serve()

    fetch(target, serve(status=status), whole)

    assert whole.requested == [f"bytes={HALF}-"]
    assert target.read_bytes() == CONTENT


def test_a_server_that_falls_silent_is_given_up_and_what_came_is_kept(serve, target):
    silent, whole = serve(stall_seconds=2.0), serve()

    fetch(target, silent, whole, read_timeout_seconds=0.2)

    assert whole.requested == [f"bytes={HALF}-"]
    assert target.read_bytes() == CONTENT


def test_refused_connections_are_told_quickly_with_every_host(serve, target):
    started = time.monotonic()

    with pytest.raises(ModelUnavailable, match=r"localhost: .*; 127\.0\.0\.1: .*"):
        download(
            ["http://localhost:9/a", "http://127.0.0.1:9/b"],
            target,
            sha256=DIGEST,
            size_bytes=len(CONTENT),
        )

    assert time.monotonic() - started < 20


def test_a_network_that_swallows_everything_counts_as_closed_soon(target):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        urls = [f"http://127.0.0.1:{mute.getsockname()[1]}/{name}" for name in ("a", "b", "c")]
        started = time.monotonic()

        with pytest.raises(ModelUnavailable, match="no answer"):
            download(urls, target, sha256=DIGEST, size_bytes=len(CONTENT))

    assert time.monotonic() - started < 20


def test_an_address_that_hangs_leaves_the_next_its_share_of_time(serve, target):
    fetch(target, serve(delay_seconds=2.0), serve(delay_seconds=0.2))

    assert target.read_bytes() == CONTENT


def test_two_downloads_of_one_file_fetch_it_once(serve, target):
    server = serve(stall_seconds=0.1)

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(fetch, target, server) for _ in range(2)]

    assert [future.result() for future in both] == [target, target]
    assert server.requested == [None]
    assert target.read_bytes() == CONTENT


# Folders


WEIGHTS = as_onnx(b"some weights")


def make_folder(
    folder: Path, content: bytes = WEIGHTS, labels: tuple[str, ...] = ("owl", "wren"), **facts: Any
) -> Path:
    """A model folder whose weights are no model: the store looks at their digest only."""
    card = build_card(
        {
            "name": "birds",
            "weights": {"sha256": hashlib.sha256(content).hexdigest()},
            "input": {"size": 224, "resize_shorter_side": 256},
            "output": {"labels": "labels.txt"},
            **facts,
        }
    )
    folder.mkdir(parents=True)
    (folder / card.weights.file).write_bytes(content)
    (folder / "labels.txt").write_text("\n".join(labels), encoding="utf-8")
    write_card(folder, card)
    return folder


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "birds")


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "home")


@contextmanager
def no_file_longer_than(limit_bytes: int) -> Iterator[None]:
    """A disk that is full, as far as this process can tell."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files_below(folder: Path, pattern: str) -> list[Path]:
    """All files of that name, hidden ones too."""
    return [path for path in folder.rglob(pattern) if path.is_file()]


@contextmanager
def reading_all_the_time(read: Callable[[], object]) -> Iterator[None]:
    """Somebody else calls `read` during the block, and must never see an error."""
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            read()

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(work)
        try:
            yield
        finally:
            done.set()
        reader.result()


def test_an_empty_store_has_only_the_bundled_model(store, tmp_path):
    assert store.names() == ()
    assert store.present_names() == (BUNDLED_MODEL,)
    assert set(store.known_names()) == {BUNDLED_MODEL, *catalogue()}
    assert not (tmp_path / "home").exists()


def test_an_added_model_opens_with_its_card_labels_and_weights(store, birds):
    added = store.add(birds)

    opened = store.open("birds")
    assert opened == added
    assert opened.card == read_card(birds)
    assert [entry.label for entry in opened.labels.entries] == ["owl", "wren"]
    assert opened.weights.read_bytes() == WEIGHTS
    assert store.names() == ("birds",)
    assert store.card("birds") == opened.card


def test_an_added_model_is_a_copy(store, birds):
    store.add(birds)

    shutil.rmtree(birds)

    assert store.open("birds").weights.read_bytes() == WEIGHTS


def test_a_model_may_be_added_under_another_name(store, birds):
    added = store.add(birds, "fowl")

    assert (store.names(), added.card.name) == (("fowl",), "fowl")
    assert store.open("fowl").card == read_card(birds).renamed("fowl")


@pytest.mark.parametrize("name", ["../birds", ".birds", "a/b", ""])
def test_a_name_that_is_no_name_adds_nothing(store, birds, name):
    with pytest.raises(InvalidModelCard, match="--name"):
        store.add(birds, name)

    assert store.names() == ()


def test_names_are_sorted(store, birds):
    for name in ("wren", "owl", "jay"):
        store.add(birds, name)

    assert store.names() == ("jay", "owl", "wren")
    assert store.present_names() == tuple(sorted(["jay", "owl", "wren", BUNDLED_MODEL]))


def test_adding_again_replaces_everything(store, birds, tmp_path):
    store.add(birds)
    weights = {"file": "x.onnx", "sha256": hashlib.sha256(as_onnx(b"other weights")).hexdigest()}
    other = make_folder(tmp_path / "other", as_onnx(b"other weights"), ("crow",), weights=weights)

    opened = store.add(other)

    assert opened.weights.read_bytes() == as_onnx(b"other weights")
    assert [entry.label for entry in opened.labels.entries] == ["crow"]
    kept = sorted(path.name for path in opened.weights.parent.iterdir())
    assert kept == ["card.toml", "labels.txt", "x.onnx"]


@pytest.mark.parametrize(
    "damage",
    [lambda weights: weights.write_bytes(b"some weightz"), Path.unlink],
    ids=["bit", "gone"],
)
def test_weights_that_are_not_those_of_the_card_are_rejected(store, birds, damage):
    damage(store.add(birds).weights)
    damage(birds / "model.onnx")

    for attempt in (lambda: store.open("birds"), lambda: open_folder(birds)):
        with pytest.raises(WeightsRejected) as caught:
            attempt()
        assert str(birds.parent) not in caught.value.detail


def test_a_folder_that_is_refused_leaves_the_stored_model_alone(store, birds, tmp_path):
    store.add(birds)
    wrong = make_folder(tmp_path / "wrong", weights={"sha256": "0" * 64})

    with pytest.raises(WeightsRejected):
        store.add(wrong)

    assert store.open("birds").weights.read_bytes() == WEIGHTS


def test_a_full_disk_leaves_the_stored_model_alone(store, birds, tmp_path):
    store.add(birds)
    big = make_folder(tmp_path / "big", as_onnx(bytes(100_000)))

    with no_file_longer_than(50_000), pytest.raises(StoreUnusable, match="too large"):
        store.add(big)

    assert store.open("birds").weights.read_bytes() == WEIGHTS
    assert len(files_below(tmp_path / "home", "model.onnx")) == 1


@pytest.mark.parametrize("name", [".incoming-x", ".incoming-x/new", ".downloads", "notes"])
def test_a_half_written_folder_never_appears(store, tmp_path, name):
    half = tmp_path / "home" / "models" / name
    half.mkdir(parents=True)
    (half / "model.onnx").write_bytes(WEIGHTS)
    if name != "notes":
        write_card(half, build_card({**catalogue()["resnet50"].card.model_dump(by_alias=True)}))

    assert store.names() == ()
    assert store.present_names() == (BUNDLED_MODEL,)


def test_a_reader_has_one_model_or_the_other_while_it_is_replaced(store, tmp_path):
    contents = {"owl": as_onnx(b"a" * 1000), "wren": as_onnx(b"b" * 1000)}
    folders = [make_folder(tmp_path / name, contents[name], (name,)) for name in contents]
    store.add(folders[0])

    def read() -> None:
        model = store.open("birds")
        content = contents[model.labels.entries[0].label]
        assert model.card.weights.sha256 == hashlib.sha256(content).hexdigest()

    with reading_all_the_time(read), reading_all_the_time(lambda: store.card("birds")):
        for _ in range(25):
            for folder in folders:
                store.add(folder)


def test_a_reader_has_a_model_or_none_while_it_is_removed(store, birds):
    def read() -> None:
        with suppress(UnknownModel):
            store.open("birds")

    with reading_all_the_time(read):
        for _ in range(40):
            store.add(birds)
            store.remove("birds")


def test_a_replaced_model_can_be_read_until_it_is_replaced_again(store, birds, tmp_path):
    first = store.add(birds)
    other = make_folder(tmp_path / "other", as_onnx(b"other weights"))

    store.add(other)
    assert first.weights.read_bytes() == WEIGHTS

    store.add(other)
    assert not first.weights.parent.exists()


def test_a_plain_folder_that_somebody_put_there_is_a_model(store, birds, tmp_path):
    shutil.copytree(birds, tmp_path / "home" / "models" / "birds")
    assert store.open("birds").weights.read_bytes() == WEIGHTS

    store.add(make_folder(tmp_path / "other", as_onnx(b"other weights")))
    assert store.open("birds").weights.read_bytes() == as_onnx(b"other weights")

    store.remove("birds")
    shutil.copytree(birds, tmp_path / "home" / "models" / "birds")
    store.remove("birds")
    assert store.names() == ()


def test_a_link_that_somebody_put_there_is_removed_but_not_what_it_means(store, birds, tmp_path):
    (tmp_path / "home" / "models").mkdir(parents=True)
    (tmp_path / "home" / "models" / "fowl").symlink_to(birds)
    assert store.open("fowl").weights.read_bytes() == WEIGHTS

    store.remove("fowl")

    assert store.names() == ()
    assert (birds / "model.onnx").is_file()


def test_a_store_may_be_moved(store, birds, tmp_path):
    store.add(birds)

    (tmp_path / "home").rename(tmp_path / "elsewhere")

    assert ModelStore(tmp_path / "elsewhere").open("birds").weights.read_bytes() == WEIGHTS


def test_pulling_what_is_there_asks_nobody(store, birds, monkeypatch):
    card = store.add(birds).card
    nowhere = CatalogueEntry(card, len(WEIGHTS), ("http://127.0.0.1:9/birds",))
    monkeypatch.setattr("whatsit.models.store.catalogue", lambda: {"birds": nowhere})

    assert store.pull("birds") == store.open("birds")

    store.open("birds").weights.write_bytes(b"damaged")
    with pytest.raises(ModelUnavailable):
        store.pull("birds")


def test_a_name_that_appears_can_be_opened_at_once(store, tmp_path):
    big = make_folder(tmp_path / "big", as_onnx(bytes(20_000_000)))
    adding = threading.Thread(target=store.add, args=(big,))

    adding.start()
    while not store.names():
        assert adding.is_alive() or store.names()

    assert open_folder(tmp_path / "home" / "models" / "birds").card.name == "birds"
    adding.join()


def test_a_removed_model_is_gone(store, birds, tmp_path):
    store.add(birds)

    store.remove("birds")

    assert store.names() == ()
    assert files_below(tmp_path / "home", "*.*") == [tmp_path / "home" / "models" / ".lock"]
    with pytest.raises(UnknownModel):
        store.open("birds")


@pytest.mark.parametrize("name", ["birds", BUNDLED_MODEL, "..", ""])
def test_only_a_stored_model_can_be_removed(store, tmp_path, name):
    with pytest.raises(UnknownModel):
        store.remove(name)

    assert tmp_path.exists()


def test_an_unknown_name_is_refused_with_the_known_ones(store, birds):
    store.add(birds)

    for attempt in (store.open, store.card, store.pull):
        with pytest.raises(UnknownModel, match="'eagles'") as caught:
            attempt("eagles")
        assert BUNDLED_MODEL in caught.value.known


@pytest.mark.parametrize("name", ["", ".", "..", "../models", "a/b", "a\0b", "n" * 5000])
def test_a_name_that_no_folder_can_have_is_unknown(store, birds, name):
    store.add(birds)

    with pytest.raises(UnknownModel):
        store.open(name)


def test_the_bundled_model_opens_like_any_other(store):
    opened = store.open(BUNDLED_MODEL)

    assert opened.card == store.card(BUNDLED_MODEL)
    assert len(opened.labels) == 1000


# The catalogue


@pytest.mark.parametrize("name", catalogue())
def test_a_catalogued_model_has_a_digest_a_licence_and_two_addresses(name):
    entry = catalogue()[name]

    assert entry.card.name == name
    assert entry.card.licence
    assert entry.size_bytes > 1_000_000
    assert len(entry.urls) >= 2
    assert all(url.startswith("https://") for url in entry.urls)


# Which model to serve with


@pytest.fixture
def closed_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every attempt to get out is refused at once, wherever the test runs."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("closed_network")
def test_without_a_network_the_bundled_model_answers_and_says_so(store):
    started = time.monotonic()

    resolved = resolve_model(store, "resnet50")

    assert time.monotonic() - started < 20
    assert (resolved.folder.card.name, resolved.requested) == (BUNDLED_MODEL, "resnet50")
    assert resolved.note is not None
    for part in (BUNDLED_MODEL, "be downloaded", "whatsit models pull resnet50"):
        assert part in resolved.note


@pytest.mark.usefixtures("closed_network")
def test_pulling_without_a_network_is_an_error(store):
    with pytest.raises(ModelUnavailable, match=r"huggingface\.co: .+; media\.githubuser"):
        store.pull("resnet50")

    assert store.names() == ()


@pytest.mark.usefixtures("closed_network")
def test_a_store_that_can_not_be_written_is_no_reason_not_to_answer(tmp_path):
    (tmp_path / "home").write_text("a file where the folder should be")

    resolved = resolve_model(ModelStore(tmp_path / "home"), "resnet50")

    assert resolved.folder.card.name == BUNDLED_MODEL
    assert "can't be written" in str(resolved.note)
    assert str(tmp_path) not in str(resolved.note)


def test_a_stored_model_of_that_name_answers(store, birds):
    store.add(birds, "resnet50")

    resolved = resolve_model(store, "resnet50")

    assert resolved.note is None
    assert [entry.label for entry in resolved.folder.labels.entries] == ["owl", "wren"]


def test_the_bundled_model_answers_without_a_note_when_it_was_asked_for(store):
    resolved = resolve_model(store, BUNDLED_MODEL)

    assert (resolved.folder.card.name, resolved.note) == (BUNDLED_MODEL, None)


def test_a_stored_model_wins_over_the_bundled_one(store, birds):
    store.add(birds, BUNDLED_MODEL)

    assert len(resolve_model(store, BUNDLED_MODEL).folder.labels) == 2


def test_stored_weights_that_are_wrong_are_an_error_not_another_model(store, birds):
    store.add(birds).weights.write_bytes(b"wrong")

    with pytest.raises(WeightsRejected):
        resolve_model(store, "birds")


def test_a_name_nobody_knows_is_an_error_not_another_model(store):
    with pytest.raises(UnknownModel):
        resolve_model(store, "resnet51")
