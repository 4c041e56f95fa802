"""Inference requests: what was sent is understood or refused with a sentence, never more."""

import base64
import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whatsit.errors import ImageTooLarge, InputError, InvalidParameter
from whatsit.web.api.oip.request import (
    OUTPUT_NAMES,
    WantedOutput,
    parse_header_length,
    parse_request,
)

MAX_BYTES = 10_000
IMAGE = {"name": "image", "shape": [1], "datatype": "BYTES"}


def encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def in_json(**changes: Any) -> dict[str, Any]:
    return {"inputs": [{**IMAGE, "data": [encoded(b"abc")], **changes}]}


def in_binary(pictures: list[bytes], size: object = None, **members: Any) -> tuple[bytes, int]:
    """A body with the binary extension, and how many of its bytes are JSON."""
    tail = b"".join(len(each).to_bytes(4, "little") + each for each in pictures)
    parameters = {"binary_data_size": len(tail) if size is None else size}
    image = {**IMAGE, "shape": [len(pictures)], "parameters": parameters}
    head = json.dumps({"inputs": [image], **members}).encode()
    return head + tail, len(head)


def require_sentence(error: InputError) -> None:
    assert error.detail.endswith(".")


def parse(document: object) -> Any:
    return parse_request(json.dumps(document).encode(), None, MAX_BYTES)


@given(st.lists(st.binary(max_size=400), min_size=1, max_size=16))
def test_pictures_come_out_as_they_went_in(pictures):
    rows = [[encoded(each)] for each in pictures]
    shape = [len(pictures)]

    assert parse_request(*in_binary(pictures), MAX_BYTES).pictures == tuple(pictures)
    assert parse(in_json(shape=[*shape, 1], data=rows)).pictures == tuple(pictures)
    flat = [row[0] for row in rows]
    assert parse(in_json(shape=shape, data=flat)).pictures == tuple(pictures)


@given(st.binary(max_size=200))
def test_a_length_of_0_means_that_the_body_is_one_picture(body):
    request = parse_request(body, 0, MAX_BYTES)

    assert request.pictures == (body,)
    assert request.outputs == tuple(WantedOutput(name, False) for name in OUTPUT_NAMES)


_numbers = st.one_of(
    st.integers(-3, 40), st.sampled_from([2**31, 2**32 - 1, 2**32, 2**63, 2**64, -(2**31)])
)


@st.composite
def broken_binaries(draw: st.DrawFn) -> tuple[bytes, int]:
    """Binary requests in which lengths lie, and bytes are missing, changed or too many."""
    pictures = draw(st.lists(st.binary(max_size=30), min_size=1, max_size=4))
    body, header_length = in_binary(pictures, draw(st.none() | _numbers))
    changed = bytearray(body)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(changed)))
        changed[at : at + draw(st.integers(0, 5))] = draw(st.binary(max_size=5))
    return bytes(changed), max(0, header_length + draw(st.sampled_from([0, 0, 0, 1, -1, 9, 10**9])))


@given(broken_binaries())
@settings(max_examples=400)
def test_any_binary_request_is_understood_or_refused(request_):
    body, header_length = request_
    try:
        request = parse_request(body, header_length, MAX_BYTES)
    except InputError as error:
        require_sentence(error)
    else:
        # Nothing was invented, and nothing was left over.
        lengths = 4 * len(request.pictures) if header_length else 0
        taken = sum(map(len, request.pictures)) + lengths
        assert taken == len(body) - header_length


_scalars = st.one_of(
    st.none(), st.booleans(), _numbers, st.floats(), st.text(max_size=5), st.just("image"),
    st.just("BYTES"), st.just("YWJj"), st.sampled_from(OUTPUT_NAMES),
)  # fmt: skip
_names = st.sampled_from(
    ["id", "inputs", "outputs", "parameters", "name", "shape", "datatype", "data", "top_k",
     "binary_data", "binary_data_output", "binary_data_size", "classification"]
)  # fmt: skip
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=5),
    max_leaves=20,
)


@st.composite
def changed_documents(draw: st.DrawFn) -> object:
    """A good document in which some member, at any depth, is something else or gone."""
    document: Any = deepcopy(in_json(parameters={}))
    document |= {"id": "7", "parameters": {"top_k": 3}}
    document["outputs"] = [{"name": "score", "parameters": {"classification": 2}}]
    for _ in range(draw(st.integers(1, 3))):
        place = document
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and draw(st.booleans()):
                place = place[key]
                continue
            place[key] = draw(_values)
            break
    return document


