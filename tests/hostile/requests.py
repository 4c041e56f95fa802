"""Requests that no client library would send, over bare sockets."""

import http.client
import socket
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from whatsit.data import example_pictures

CAT = example_pictures()["cat"]
CLASSIFY = "/api/v1/classify"
INFER = "/v2/models/whatsit/infer"
HUGGINGFACE = "/api/hf/models/whatsit"
EXPLAIN = "/api/v1/explain"
FEEDBACK = "/api/v1/feedback"
NO_ANSWER = 0
"""Status of an exchange that ended without one, as where the client hung up."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    media_type: str
    body: bytes


@dataclass(frozen=True)
class HostileRequest:
    """A request, byte by byte.

    Attributes:
        name: Unique.
        parts: Sent one after the other.
        pause_seconds: Between two parts.
        statuses: What may come back; 0 stands for no answer at all.
        hangs_up: Whether the client closes its side once it has sent everything.
        is_http: Whether the request can be understood at all. If not, the web server refuses it
            before the service sees it, in its own words.
    """

    name: str
    parts: tuple[bytes, ...]
    statuses: frozenset[int]
    pause_seconds: float = 0.0
    hangs_up: bool = False
    is_http: bool = True

    def send(self, url: str, patience_seconds: float) -> Answer:
        """Send it and read the answer.

        Raises:
            TimeoutError: None came in time.
        """
        address = urlsplit(url)
        deadline = time.monotonic() + patience_seconds
        with socket.create_connection((address.hostname, address.port), patience_seconds) as line:
            try:
                for part in self.parts:
                    line.sendall(part)
                    if self.pause_seconds:
                        line.settimeout(self.pause_seconds)
                        try:
                            if line.recv(1, socket.MSG_PEEK) is not None:
                                break  # answered, or closed, before we were done
                        except TimeoutError:
                            continue
                if self.hangs_up:
                    line.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it need not listen to all of it
            line.settimeout(max(0.1, deadline - time.monotonic()))
            return _read(line, self.parts[0].split(b" ")[0].decode("latin-1"))


def _read(line: socket.socket, method: str) -> Answer:
    response = http.client.HTTPResponse(line, method=method)
    try:
        response.begin()
        return Answer(response.status, response.headers.get_content_type(), response.read())
    except (http.client.HTTPException, ConnectionResetError):
        return Answer(NO_ANSWER, "", b"")
    finally:
        response.close()


def hostile_requests() -> Iterator[HostileRequest]:
    """All but the slow ones."""
    yield from _forms()
    yield from _lengths()
    yield from _methods()
    yield from _queries()


def slow_requests() -> Iterator[HostileRequest]:
    """Bodies that take longer to arrive than anyone should wait."""
    head = _head("POST", CLASSIFY, {"Content-Length": "50000"})
    drip = tuple(bytes((byte,)) for byte in CAT[:40])
    form = _head("POST", CLASSIFY, {"Content-Length": "50000", **_form_type()})
    start = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    chunked = _head("POST", CLASSIFY, {"Transfer-Encoding": "chunked"})
    slow = frozenset({408})
    yield HostileRequest("a body that drips", (head, *drip), slow, pause_seconds=0.5)
    yield HostileRequest("a body that stalls", (head + CAT[:1000],), slow)
    yield HostileRequest("a body that never starts", (head,), slow)
    yield HostileRequest("a form that drips", (form + start, *drip), slow, pause_seconds=0.5)
    yield HostileRequest("a form that stalls", (form + start + CAT[:1000],), slow)
    yield HostileRequest(
        "chunks that drip",
        (chunked, *(b"1\r\n" + byte + b"\r\n" for byte in drip)),
        slow,
        pause_seconds=0.5,
    )
    for path, kind in _ROUTES:
        whole = _start_of_body(kind) + bytes(2_000_000)
        sized = _head("POST", path, {"Content-Length": str(len(whole) + 1), **kind})
        if path != FEEDBACK or kind != _JSON:  # whose documents are small
            yield HostileRequest(f"one byte less at {path} {kind}", (sized + whole,), slow)
            credit = (sized + whole[:-60], *(b"a" for _ in range(40)))
            yield HostileRequest(
                f"a body on credit at {path} {kind}", credit, slow, pause_seconds=0.5
            )
        endless = _head("POST", path, {"Transfer-Encoding": "chunked", **kind})
        chunk = b"%x\r\n%s\r\n" % (len(_start_of_body(kind)), _start_of_body(kind))
        yield HostileRequest(f"chunks that stop at {path} {kind}", (endless + chunk,), slow)


_JSON = {"Content-Type": "application/json"}


def post(name: str, path: str, body: bytes, *statuses: int, **headers: str) -> HostileRequest:
    """A request with a body of JSON, or so it says; underscores in `headers` are hyphens."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    head = _head("POST", path, {"Content-Length": str(len(body)), **_JSON, **named})
    return HostileRequest(f"{name} at {path}", (head + body,), frozenset(statuses))


