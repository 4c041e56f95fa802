"""What the client sends and understands, and how long it waits; nothing is sent here."""

import io
import json
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from PIL import Image

from whatsit import documents
from whatsit.client.pictures import read_picture
from whatsit.client.protocol import (
    describe_silence,
    judge,
    parse_target,
    read_failure,
    read_models,
    read_reply,
)
from whatsit.client.retries import Attempts, RetryPolicy, asked_pause, parse_retry_after
from whatsit.data import example_pictures
from whatsit.errors import (
    AnswerUnknown,
    BodyPacked,
    FeedbackFull,
    FeedbackUnavailable,
    FeedbackUnknown,
    HeadTooLarge,
    HostNotAllowed,
    ImageTooLarge,
    ImageTooManyPixels,
    ImageUnreadable,
    ImageUnsupported,
    InferenceFailed,
    InvalidParameter,
    LabelUnknown,
    MalformedRequest,
    ModelNotReady,
    OriginNotAllowed,
    Overloaded,
    PageBusy,
    RateLimited,
    RequestTooSlow,
    ServerError,
    ServerUnreachable,
    TooManyConnections,
    Unauthorized,
    UnknownModel,
    UrlsOff,
    UrlUnreachable,
    WhatsitError,
)
from whatsit.testing import fake_classifier, plain_picture
from whatsit.web.api.problems import STATUS_BY_ERROR, problem_for

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
TARGET = parse_target("http://localhost:8501", None, 30)


def attempts(max_retries: int = 10, max_wait_seconds: float = 60.0, dice: float = 1.0) -> Attempts:
    return Attempts(RetryPolicy(max_retries, max_wait_seconds), lambda: dice)


# How long to wait


def test_pauses_double_up_to_a_limit():
    pausing = attempts(max_wait_seconds=1000)

    assert [pausing.next_pause() for _ in range(8)] == [0.25, 0.5, 1, 2, 4, 8, 8, 8]


def test_clients_that_failed_together_come_back_apart():
    assert attempts(dice=0.0).next_pause() == 0.125
    assert attempts(dice=1.0).next_pause() == 0.25


@pytest.mark.parametrize("dice", [0.0, 0.5, 1.0])
def test_what_the_server_asks_for_is_never_undercut(dice):
    pause = attempts(dice=dice).next_pause(3.0)

    assert pause == 3.0 + 0.25 * dice


def test_all_pauses_together_have_a_limit():
    pausing = attempts(max_retries=1000, max_wait_seconds=10)
    pauses = []
    while (pause := pausing.next_pause()) is not None:
        pauses.append(pause)

    assert sum(pauses) == pytest.approx(10)
    assert len(pauses) == 6


def test_who_may_not_wait_long_enough_does_not_wait_at_all():
    pausing = attempts(max_wait_seconds=10)

    assert pausing.next_pause(10.5) is None
    assert pausing.next_pause(9.9) == 10
    assert pausing.next_pause() is None