@given(st.one_of(_values, changed_documents()), st.sampled_from([None, "whole"]))
@settings(max_examples=400)
def test_any_document_is_understood_or_refused(document, header):
    body = json.dumps(document).encode()
    try:
        request = parse_request(body, len(body) if header else None, MAX_BYTES)
    except InputError as error:
        require_sentence(error)
    else:
        assert 1 <= len(request.pictures) <= 16
        assert 1 <= request.top_k <= 20


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "inputs must hold one input"),
        ({"inputs": [IMAGE, IMAGE]}, "inputs must hold one input"),
        (in_json(name="pixels"), "must be called image"),
        (in_json(datatype="FP32"), "must be BYTES"),
        (in_json(shape=[1, 3, 224, 224]), "must be [N] or [N, 1]"),
        (in_json(shape=[True]), "must be [N] or [N, 1]"),
        (in_json(shape=[1.0]), "must be [N] or [N, 1]"),
        (in_json(shape=[[1]]), "must be [N] or [N, 1]"),
        (in_json(shape="1"), "must be [N] or [N, 1]"),
        (in_json(shape=[0]), "from 1 to 16"),
        (in_json(shape=[-1]), "from 1 to 16"),
        (in_json(shape=[17]), "from 1 to 16"),
        (in_json(shape=[2**63]), "from 1 to 16"),
        (in_json(shape=[2]), "promises 2 elements; data has 1"),
        (in_json(data="YWJj"), "must be a list"),
        (in_json(data=[97]), "must be a text"),
        (in_json(data=["?"]), "Each element of image must be a picture in base64"),
        (in_json(parameters=[]), "parameters must be an object"),
        (in_json(parameters={"shared_memory_region": "x"}), "Shared memory"),
        (in_json(parameters={"binary_data_size": 3}), "both data and binary_data_size"),
        ({"inputs": [{**IMAGE, "parameters": {"binary_data_size": 3}}]}, "header Inference-Header"),
        ({**in_json(), "id": 7}, "id must be"),
        ({**in_json(), "id": "\ud800"}, "id must be"),
        ({**in_json(), "id": "x" * 257}, "id must be"),
        ({**in_json(), "parameters": {"top_k": 21}}, "top_k"),
        ({**in_json(), "parameters": {"binary_data_output": 1}}, "true or false"),
        ({**in_json(), "outputs": {}}, "list of objects"),
        ({**in_json(), "outputs": [5]}, "list of objects"),
        ({**in_json(), "outputs": [{"name": "logits"}]}, "one of: label, score"),
        ({**in_json(), "outputs": [{"name": []}]}, "one of: label, score"),
        ({**in_json(), "outputs": [{"name": "label"}] * 2}, "asked for once"),
        (
            {**in_json(), "outputs": [{"name": "label", "parameters": {"classification": 2}}]},
            "of the output score only",
        ),
        (
            {**in_json(), "outputs": [{"name": "score", "parameters": {"classification": 0}}]},
            "classification must be",
        ),
        (
            {
                **in_json(),
                "outputs": [{"name": "score", "parameters": {"shared_memory_region": 1}}],
            },
            "Shared memory",
        ),
    ],
    ids=range(34),
)
def test_a_refusal_names_what_is_wrong(document, words):
    with pytest.raises(InvalidParameter) as refused:
        parse(document)

    assert words in refused.value.detail


@pytest.mark.parametrize(
    ("tail", "size", "words"),
    [
        (b"\3\0\0\0ab", 6, "end within element 1 of 1"),
        (b"\xff\xff\xff\xffab", 6, "end within element 1 of 1"),
        (b"\3\0", 2, "end within element 1 of 1"),
        (b"", 0, "end within element 1 of 1"),
        (b"\2\0\0\0abc", 7, "go on after its 1 elements by 1"),
        (b"\3\0\0\0abc", 6, "number of bytes after the JSON, 7"),
        (b"\3\0\0\0abc", -7, "number of bytes after the JSON, 7"),
        (b"\3\0\0\0abc", 2**64, "number of bytes after the JSON, 7"),
        (b"\3\0\0\0abc", "7", "number of bytes after the JSON, 7"),
        (b"\1\0\0\0a", True, "number of bytes after the JSON, 5"),
        (b"\3\0\0\0abc", None, "has no binary_data_size, but bytes follow"),
    ],
    ids=range(11),
)
def test_lengths_that_lie_are_refused(tail, size, words):
    head = json.dumps({"inputs": [{**IMAGE, "parameters": {"binary_data_size": size}}]}).encode()
    with pytest.raises(InvalidParameter) as refused:
        parse_request(head + tail, len(head), MAX_BYTES)

    assert words in refused.value.detail


def test_json_may_not_reach_beyond_the_body():
    with pytest.raises(InvalidParameter, match=r"is 99, but 2 bytes came\."):
        parse_request(b"{}", 99, MAX_BYTES)


def test_all_pictures_together_have_a_limit():
    with pytest.raises(ImageTooLarge, match="The pictures together are larger than 10,000 bytes"):
        parse_request(*in_binary([bytes(6_000)] * 2), MAX_BYTES)
    with pytest.raises(ImageTooLarge, match="The picture is larger"):
        parse_request(bytes(MAX_BYTES + 1), 0, MAX_BYTES)


def test_each_output_may_come_in_its_own_form():
    wanted = [{"name": "score", "parameters": {"binary_data": False}}, {"name": "label"}]
    document = {**in_json(), "outputs": wanted, "parameters": {"binary_data_output": True}}

    assert parse(document).outputs == (WantedOutput("score", False), WantedOutput("label", True))


@pytest.mark.parametrize(("values", "length"), [([], None), (["0"], 0), (["120"], 120)])
def test_the_length_of_the_json_is_a_number(values, length):
    assert parse_header_length(values) == length


@pytest.mark.parametrize(
    "values", [["-1"], ["+1"], ["1.0"], ["x"], [""], ["9" * 5_000], ["\u0661"], ["1", "1"]]
)
def test_any_other_length_of_the_json_is_refused(values):
    with pytest.raises(InvalidParameter, match="one whole number"):
        parse_header_length(values)