def _head(method: str, target: str, headers: dict[str, str] | None = None) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _form_type(boundary: str | None = "edge", more: str = "") -> dict[str, str]:
    given = "" if boundary is None else f"; boundary={boundary}"
    return {"Content-Type": f"multipart/form-data{given}{more}"}


_ROUTES: tuple[tuple[str, dict[str, str]], ...] = (
    (CLASSIFY, {}),
    (CLASSIFY, _form_type()),
    (EXPLAIN, {}),
    (EXPLAIN, _form_type()),
    (FEEDBACK, _JSON),
    (FEEDBACK, _form_type()),
    (HUGGINGFACE, {}),
    (HUGGINGFACE, _JSON),
    (INFER, _JSON),
)
"""Everything that takes a body, and each kind of body that it takes."""


def _start_of_body(kind: dict[str, str]) -> bytes:
    if kind == _JSON:
        return b'{"inputs": "'
    if kind:
        return b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    return CAT[:1000]


def _part(disposition: str, content: bytes = CAT, more: str = "", edge: str = "edge") -> bytes:
    return (
        f"--{edge}\r\nContent-Disposition: {disposition}\r\n{more}\r\n".encode() + content + b"\r\n"
    )


def _form(
    name: str, body: bytes, *statuses: int, content_type: dict[str, str] | None = None
) -> HostileRequest:
    headers = {**(content_type or _form_type()), "Content-Length": str(len(body))}
    head = _head("POST", CLASSIFY, headers)
    return HostileRequest(f"form {name}", (head + body,), frozenset(statuses))


def _forms() -> Iterator[HostileRequest]:
    end = b"--edge--\r\n"
    good = 'form-data; name="file"; filename="cat.jpg"'
    names = {
        "climbing": "../../../../etc/passwd",
        "absolute": "/etc/passwd",
        "of Windows": "C:\\\\Windows\\\\win.ini",
        "of a device": "CON",
        "in other letters": "кот-猫-🐈.jpg",
        "from right to left": "\u202egpj.exe",
        "of 10,000 letters": "a" * 10_000,
        "with control characters": "a\x01\x02\x1b[31m\x7f.jpg",
        "with a zero": "a\0b.jpg",
        "with quotes": 'a\\"b\\".jpg',
        "with a command": "$(reboot);`id`.jpg",
        "with a script": "<script>alert(1)</script>.jpg",
        "with a format": "%s%n{0}{{}}.jpg",
        "empty": "",
    }
    for name, file_name in names.items():
        body = _part(f'form-data; name="file"; filename="{file_name}"') + end
        yield _form(f"with a file name {name}", body, 200, 400)
    yield _form(
        "with an encoded file name", _part(good + "; filename*=UTF-8''%00%ff") + end, 200, 400
    )
    yield _form("as it should be", _part(good) + end, 200)
    yield _form("without a boundary", _part(good) + end, 400, content_type=_form_type(None))
    yield _form("with an empty boundary", _part(good) + end, 400, content_type=_form_type(""))
    yield _form("with another boundary", _part(good) + end, 400, 422, content_type=_form_type("x"))
    yield _form(
        "with a long boundary", _part(good) + end, 400, 422, content_type=_form_type("x" * 5_000)
    )
    yield _form("without an end", _part(good), 400, 422)
    yield _form("without a part", end, 400, 422)
    yield _form("without a body", b"", 400, 422)
    yield _form(
        "with headers without an end", b"--edge\r\nContent-Disposition: " + good.encode(), 400, 422
    )
    yield _form(
        "with a header of 1 MB", _part(good, more=f"X: {'a' * 1_000_000}\r\n") + end, 200, 400
    )
    yield _form("with 50,000 headers", _part(good, more="X: a\r\n" * 50_000) + end, 200, 400)
    yield _form("with headers of nothing", _part(good, more="\r\n") + end, 200, 400)
    yield _form("with 10,000 parts", _part('form-data; name="a"', b"") * 10_000 + end, 400)
    yield _form(
        "with 10,000 files", _part('form-data; name="a"; filename="b"', b"") * 10_000 + end, 400
    )
    yield _form("with two pictures", _part(good) * 2 + end, 422)
    second = _part('form-data; name="image"; filename="b.jpg"')
    yield _form("with a picture of another name besides", _part(good) + second + end, 422)
    yield _form(
        "with a foreign field twice",
        _part('form-data; name="a"', b"1") * 2 + _part(good) + end,
        200,
    )
    yield _form(
        "with its field twice", _part('form-data; name="file"', b"1") + _part(good) + end, 422
    )
    yield _form("with another field", _part('form-data; name="image"; filename="a"') + end, 422)
    yield _form("with words for a picture", _part('form-data; name="file"', b"cat") + end, 422)
    yield _form("without a name", _part("form-data") + end, 400)
    yield _form("without a disposition", b"--edge\r\nX: y\r\n\r\n" + CAT + b"\r\n" + end, 400)
    yield _form("with an empty picture", _part(good, b"") + end, 400)
    inner = _part(good, edge="inner") + b"--inner--\r\n"
    nested = _part(
        'form-data; name="file"', inner, "Content-Type: multipart/mixed; boundary=inner\r\n"
    )
    yield _form("in a form", nested + end, 400, 422)
    yield _form(
        "that says its picture is encoded",
        _part(good, more="Content-Transfer-Encoding: base64\r\n") + end,
        200,
    )
    yield _form("of random bytes", bytes(range(256)) * 100, 400, 422)
    yield _form("of dashes", b"-" * 1_000_000, 400, 422)
    yield _form("of line breaks", b"\r\n" * 500_000, 400, 422)
    yield _form("of boundaries", b"--edge\r\n" * 100_000, 400, 422)
    yield _form("of 2 MB of words", _part('form-data; name="file"', b"a" * 2_000_000) + end, 400)
    yield _form("of 21 MB", _part(good, bytes(21_000_000)) + end, 413)
    for charset in (
        "undefined",
        "idna",
        "punycode",
        "utf-16",
        "rot13",
        "zlib",
        "nonsense",
        "unicode_escape",
    ):
        odd = _part('form-data; name="\xff\\xf\\u"; filename="\xff"', b"\xff\xfe\\x") + _part(good)
        kind = _form_type(more=f"; charset={charset}")
        yield _form(f"in {charset}", odd + end, 200, 400, 422, content_type=kind)
    yield _form(
        "of another kind",
        _part(good) + end,
        400,
        content_type={"Content-Type": "multipart/mixed; boundary=edge"},
    )
    yield _form(
        "of nearly the kind",
        _part(good) + end,
        200,
        400,
        422,
        content_type={"Content-Type": "multipart/form-data-x; boundary=edge"},
    )


