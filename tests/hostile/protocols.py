"""What no client of Hugging Face's or of the Open Inference Protocol would send."""

import base64
import json
import zlib
from collections.abc import Iterator

from tests.hostile.requests import CAT, HUGGINGFACE, INFER, HostileRequest, post


def protocol_requests() -> Iterator[HostileRequest]:
    """All of them."""
    yield from _json_bodies()
    yield from _tensors()


def _json_bodies() -> Iterator[HostileRequest]:
    picture = base64.b64encode(CAT)
    bodies = {
        "JSON of nothing": b"",
        "JSON that is no text": b"\xff\xfe" + bytes(range(256)),
        "JSON in UTF-16": '{"inputs": "a"}'.encode("utf-16"),
        "JSON in UTF-32": '{"inputs": "a"}'.encode("utf-32"),
        "JSON after a byte order mark": b'\xef\xbb\xbf{"inputs": "a"}',
        "JSON of zeros": bytes(100_000),
        "JSON of 1,999 lists in each other": b"[" * 1_999,
        "JSON of 1,500 objects in each other": b'{"inputs":' * 1_500 + b"1" + b"}" * 1_500,
        "JSON of a million lists in each other": b"[" * 1_000_000,
        "JSON of eight million lists": b'{"inputs": [' + b"[]," * 8_000_000 + b"[]]}",
        "JSON of eight million objects": b'{"inputs": [' + b"{}," * 8_000_000 + b"{}]}",
        "JSON of twelve million numbers": b'{"inputs": [' + b"1," * 12_000_000 + b"1]}",
        "JSON of 24 MB of letters": b'{"inputs": "' + b"A" * 24_000_000 + b'"}',
        "JSON of 24 MB of wide letters": '{{"inputs": "{}"}}'.format("🐝" * 6_000_000).encode(),
        "JSON of escaped letters": b'{"inputs": "' + b"\\ud83d\\udc1d" * 2_000_000 + b'"}',
        "JSON of 24 MB of spaces": b'{"inputs": ' + b" " * 24_000_000 + b"1}",
        "JSON of a number of 5,000 digits": b'{"inputs": ' + b"9" * 5_000 + b"}",
        "JSON of a number of 20 million digits": b'{"inputs": ' + b"9" * 20_000_000 + b"}",
        "JSON of an endless number": b'{"inputs": 1e999}',
        "JSON of no number": b'{"inputs": NaN}',
        "JSON without an end": b'{"inputs": "' + picture,
        "JSON with an end too many": b'{"inputs": ""}}',
        "JSON of half a letter": b'{"inputs": "\\ud800", "id": "\\udfff"}',
        "JSON of a zero": b'{"inputs": "\\u0000"}',
    }
    for name, body in bodies.items():
        for path in (HUGGINGFACE, INFER):
            yield post(name, path, body, 400, 413, 422)
    yield post("JSON of 40 MB", HUGGINGFACE, b'{"inputs": "' + b"A" * 40_000_000, 413)
    twice = b'{"inputs": "", "inputs": "' + picture + b'"}'
    yield post("a picture twice", HUGGINGFACE, twice, 200, 422)
    for content in (b"", b"no picture", CAT[:5_000], CAT + bytes(9)):
        body = json.dumps({"inputs": base64.b64encode(content).decode()}).encode()
        yield post(f"{len(content)} bytes in base64", HUGGINGFACE, body, 200, 400)
    bomb = zlib.compress(b'{"inputs": "' + bytes(50_000_000), wbits=31)
    for path in (HUGGINGFACE, INFER):
        yield post("a packed bomb", path, bomb, 415, Content_Encoding="gzip")
    for name in ("%00", "%ff%fe", "..%2f..%2fetc%2fpasswd", "a" * 5_000, "%0d%0aX:%20y", "%s{0}"):
        yield post("a name", f"/api/hf/models/{name}", CAT, 404)
        yield post("a name", f"/v2/models/{name}/infer", CAT, 404)
        yield post("a version", f"/v2/models/whatsit/versions/{name}/infer", CAT, 404)


def _tensors() -> Iterator[HostileRequest]:
    def body(shape: object, tail: bytes, size: object = None, **members: object) -> bytes:
        parameters = {"binary_data_size": len(tail) if size is None else size}
        image = {"name": "image", "shape": shape, "datatype": "BYTES", "parameters": parameters}
        return json.dumps({"inputs": [image], **members}).encode()

    def framed(content: bytes, length: int | None = None) -> bytes:
        return (len(content) if length is None else length).to_bytes(4, "little") + content

    def infer(
        name: str, head: bytes, tail: bytes, *statuses: int, length: str = ""
    ) -> HostileRequest:
        given = {"Inference_Header_Content_Length": length or str(len(head))}
        return post(f"a tensor {name}", INFER, head + tail, *statuses, **given)

    good = framed(CAT)
    yield infer("as it should be", body([1], good), good, 200)
    shapes: dict[str, object] = {
        "of none": [0],
        "of less than none": [-1],
        "of 2^31": [2**31],
        "of 2^64": [2**64],
        "of 10^400": [10**400],
        "of 2^31 by 2^33": [2**31, 2**33],
        "of 1,000 sides": [1] * 1_000,
        "of nothing": [],
        "of a text": "1",
        "of a half": [0.5],
        "of no number": [float("nan")],
        "of true": [True],
        "of lists": [[1]],
    }
    for name, shape in shapes.items():
        yield infer(f"of a shape {name}", body(shape, good), good, 422)
    tails = {
        "cut short": good[:-9],
        "too long": good + bytes(9),
        "of one byte": b"\1",
        "of nothing": b"",
        "of a length of 4 GB": framed(CAT, 2**32 - 1),
        "of a length of 2 GB": framed(CAT, 2**31),
        "of a length of none": framed(CAT, 0),
        "of two": good * 2,
    }
    for name, tail in tails.items():
        yield infer(f"with bytes {name}", body([1], tail), tail, 422)
    for size in (-1, 0, 2**31, 2**64, 1.5, True, "9", [9], {"a": 1}):
        yield infer(f"of a size {size}", body([1], good, size), good, 422)
    head = body([1], good)
    for length in ("-1", "1", str(len(head) - 1), str(len(head) + 1), str(2**31), str(2**70)):
        yield infer(f"after JSON of length {length}", head, good, 422, length=length)
    for length in ("many", "0x10", "1e3", "5, 5", "%ff", "+5", " "):
        yield infer(f"after JSON of length {length!r}", head, good, 400, 422, length=length)
    yield infer("of 21 MB", body([1], framed(bytes(21_000_000))), framed(bytes(21_000_000)), 413)
    yield infer("of 60 MB", body([1], b"", 60_000_000), bytes(60_000_000), 413)
    sixteen = framed(bytes(1_240_000)) * 16
    yield infer("of 16 large nothings", body([16], sixteen), sixteen, 400)
    empties = framed(b"") * 16
    yield infer("of 16 empty pictures", body([16], empties), empties, 400)
    many = [{"name": f"output {number}"} for number in range(900)]
    yield infer("for 900 outputs", body([1], good, outputs=many), good, 422)
    yield infer("with a long id", body([1], good, id="a" * 9_000_000), good, 422)
    yield infer("that is a picture alone", b"", CAT, 200, length="0")
    yield infer("that is no picture alone", b"", bytes(99), 400, length="0")
