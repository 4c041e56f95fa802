"""Nothing that anybody sends makes the server fail, hang, or take more memory than it should."""

import io
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.hostile.pictures import ANSWERED, flat_png, flat_webp, hostile_pictures, photo
from tests.hostile.protocols import protocol_requests
from tests.hostile.requests import CAT, CLASSIFY, Answer, hostile_requests, slow_requests
from tests.support.running import RunningServer
from whatsit.web.api.oip.response import InferenceDocument
from whatsit.web.api.schemas import ClassifyDocument, ErrorDocument, ProblemDocument

MB = 1_000_000
PATIENCE_SECONDS = 10.0
UNCACHED = f"{CLASSIFY}?cache=bypass"
ALLOWED_BYTES = 300 * MB


class Memory:
    """The most memory that a process has held since it was last asked."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._proc = Path(f"/proc/{server.process.pid}")
        if not self._proc.is_dir():
            pytest.skip("Memory of another process can only be told on Linux.")
        self._can_reset = True

    def reset(self) -> None:
        try:
            (self._proc / "clear_refs").write_text("5")
        except OSError:
            self._can_reset = False

    def peak_bytes(self) -> int:
        if not self._can_reset:
            return self._server.resident_bytes()
        for line in (self._proc / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("The process has no memory; it has ended.")


@dataclass
class Report:
    """What came of all cases."""

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[tuple[float, str]] = field(default_factory=list)
    peaks: list[tuple[int, str]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def show(self, title: str, normal: int) -> None:
        """Print a short table; pytest shows it with ``-s``."""
        lines = [f"\n{title}: {self.outcomes.total()} cases"]
        lines += [f"  {count:5d}  {outcome}" for outcome, count in sorted(self.outcomes.items())]
        lines += ["slowest:"]
        lines += [f"  {spent:5.2f} s  {name}" for spent, name in sorted(self.seconds)[:-6:-1]]
        lines += [f"memory: {normal // MB} MB for normal pictures, then at most"]
        lines += [f"  {peak // MB:5d} MB  {name}" for peak, name in sorted(self.peaks)[:-6:-1]]
        sys.stdout.write("\n".join(lines) + "\n")


def complaint_about(answer: Answer) -> str:
    """What is wrong with an answer; empty if nothing is."""
    if answer.status >= 500:
        return f"answered {answer.status}"
    text = answer.body.decode()
    if answer.status >= 400:
        if answer.media_type != "application/problem+json":
            return f"refused with {answer.media_type}: {text[:80]}"
        kind = ErrorDocument if '"error": ' in text else ProblemDocument
        document = kind.model_validate_json(text)
        if document.status != answer.status or not all((document.type, document.title)):
            return f"an incomplete problem document: {text}"
        detail = document.detail.replace(CLASSIFY, "")
        if any(
            sign in detail for sign in ("Traceback", ".py", "site-packages", "0x", "/tmp", "/usr")
        ):
            return f"a refusal that tells too much: {text}"
        return "" if detail.endswith(".") else f"a refusal that is no sentence: {text}"
    if text.startswith("["):
        assert {"label", "score"} == json.loads(text)[0].keys()
    elif '"model_name"' in text:
        InferenceDocument.model_validate_json(text)
    else:
        ClassifyDocument.model_validate_json(text)
    return ""


def normal_pictures() -> Iterator[bytes]:
    """What people send: photographs of up to 12 megapixels."""
    for size in ((640, 480), (4_000, 3_000)):
        pixels = np.asarray(photo("RGB", 200, 150).resize(size))
        for image_format in ("JPEG", "PNG", "WEBP", "TIFF"):
            encoded = io.BytesIO()
            options = {"compression": "tiff_lzw"} if image_format == "TIFF" else {}
            Image.fromarray(pixels).save(encoded, image_format, **options)
            if len(encoded.getvalue()) < 20 * MB:
                yield encoded.getvalue()


def normal_memory(client: httpx.Client, memory: Memory) -> int:
    """The most that normal pictures take."""
    pictures = list(normal_pictures())
    memory.reset()
    for picture in pictures:
        assert client.post(UNCACHED, content=picture).status_code == 200
    return memory.peak_bytes()


def require_good_answer(client: httpx.Client) -> None:
    good = client.post(UNCACHED, content=CAT)
    assert "cat" in ClassifyDocument.model_validate(good.json()).answer.label


@pytest.mark.extended
def test_no_picture_breaks_the_server(api: RunningServer):
    memory, report, logged = Memory(api), Report(), len(api.log)
    with api.client() as client:
        normal = normal_memory(client, memory)
        for case in hostile_pictures():
            picture = case.make()
            memory.reset()
            started = time.perf_counter()
            response = client.post(UNCACHED, content=picture)
            report.seconds.append((time.perf_counter() - started, case.name))
            report.peaks.append((memory.peak_bytes(), case.name))
            kind = response.headers["content-type"]
            complaint = complaint_about(Answer(response.status_code, kind, response.content))
            code = ANSWERED if response.status_code == 200 else response.json().get("code", "")
            report.outcomes[f"{response.status_code} {code}"] += 1
            if case.outcomes and code not in case.outcomes.split():
                complaint = f"{code}, not {case.outcomes}: {response.text[:200]}"
            if complaint:
                report.complaints.append(f"{case.name}: {complaint}")
        require_good_answer(client)
    report.show("Pictures", normal)

    assert not report.complaints, "\n".join(report.complaints)
    assert max(report.seconds)[0] < PATIENCE_SECONDS, max(report.seconds)
    assert max(report.peaks)[0] - normal < ALLOWED_BYTES, max(report.peaks)
    assert sum(report.outcomes.values()) >= 200
    assert "A request failed" not in api.log[logged:]


def test_no_request_breaks_the_server(api: RunningServer):
    memory, report, logged = Memory(api), Report(), len(api.log)
    with api.client() as client:
        normal = normal_memory(client, memory)
    for case in chain(hostile_requests(), protocol_requests()):
        memory.reset()
        started = time.perf_counter()
        answer = case.send(api.url, 2 * PATIENCE_SECONDS)
        report.seconds.append((time.perf_counter() - started, case.name))
        report.peaks.append((memory.peak_bytes(), case.name))
        report.outcomes[str(answer.status)] += 1
        if answer.status not in case.statuses:
            report.complaints.append(f"{case.name}: {answer.status} {answer.body[:200]!r}")
        elif answer.body and case.is_http and (complaint := complaint_about(answer)):
            report.complaints.append(f"{case.name}: {complaint}")
    with api.client() as client:
        require_good_answer(client)
    report.show("Requests", normal)

    assert not report.complaints, "\n".join(report.complaints)
    assert max(report.seconds)[0] < PATIENCE_SECONDS, max(report.seconds)
    assert max(report.peaks)[0] - normal < ALLOWED_BYTES, max(report.peaks)
    assert "A request failed" not in api.log[logged:]


@pytest.mark.extended
def test_large_pictures_at_once_take_no_more_memory_than_one(api: RunningServer):
    memory = Memory(api)
    large = [flat_png(7_071, 7_071, 8, colour) for colour in (2, 6, 4)] + [flat_webp(6_000, 4_000)]

    def send(picture: bytes) -> int:
        with api.client() as client:
            return client.post(UNCACHED, content=picture).status_code

    with api.client() as client:
        normal = normal_memory(client, memory)
    memory.reset()
    with ThreadPoolExecutor(8) as senders:
        statuses = list(senders.map(send, large * 2))

    assert set(statuses) == {200}
    assert memory.peak_bytes() - normal < ALLOWED_BYTES


def test_a_body_that_does_not_arrive_is_given_up(api: RunningServer):
    cases = list(slow_requests())

    def send(number: int) -> tuple[float, Answer]:
        started = time.monotonic()
        answer = cases[number].send(api.url, 3 * PATIENCE_SECONDS)
        return time.monotonic() - started, answer

    with ThreadPoolExecutor(len(cases)) as senders:
        answers = list(senders.map(send, range(len(cases))))

    for case, (seconds, answer) in zip(cases, answers, strict=True):
        assert answer.status in case.statuses, case.name
        assert json.loads(answer.body)["code"] == "request_too_slow"
        assert seconds < 1.5 * PATIENCE_SECONDS, case.name  # credit is good for ten seconds