def _lengths() -> Iterator[HostileRequest]:
    def head(**headers: str) -> bytes:
        return _head("POST", CLASSIFY, {name.replace("_", "-"): it for name, it in headers.items()})

    size = len(CAT)
    yield HostileRequest(
        "a body shorter than it says",
        (head(Content_Length=str(size + 9)) + CAT,),
        frozenset({NO_ANSWER, 400}),
        hangs_up=True,
    )
    yield HostileRequest(
        "a body longer than it says",
        (head(Content_Length=str(size - 9)) + CAT,),
        frozenset({200, 400}),
    )
    yield HostileRequest(
        "a body of 0 bytes that has some", (head(Content_Length="0") + CAT,), frozenset({400})
    )
    yield HostileRequest("no length", (head() + CAT,), frozenset({400}))
    for name, length in {
        "negative": "-5",
        "in words": "many",
        "of 2^70": str(2**70),
        "twice": "5, 5",
    }.items():
        yield HostileRequest(
            f"a length {name}",
            (head(Content_Length=length) + CAT,),
            frozenset({NO_ANSWER, 400, 413}),
            is_http=False,
            hangs_up=True,
        )
    yield HostileRequest(
        "a length of 4 GB",
        (head(Content_Length=str(2**32)) + CAT,),
        frozenset({NO_ANSWER, 400, 413}),
        hangs_up=True,
    )
    pieces = b"".join(
        b"%x\r\n%b\r\n" % (len(CAT[at : at + 999]), CAT[at : at + 999])
        for at in range(0, size, 999)
    )
    chunked = head(Transfer_Encoding="chunked")
    yield HostileRequest("a body in chunks", (chunked + pieces + b"0\r\n\r\n",), frozenset({200}))
    single = b"".join(b"1\r\n" + CAT[at : at + 1] + b"\r\n" for at in range(size))
    yield HostileRequest(
        "a body in chunks of one byte", (chunked + single + b"0\r\n\r\n",), frozenset({200})
    )
    broken = {
        "of a wrong length": b"5\r\nabcdefgh\r\n0\r\n\r\n",
        "of a length in words": b"many\r\nabc\r\n0\r\n\r\n",
        "of 2^64 bytes": b"ffffffffffffffff\r\nabc\r\n",
        "of a negative length": b"-1\r\nabc\r\n0\r\n\r\n",
    }
    for name, body in broken.items():
        yield HostileRequest(
            f"a chunk {name}",
            (chunked + body,),
            frozenset({NO_ANSWER, 400}),
            is_http=False,
            hangs_up=True,
        )
    yield HostileRequest(
        "chunks without an end", (chunked + pieces,), frozenset({NO_ANSWER, 400}), hangs_up=True
    )
    many = b"186a0\r\n" + bytes(100_000) + b"\r\n"
    yield HostileRequest(
        "chunks of 60 MB together", (chunked, *(many,) * 600), frozenset({NO_ANSWER, 413})
    )
    yield HostileRequest(
        "chunks and a length",
        (head(Transfer_Encoding="chunked", Content_Length="5") + pieces + b"0\r\n\r\n",),
        frozenset({200, 400}),
        is_http=False,
    )
    for path, kind in _ROUTES:
        packed = zlib.compress(CAT, wbits=31)
        sent_as = {"Content-Length": str(len(packed)), "Content-Encoding": "gzip"}
        yield HostileRequest(
            f"a packed body at {path}",
            (_head("POST", path, {**sent_as, **kind}) + packed,),
            frozenset({415}),
        )
    bomb = zlib.compress(bytes(50_000_000), wbits=31)
    yield HostileRequest(
        "a packed bomb",
        (head(Content_Encoding="gzip", Content_Length=str(len(bomb))) + bomb,),
        frozenset({415}),
    )
    yield HostileRequest(
        "a body packed in nothing",
        (head(Content_Encoding="identity", Content_Length=str(len(CAT))) + CAT,),
        frozenset({200}),
    )
    yield HostileRequest(
        "a body announced first",
        (head(Expect="100-continue", Content_Length=str(size)) + CAT,),
        frozenset({100, 200}),
    )


