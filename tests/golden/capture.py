"""What others rely on, as text: ``python -m tests.golden.capture`` writes the files again.

The text depends neither on the machine nor on the version of Python, so that each difference is a
change of the code. Rewriting a file says that the change is meant.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from copy import deepcopy
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from tests.conftest import ROOT
from tests.golden.signatures import describe, exported_names
from tests.golden.trees import strip_schema, walk_commands, walk_keys
from whatsit import errors, testing
from whatsit.access.rate_counters import RedisCounters
from whatsit.cache.codec import Seal, encode_entries
from whatsit.cache.key import build_cache_key
from whatsit.cache.memory import MemoryCache
from whatsit.cache.redis import LEASE
from whatsit.cache.tiers import TieredCache
from whatsit.classifier import build_fingerprint
from whatsit.cli import cli
from whatsit.cli.exit import exit_code_of
from whatsit.model_card import ModelCard
from whatsit.models.folder import ModelFolder, open_folder
from whatsit.models.store import ModelStore
from whatsit.opening import open_service
from whatsit.picture import Picture
from whatsit.prediction import Answer, HeatMap, ImageFacts, ModelId, Prediction, ScoredLabel
from whatsit.service.service import Service
from whatsit.service.workers import Workers
from whatsit.settings import Settings
from whatsit.telemetry.metrics import Telemetry
from whatsit.web.api.app import build_api, build_classify
from whatsit.web.api.problems import problem_for
from whatsit.web.envelope import Envelope
from whatsit.web.front_door import FrontDoor
from whatsit.web.guard.keys import declare_keys
from whatsit.web.head_requests import HeadAsGet
from whatsit.web.intake.intake import Intake
from whatsit.web.journal import Journal

FILES = Path(__file__).parent / "files"

PUBLIC_MODULES = (
    *("whatsit", "whatsit.client", "whatsit.errors"),
    *("whatsit.engines.base", "whatsit.testing"),
)
STEPS = (
    *("prepare", "finetune", "evaluate", "optimise", "register", "promote"),
    *("calibrate", "run"),
)
ENGINES = ("openvino-f32", "openvino-bf16", "onnxruntime-f32")
"""An engine chooses its precision by the machine; the fingerprint follows from it."""
BUNDLED = "efficientnet-lite2"
SHARED_FILE = "shared_identities.json"
SHARED_MODELS = ("resnet50-tf",)
SECRET = "as long as a secret has to be"
SEALS = {"checksum": Seal(), "secret": Seal(SECRET)}

_CONSTRUCTED_WITH: Mapping[str, tuple[Any, ...]] = {
    "answer_unknown": (),
    "body_packed": ("gzip",),
    "feedback_full": (1_000_000,),
    "feedback_unknown": ("0123456789abcdef",),
    "image_too_large": (20_000_000,),
    "image_too_many_pixels": (40_000_000, 61_000_000),
    "image_unsupported": ("a PDF document",),
    "label_unknown": ("n00000000",),
    "overloaded": (2.5,),
    "rate_limited": ("120/minute", 12),
    "too_many_connections": (),
    "unknown_model": ("resnet18", (BUNDLED, "resnet50")),
    "url_unreachable": (),
    "urls_off": (),
}
"""By code of the error; all others take a sentence."""
_REFUSED_REQUESTS = (
    ("GET", "/api/nothing", b""),
    ("GET", "/v2/nothing", b""),
    ("PUT", "/api/v1/classify", b""),
    ("POST", "/api/v1/classify", b""),
    ("POST", "/api/v1/classify", b"%PDF-1.7 is not a picture"),
    ("POST", "/api/v1/classify?top_k=21", b"x"),
    ("POST", "/api/v1/explain?label=no-such-label", b"x"),
    ("GET", "/api/v1/answers/short", b""),
    ("GET", f"/api/v1/answers/{'0' * 64}", b""),
    ("POST", "/api/v1/feedback", b"{}"),
    ("GET", "/api/v1/labels/n00000000", b""),
    ("POST", "/api/hf/models/nothing", b"x"),
    ("POST", f"/v2/models/{BUNDLED}/infer", b"{}"),
)


def public_names() -> str:
    """Every public name with its signature."""
    modules = [(module, exported_names(module)) for module in map(import_module, PUBLIC_MODULES)]
    modules += [(import_module(f"whatsit.pipeline.{step}"), [step]) for step in STEPS]
    return _joined("\n".join(describe(module, name)) for module, names in modules for name in names)


def openapi() -> str:
    """The OpenAPI document; a response that stands in it twice is written out once."""
    document = deepcopy(_said_by_the_api()[0])
    seen: dict[str, str] = {}
    for name, operation in _operations(document).items():
        for status, response in operation["responses"].items():
            place = f"{name} {status}"
            first = seen.setdefault(_as_json(response), place)
            if first != place:
                operation["responses"][status] = f"as for {first}"
    document["info"]["version"] = "(of the release)"
    return _as_json(document)


def openapi_with_keys() -> str:
    """What the OpenAPI document of a server that asks for keys says of them."""
    _, document, _ = _said_by_the_api()
    operations = _operations(document).items()
    return _as_json(
        {
            "schemes": document["components"]["securitySchemes"],
            "operations": {name: operation["security"] for name, operation in operations},
        }
    )


def refusals() -> str:
    """The problem documents of some requests, as the API answers them."""
    return _as_json(_said_by_the_api()[2])


def command_line() -> str:
    """The help of every command."""
    return _joined(f"$ {name}\n\n{page}" for name, page in walk_commands("whatsit", cli))


def metrics() -> str:
    """Every metric, and the series that exist before anything has happened."""
    telemetry = Telemetry()
    series = [
        line.rsplit(" ", 1)[0]
        for line in telemetry.exposition().decode().splitlines()
        if not line.startswith(("#", "process_", "whatsit_build_info"))
    ]
    described = {
        metric.name: {"kind": metric.kind, "labels": metric.labels, "meaning": metric.meaning}
        for metric in telemetry.describe()
    }
    return _as_json({"metrics": described, "series at the start": sorted(series)})


def settings() -> str:
    """Every setting: type, range, default and sentence."""
    # What a factory gives depends on the machine, so a schema has no such default.
    facts = Settings.model_json_schema()["properties"]
    return _as_json({f"WHATSIT_{name.upper()}": strip_schema(fact) for name, fact in facts.items()})


def card_keys() -> str:
    """Every key that a model card may have."""
    schema = ModelCard.model_json_schema()
    return _as_json(dict(walk_keys(schema, schema["$defs"], "")))


def identities() -> str:
    """The fingerprint of the bundled model by engine, and the keys of its entries."""
    with tempfile.TemporaryDirectory() as store:
        model = ModelStore(Path(store)).open(BUNDLED)
    return _as_json({"fingerprints": _fingerprints(model), "keys": _cache_keys(model)})


def shared_identities(shared: Path) -> str:
    """The fingerprints of real models that are not part of this repository."""
    models = {name: open_folder(shared / "models" / name) for name in SHARED_MODELS}
    return _as_json({name: _fingerprints(model) for name, model in models.items()})


def redis_keys() -> str:
    """Every kind of key in Redis, as a service writes them."""
    counters = RedisCounters("redis://localhost", "whatsit")
    return _as_json(
        {
            "entries": _keys_of_a_service(),
            "with a secret": Seal(SECRET).place("whatsit:key"),
            "lease": f"KEY{LEASE}",
            "count of a caller": counters._key("address 192.0.2.1", 12),
        }
    )


def stored_entries() -> str:
    """A prediction and a heat map as the cache keeps them, with and without a secret."""
    return _as_json(
        {
            f"{key}, {name}": repr(stored).replace("],", "],\n").splitlines()
            for name, seal in SEALS.items()
            for key, stored in encode_entries(entries().items(), seal)
        }
    )


def problems() -> str:
    """The problem document, the headers and the exit status of every error."""
    facts = {}
    for kind in sorted(_subclasses(errors.WhatsitError), key=lambda kind: kind.code):
        error = kind(*_CONSTRUCTED_WITH.get(kind.code, ("A sentence for people.",)))
        response = problem_for(error)
        facts[kind.code] = {
            "class": kind.__name__,
            "exit status": exit_code_of(error),
            "sentence": error.detail,
            "headers": {
                name: value
                for name, value in sorted(response.headers.items())
                if name != "content-length"
            },
            "document": json.loads(bytes(response.body)),
        }
    return _as_json(facts)


CAPTURES: Mapping[str, Callable[[], str]] = {
    "public_names.txt": public_names,
    "openapi.json": openapi,
    "openapi_with_keys.json": openapi_with_keys,
    "command_line.txt": command_line,
    "metrics.json": metrics,
    "settings.json": settings,
    "card_keys.json": card_keys,
    "identities.json": identities,
    "redis_keys.json": redis_keys,
    "stored_entries.json": stored_entries,
    "problems.json": problems,
    "refusals.json": refusals,
}
"""What each file holds."""


def entries() -> dict[str, Prediction | HeatMap]:
    """One entry of each kind, by its key."""
    return {"whatsit:prediction": _prediction(), "whatsit:heat-map": _heat_map()}


def _prediction() -> Prediction:
    """A prediction in which every field has a value of its own."""
    top = (
        ScoredLabel("Border Collie", "n02106166", 232, 0.875),
        ScoredLabel("Hütehund", None, 7, 0.0625),
        ScoredLabel("ram \N{RAM}", "n02412080", 348, 1.25e-07),
    )
    answer = Answer(
        text="A dog (94 %). Probably a “Border Collie”.",
        label="dog",
        wnid="n02084071",
        score=0.9375,
        certainty="probably",
        level="group",
        path=("animal", "mammal", "dog"),
        set=top[:2],
        recognised=False,
    )
    return Prediction(ModelId("birds.v3", "9f0c" * 16), answer, top, _facts_of_a_picture())


def _heat_map() -> HeatMap:
    """A heat map in which every field has a value of its own."""
    steps = np.array([[0, 51, 102], [153, 204, 255]], dtype=np.float32)
    return HeatMap(
        model=ModelId("birds.v3", "9f0c" * 16),
        image=_facts_of_a_picture(),
        label="Border Collie",
        wnid="n02106166",
        index=232,
        method="activation",
        grid=(steps / 255).astype(np.float32),
        box=(75.5, 0.0, 375.5, 300.0),
    )


def _facts_of_a_picture() -> ImageFacts:
    return ImageFacts(451, 300, "JPEG", "e3b0" * 16)


@cache
def _said_by_the_api() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The OpenAPI documents without and with keys, and answers to requests that are refused."""
    with tempfile.TemporaryDirectory() as store:
        chosen = Settings(_env_file=None, store=Path(store), model=BUNDLED, cache="off")
        with open_service(chosen) as running:
            documents = []
            for required in (False, True):
                intake = Intake(10**6, 5)
                api = build_api(running, intake)
                declare_keys(api, required=required)
                documents.append(api.openapi())
            door = FrontDoor(build_classify(running, intake), HeadAsGet(api), None, nullcontext())
            client = TestClient(Envelope(door, Journal(running.telemetry)))
            answers = {
                f"{method} {path} {body.decode()}".strip(): client.request(
                    method, path, content=body
                )
                for method, path, body in _REFUSED_REQUESTS
            }
    refused = {
        request: {"type": answer.headers["content-type"], "document": answer.json()}
        for request, answer in answers.items()
    }
    return documents[0], documents[1], refused