def test_the_number_of_attempts_has_a_limit():
    pausing = attempts(max_retries=2)

    assert [pausing.next_pause() is None for _ in range(3)] == [False, False, True]
    assert attempts(max_retries=0).next_pause(0.0) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        (format_datetime(NOON + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOON - timedelta(seconds=90), usegmt=True), 0.0),
        ("Friday, 01-May-26 12:00:05 GMT", 5.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("²", None),
        ("Fri, 99 May 2026 12:00:00 GMT", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert parse_retry_after(value, NOON) == seconds


def test_a_date_is_compared_with_the_clock_of_the_server():
    headers = {
        "Date": format_datetime(NOON, usegmt=True),
        "Retry-After": format_datetime(NOON + timedelta(seconds=4), usegmt=True),
    }

    assert asked_pause(httpx.Response(503, headers=headers)) == 4.0


# What is worth another attempt


@pytest.mark.parametrize(
    ("status", "again"),
    [
        *((status, True) for status in (429, 502, 503, 504)),
        *((status, False) for status in (301, 400, 401, 404, 408, 413, 415, 421, 422, 500, 501)),
    ],
)
def test_only_a_status_that_passes_is_worth_another_attempt(status, again):
    _, pause = judge(httpx.Response(status), attempts(), TARGET)

    assert (pause is not None) == again


@pytest.mark.parametrize(
    ("error", "again", "words"),
    [
        (httpx.ConnectError("refused"), True, "Nothing answers at http://localhost:8501"),
        (httpx.ConnectTimeout("late"), True, "Nothing answers"),
        (httpx.ReadError("reset"), True, "broke"),
        (httpx.WriteError("reset"), True, "broke"),
        (httpx.RemoteProtocolError("closed"), True, "broke"),
        (httpx.ReadTimeout("late"), False, "silent for 30 s"),
        (httpx.WriteTimeout("late"), False, "silent for 30 s"),
        (httpx.DecodingError("no gzip"), False, "broke"),
    ],
)
def test_silence_may_mean_work_so_only_a_broken_connection_is_tried_again(error, again, words):
    failure, pause = judge(error, attempts(), TARGET)

    assert (pause is not None) == again
    assert isinstance(failure, ServerUnreachable)
    assert words in failure.detail
    assert failure.__cause__ is error


def test_a_name_that_nobody_has_is_not_tried_again():
    with pytest.raises(httpx.ConnectError) as caught:
        httpx.get("http://nobody.invalid/", trust_env=False)

    assert judge(caught.value, attempts(), TARGET)[1] is None
    assert describe_silence(caught.value, TARGET).code == "server_unreachable"


# Documents


def over_http(classifier: Any, picture: bytes, top_k: int) -> tuple[Any, dict[str, Any]]:
    prediction = classifier.classify(picture)
    described = documents.describe_prediction(prediction, prediction.top[:top_k])
    document = {"id": "a", "cache": "hit", "timings_ms": {"total": 1.5}, **described}
    return prediction, json.loads(json.dumps(document))


def rounded(value: Any) -> Any:
    """The same facts with the scores that a document has."""
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(rounded(entry) for entry in value)
    return round(value, 6) if isinstance(value, float) else value


@pytest.mark.parametrize("name", sorted(example_pictures()))
def test_a_prediction_survives_the_way_through_a_document(bundled, name):
    prediction, document = over_http(bundled, example_pictures()[name], 20)
    reply = documents.read_reply(document)

    assert prediction.answer.set
    assert type(reply.prediction) is type(prediction)
    assert rounded(asdict(reply.prediction)) == rounded(asdict(prediction))
    assert (reply.cache, reply.timings_ms) == ("hit", {"total": 1.5})
    assert reply.top == reply.prediction.top


def test_the_client_gets_as_many_labels_as_it_asked_for():
    prediction, document = over_http(fake_classifier(), plain_picture("red"), 2)

    assert [each.label for each in documents.read_reply(document).top] == [
        each.label for each in prediction.top[:2]
    ]


def test_what_a_newer_server_says_beyond_is_passed_over():
    _, document = over_http(fake_classifier(), plain_picture("red"), 3)
    expected = documents.read_reply(document)
    document["correction"] = {"id": 1}
    document["answer"]["mood"] = "good"

    assert documents.read_reply(document) == expected


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[]", b"null", b"7", b"{}", b'{"answer": 7, "image": {}, "top": []}'],
)
def test_an_answer_that_is_none_is_an_error_of_the_server(content):
    response = httpx.Response(200, content=content)

    for read in (read_reply, read_models):
        with pytest.raises(ServerError, match="does not answer like whatsit"):
            read(response, TARGET)


def test_an_answer_with_a_number_that_is_none_is_an_error_of_the_server():
    _, document = over_http(fake_classifier(), plain_picture("red"), 3)
    document["top"][0]["score"] = "much"

    with pytest.raises(ServerError):
        read_reply(httpx.Response(200, json=document), TARGET)


# Errors

TOLD = [
    ImageUnreadable("It is cut short."),
    ImageTooLarge(20_000_000),
    ImageTooManyPixels(50_000_000),
    ImageUnsupported("a PDF document"),
    InvalidParameter("top_k is 0."),
    Unauthorized("There is no such key."),
    HostNotAllowed("This is not that host."),
    RateLimited("120 requests a minute", 3),
    RequestTooSlow("The picture did not arrive."),
    UnknownModel("resnet", ("resnet50",)),
    AnswerUnknown(),
    UrlsOff(),
    UrlUnreachable(),
    OriginNotAllowed("A page of another site sent it."),
    FeedbackUnknown("0123"),
    MalformedRequest("A header is there twice."),
    HeadTooLarge("It has more than 64,000 bytes."),
    FeedbackFull(1_000_000),
    BodyPacked("gzip"),
    LabelUnknown("n0"),
    FeedbackUnavailable("It is locked."),
    Overloaded(2),
    TooManyConnections(),
    PageBusy("As many pages are open as this server can serve."),
    ModelNotReady("It is still being loaded."),
]


@pytest.mark.parametrize("error", TOLD, ids=lambda error: error.code)
def test_a_problem_becomes_the_error_that_it_was(error: WhatsitError):
    told = problem_for(error)
    response = httpx.Response(
        told.status_code, content=bytes(told.body), headers=dict(told.headers)
    )
    failure = read_failure(response, TARGET)

    assert type(failure) is type(error)
    assert (failure.code, failure.detail, str(failure)) == (error.code, error.detail, str(error))
    assert failure.retry_after_seconds == error.retry_after_seconds


def test_every_error_that_a_server_tells_of_is_known():
    assert set(STATUS_BY_ERROR) == {*map(type, TOLD), InferenceFailed}


def test_facts_that_only_the_server_knows_are_missing():
    told = problem_for(ImageTooLarge(5))
    failure = read_failure(httpx.Response(413, content=bytes(told.body)), TARGET)

    assert isinstance(failure, ImageTooLarge)
    assert failure.limit_bytes is None


@pytest.mark.parametrize(
    ("status", "content", "code", "words"),
    [
        (404, b'{"code": "not_found", "detail": "No such path."}', "not_found", "No such path."),
        (500, b'{"code": "internal", "detail": "It broke."}', "internal", "It broke."),
        (500, b'{"code": 7, "detail": 7}', None, "500"),
        (502, b"<html>Bad Gateway</html>", None, "answered 502 (Bad Gateway)"),
        (413, b"", None, "answered 413"),
        (599, b"[]", None, "answered 599."),
    ],
)
def test_what_is_not_known_is_an_error_of_the_server(status, content, code, words):
    failure = read_failure(httpx.Response(status, content=content), TARGET)

    assert type(failure) is ServerError
    assert (failure.status, failure.server_code) == (status, code)
    assert words in failure.detail


def test_a_server_that_sends_elsewhere_is_not_followed_with_the_key():
    response = httpx.Response(308, headers={"Location": "http://elsewhere/"})

    assert "redirects" in read_failure(response, TARGET).detail


# Addresses and keys


@pytest.mark.parametrize(
    "url", ["", "localhost:8501", "ftp://localhost", "http://", "http://[", "/api", "http://a b/"]
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(InvalidParameter, match="not the address"):
        parse_target(url, None, 30)


@pytest.mark.parametrize("key", ["", "a\r\nX-Evil: 1", "schlüssel", " "])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(InvalidParameter, match="not an API key"):
        parse_target("http://localhost", key, 30)


def test_a_key_from_a_file_may_end_with_a_line_end():
    assert parse_target("http://localhost", "abc\n", 30).options["headers"]["X-API-Key"] == "abc"


def test_the_password_of_an_address_is_not_shown():
    target = parse_target("https://me:secret@host:8443/whatsit/", "key", 30)

    assert target.url == "https://host:8443/whatsit"
    assert "secret" not in describe_silence(httpx.ReadError("x"), target).detail


# Pictures


def test_bytes_paths_and_files_are_sent_as_they_are(tmp_path):
    picture = plain_picture("red")
    path = tmp_path / "red.png"
    path.write_bytes(picture)

    assert read_picture(picture) is picture
    assert read_picture(path) == read_picture(str(path)) == picture
    assert read_picture(io.BytesIO(picture)) == picture
    assert read_picture(bytearray(picture)) == picture  # type: ignore[arg-type]
    with path.open("rb") as file:
        assert read_picture(file) == picture
        assert not file.closed


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16", "HSV"])
def test_an_image_of_pillow_is_sent_without_loss(mode):
    image = Image.linear_gradient("L").resize((32, 24)).convert("RGB").convert(mode)
    sent = read_picture(image)

    assert sent.startswith((b"\x89PNG", b"II*"))
    with Image.open(io.BytesIO(sent)) as arrived:
        if mode in ("PA", "HSV"):
            assert arrived.tobytes() == image.convert("RGB").tobytes()
        else:
            assert (arrived.mode, arrived.tobytes()) == (image.mode, image.tobytes())


def test_an_image_of_pillow_is_turned_upright():
    image = Image.new("RGB", (32, 24), "red")
    exif = image.getexif()
    exif[0x0112] = 6
    turned = io.BytesIO()
    image.save(turned, "JPEG", exif=exif)

    with Image.open(turned) as opened, Image.open(io.BytesIO(read_picture(opened))) as sent:
        assert sent.size == (24, 32)


@pytest.mark.parametrize("nothing", [None, 7, io.StringIO("text"), [b"bytes"]])
def test_what_holds_no_picture_is_refused(nothing):
    with pytest.raises(InvalidParameter, match="A picture is its bytes"):
        read_picture(nothing)


def test_a_file_that_is_missing_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_picture(tmp_path / "nothing.jpg")


# Weight


def test_the_client_loads_nothing_of_the_server():
    program = "import sys, whatsit; whatsit.Client; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()

    assert "httpx" in loaded
    heavy = {"numpy", "openvino", "pydantic", "PIL", "fastapi", "redis", "whatsit.service.service"}
    assert heavy.isdisjoint(loaded)