def _methods() -> Iterator[HostileRequest]:
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"):
        yield HostileRequest(f"method {method}", (_head(method, CLASSIFY),), frozenset({405}))
    yield HostileRequest(
        "method FOO",
        (_head("FOO", CLASSIFY),),
        frozenset({NO_ANSWER, 400, 405}),
        is_http=False,
        hangs_up=True,
    )
    yield HostileRequest(
        "no HTTP",
        (b"\x16\x03\x01\2\0\1\0\1\xfc\3\3" + bytes(99),),
        frozenset({NO_ANSWER, 400}),
        is_http=False,
        hangs_up=True,
    )
    yield HostileRequest(
        "a header of 1 MB",
        (_head("GET", "/healthz", {"X": "a" * 1_000_000}),),
        frozenset({431}),
        is_http=False,
    )
    yield HostileRequest(
        "a path of 60,000 letters",
        (_head("GET", "/api/" + "a" * 60_000),),
        frozenset({NO_ANSWER, 400, 404, 414}),
        is_http=False,
    )
    for name, path in {
        "climbing": "/api/../../etc/passwd",
        "encoded": "/api/%2e%2e/%00%ff",
        "double": "//api//v1//classify",
    }.items():
        yield HostileRequest(f"a path {name}", (_head("GET", path),), frozenset({404, 405}))


def _queries() -> Iterator[HostileRequest]:
    queries = {
        "top_k of a billion": ("top_k=1000000000", 422),
        "top_k of none": ("top_k=0", 422),
        "top_k below none": ("top_k=-1", 422),
        "top_k of 5,000 digits": (f"top_k={'9' * 5_000}", 422),
        "top_k of a half": ("top_k=1.5", 422),
        "top_k in words": ("top_k=all", 422),
        "top_k of nothing": ("top_k=", 422),
        "top_k of infinity": ("top_k=1e9", 422),
        "top_k twice": ("top_k=3&top_k=4", 200),
        "top_k in other digits": ("top_k=%D9%A3", 0),
        "a wrong cache": ("cache=nonsense", 422),
        "cache twice": ("cache=use&cache=nonsense", 422),
        "bytes that are no text": ("cache=%ff%fe", 422),
        "a zero": ("cache=use%00", 422),
        "half an escape": ("cache=%", 422),
        "an unknown name": ("colour=red", 200),
        "10,000 names": ("&".join(f"a{n}=b" for n in range(10_000)), 0),
        "a name in brackets": ("top_k[]=5&top_k[$gt]=1", 200),
        "nothing but signs": ("&&==&=&", 200),
    }
    size = {"Content-Length": str(len(CAT))}
    for name, (query, status) in queries.items():
        statuses = frozenset({status} if status else {NO_ANSWER, 200, 400, 422, 431})
        request = _head("POST", f"{CLASSIFY}?{query}", size) + CAT
        yield HostileRequest(f"query of {name}", (request,), statuses, is_http=len(query) < 60_000)
    explain = _head("POST", "/api/v1/explain?label=%00%ff&format=json", size) + CAT
    yield HostileRequest("a label that is no text", (explain,), frozenset({422}))