def _operations(document: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in sorted(document["paths"].items())
        for method, operation in sorted(methods.items())
    }


def _fingerprints(model: ModelFolder) -> dict[str, str]:
    return {engine: build_fingerprint(model.card, model.labels, engine) for engine in ENGINES}


def _cache_keys(model: ModelFolder) -> dict[str, str]:
    fingerprint = _fingerprints(model)[ENGINES[0]]
    digest = sha256(b"the bytes of a picture").hexdigest()
    asked = {"bytes of a picture": "", "its pixels": "pixels", "heat map": "why:best"}
    return {
        name: build_cache_key("whatsit", fingerprint, digest, suffix)
        for name, suffix in asked.items()
    }


class _Notebook(MemoryCache):
    """Remembers under which keys something was kept."""

    def __init__(self) -> None:
        super().__init__(max_entries=10, ttl_seconds=60)
        self.keys: list[str] = []

    def put(self, key: str, entry: Prediction | HeatMap) -> None:
        self.keys.append(key)
        super().put(key, entry)


def _keys_of_a_service() -> list[str]:
    """Where a service keeps the answer to a picture, and its heat maps."""
    # A format without compression: its bytes do not depend on a library.
    picture = Picture.of(testing.plain_picture("red", image_format="BMP"))
    workers, notebook = Workers(1), _Notebook()
    tiers = TieredCache(notebook)
    service = Service(testing.fake_classifier(), tiers, workers=workers)
    try:
        service.classify(picture)
        service.explain(picture)
        service.explain(picture, label="green thing")
    finally:
        workers.close()
        tiers.close()
    return notebook.keys


def _subclasses(kind: type[errors.WhatsitError]) -> set[type[errors.WhatsitError]]:
    direct = {each for each in kind.__subclasses__() if each.__module__ == kind.__module__}
    return {kind}.union(*map(_subclasses, direct))


def _joined(paragraphs: Iterable[str]) -> str:
    return "\n\n".join(paragraphs) + "\n"


def _as_json(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all files, those of the shared models only where there are any."""
    shared = Path(os.environ.get("WHATSIT_SHARED", ROOT.parent / "shared"))
    for variable in [name for name in os.environ if name.startswith("WHATSIT_")]:
        del os.environ[variable]
    FILES.mkdir(exist_ok=True)
    for name, capture in CAPTURES.items():
        (FILES / name).write_text(capture(), encoding="utf-8")
    if (shared / "models").is_dir():
        (FILES / SHARED_FILE).write_text(shared_identities(shared), encoding="utf-8")


if __name__ == "__main__":
    main()
