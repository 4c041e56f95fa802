"""Measure, register and promote real models: the bundled one, and copies made worse on purpose."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.datasets import (
    LABELS,
    bitmaps,
    photographs,
    write_folders,
    write_small_model,
    write_worse_model,
)
from whatsit.classifier import Classifier
from whatsit.errors import DatasetRejected, GateFailed, ModelError, PipelineError
from whatsit.labels.label_set import LabelEntry, LabelSet
from whatsit.model_card import read_card, write_card
from whatsit.models.catalogue import BUNDLED_MODEL, bundled_folder
from whatsit.models.folder import open_folder
from whatsit.models.live import LiveAlias
from whatsit.models.store import ModelStore
from whatsit.pipeline.candidate import open_candidate
from whatsit.pipeline.evaluate import evaluate
from whatsit.pipeline.manifest import DatasetClass, read_manifest
from whatsit.pipeline.prepare import prepare
from whatsit.pipeline.promote import promote
from whatsit.pipeline.register import register
from whatsit.pipeline.report import read_report, write_report
from whatsit.pipeline.truth import match_classes

SLOW_MS = 60_000.0
"""A budget that no machine exceeds, where a test is not about time."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folders(tmp_path_factory.mktemp("photographs"), photographs())


@pytest.fixture(scope="module")
def manifest(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared")
    prepare(data, out, test_ratio=0.4)
    return out


@pytest.fixture(scope="module")
def evaluation(data: Path, manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluated")
    evaluate(data, manifest, out, model=bundled_folder())
    return out


@pytest.fixture(scope="module")
def worse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is wrong about all four classes of the data."""
    return write_worse_model(tmp_path_factory.mktemp("worse") / "model")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def live(home: Path) -> str | None:
    current = LiveAlias(home).read().current
    return None if current is None else current.name


# Evaluate


def test_figures_are_those_of_the_answers_themselves(data, manifest, evaluation, bundled):
    dataset = read_manifest(manifest)
    pictures = dataset.pictures_of("test")
    answers = [bundled.classify(data / picture.file) for picture in pictures]
    truth = [dataset.classes[picture.class_index].label for picture in pictures]
    right = [answer.top[0].label == label for answer, label in zip(answers, truth, strict=True)]
    sure = [answer for answer in answers if answer.answer.certainty == "sure"]

    report = read_report(evaluation, "evaluate")

    assert report["pictures"] == len(pictures) == 8
    assert report["top1"] == pytest.approx(sum(right) / 8)
    assert 0.5 < report["top1"] <= report["top5"]
    assert report["per_level"]["sure"]["pictures"] == len(sure)
    assert {entry["label"] for entry in report["per_class"]} == set(LABELS.values())
    hits = sum(entry["accuracy"] * entry["pictures"] for entry in report["per_class"])
    assert hits == pytest.approx(sum(right))
    unsure = [answer for answer in answers if answer.answer.certainty == "unsure"]
    assert report["per_level"]["unsure_share"] == len(unsure) / 8
    refused = [answer for answer in answers if not answer.answer.recognised]
    assert report["per_level"]["unrecognised_share"] == len(refused) / 8 > 0
    assert sum(entry["pictures"] for entry in report["confusions"]) == 8 - sum(right)
    assert report["model"]["name"] == BUNDLED_MODEL
    assert report["model"]["fingerprint"] == bundled.model.fingerprint
    assert report["data_sha256"] == dataset.data_sha256


def test_changed_pictures_and_speed_are_measured_too(evaluation):
    report = read_report(evaluation, "evaluate")

    assert set(report["robustness"]) == {"rotation", "blur", "jpeg"}
    assert all(0.4 < accuracy <= 1 for accuracy in report["robustness"].values())
    assert 0 < report["latency_ms"]["p50"] <= report["latency_ms"]["p95"]


def test_a_model_that_is_wrong_has_no_right_answers_and_its_confusions(data, manifest, worse, out):
    report = evaluate(data, manifest, out, model=worse)

    assert report.top1 < 0.2
    assert ("bee", "Egyptian cat") in {(pair.label, pair.answered) for pair in report.confusions}


def test_pictures_of_a_class_that_the_model_does_not_know_count_as_wrong(tmp_path, out):
    data = write_folders(tmp_path / "data", {"my own thing": bitmaps(4)}, "bmp")
    write_folders(data, {"bee": photographs()["bee"]})
    prepare(data, tmp_path / "prepared", test_ratio=0.4)

    report = evaluate(data, tmp_path / "prepared", out, model=bundled_folder())

    assert report.unknown_classes == ("my own thing",)
    accuracy = {entry.label: entry.accuracy for entry in report.per_class}
    assert accuracy["my own thing"] == 0
    assert report.top1 == pytest.approx(accuracy["bee"] * 2 / 4)
    assert report.top5 <= 0.5
    assert report.brier >= 0.5


def test_a_model_that_knows_no_class_of_the_data_is_not_measured(tmp_path, out):
    classes = {"one": bitmaps(3), "two": bitmaps(3, 3)}
    data = write_folders(tmp_path / "data", classes, "bmp")
    prepare(data, tmp_path / "prepared")

    with pytest.raises(DatasetRejected, match="knows none of the 2 classes"):
        evaluate(data, tmp_path / "prepared", out, model=bundled_folder())


def test_classes_are_matched_by_id_before_label():
    labels = LabelSet(
        "mixed",
        (LabelEntry("crane", "n02012849"), LabelEntry("hoist", "n03126707"), LabelEntry("Mug")),
    )
    wanted = {
        DatasetClass("crane", "n03126707"): 1,  # the machine, whatever it is called
        DatasetClass("crane", "n02012849"): 0,
        DatasetClass("crane"): 0,
        DatasetClass("crane", "n99999999"): None,
        DatasetClass("MUG", "n03063599"): 2,
        DatasetClass("jug"): None,
    }

    assert match_classes(list(wanted), labels) == tuple(wanted.values())


def test_a_model_is_found_by_its_folder_its_name_or_as_the_live_one(home):
    ModelStore(home).add(bundled_folder(), "petals.v1")

    assert open_candidate(bundled_folder(), home).card.name == BUNDLED_MODEL
    assert open_candidate(str(bundled_folder()), home).card.name == BUNDLED_MODEL
    assert open_candidate("live", home).card.name == BUNDLED_MODEL
    LiveAlias(home).promote("petals.v1")
    assert open_candidate("live", home).card.name == "petals.v1"


# Register


def test_versions_count_up_and_are_never_replaced(data, manifest, evaluation, home, out):
    def again() -> str:
        return register(
            bundled_folder(), evaluation, manifest, out, name="petals", data=data, store=home
        )

    assert [again(), again()] == ["petals.v1", "petals.v2"]
    LiveAlias(home).promote("petals.v2")
    ModelStore(home).remove("petals.v2")
    assert again() == "petals.v3", "v2 has been live: its name is taken for good"


def test_the_card_says_where_the_model_comes_from_and_what_was_measured(
    data, manifest, evaluation, home, out, tmp_path
):
    folder = ModelStore(tmp_path / "other").add(bundled_folder(), "mine").weights.parent
    facts = {"top1_before": 0.9, "top1_after": 0.89, "history": [1, 2], "size": {"after": 9}}
    write_report(folder, "optimise", {"model": "/nowhere"}, facts, 1.0)

    version = register(
        folder, evaluation, manifest, out, name="petals", data=data, store=home, licence="MIT"
    )

    card = ModelStore(home).open(version).card
    report = read_report(evaluation, "evaluate")
    assert card.licence == "MIT"
    assert card.provenance["data_sha256"] == read_manifest(manifest).data_sha256
    assert card.provenance["code"].startswith("whatsit ")
    figures = card.provenance["optimise"]
    assert (figures["top1_after"], figures["size"]) == (0.89, {"after": 9})
    assert "history" not in figures
    assert card.quality["top1"] == report["top1"]
    assert card.quality["jpeg_top1"] == report["robustness"]["jpeg"]
    assert card.quality["latency_p50_ms"] == report["latency_ms"]["p50"]
    assert open_folder(out).card == card, "the folder that it writes is that model too"
    assert read_report(out, "register")["model"] == version
    assert read_report(out, "register")["calibrated"].startswith("no: 4 validation pictures")


def test_the_card_has_the_figures_of_all_steps_that_made_the_model_and_no_others(
    manifest, evaluation, home, out, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write_report(tmp_path, "prepare", {}, {"pictures": 9}, 1.0)  # lies where the command is run
    trained = ModelStore(tmp_path / "a").add(bundled_folder()).weights.parent
    write_report(trained, "finetune", {"base": "/models/rose-base"}, {"epochs": 3}, 1.0)
    optimised = ModelStore(tmp_path / "b").add(bundled_folder()).weights.parent
    write_report(optimised, "optimise", {"model": trained}, {"top1_after": 0.9}, 1.0)

    version = register(optimised, evaluation, manifest, out, name="petals", store=home)

    provenance = ModelStore(home).card(version).provenance
    assert provenance["finetune"]["epochs"] == 3
    assert provenance["optimise"]["top1_after"] == 0.9
    assert provenance["base"] == "rose-base"
    assert "prepare" not in provenance


def test_enough_validation_pictures_calibrate_the_model(shared, home, tmp_path, out):
    data = shared / "images" / "imagenette600" / "train"
    prepare(data, tmp_path / "prepared", validation_ratio=0.3, test_ratio=0.05)
    evaluate(data, tmp_path / "prepared", tmp_path / "evaluated", model=bundled_folder())
    version = register(
        bundled_folder(),
        tmp_path / "evaluated",
        tmp_path / "prepared",
        out,
        name="ten",
        data=data,
        store=home,
    )

    card = ModelStore(home).open(version).card
    assert read_report(out, "register")["calibrated"] == "on 120 validation pictures"
    assert card.quality["answers"]["pictures"] == 120
    assert card.calibration != read_card(bundled_folder()).calibration
    with Classifier.from_folder(ModelStore(home).open(version)) as classifier:
        assert classifier.classify(next(data.rglob("*.JPEG"))).top


def test_an_evaluation_of_another_model_is_refused(data, manifest, evaluation, worse, home, out):
    with pytest.raises(PipelineError, match="other weights than 'worse'"):
        register(worse, evaluation, manifest, out, name="petals", store=home)
    assert ModelStore(home).names() == ()


def test_an_evaluation_of_what_was_optimised_counts_and_the_card_says_so(
    manifest, evaluation, worse, home, out, tmp_path
):
    folder = ModelStore(tmp_path).add(worse).weights.parent
    write_report(folder, "optimise", {"model": "/nowhere"}, {"top1_after": 0.1}, 1.0)

    version = register(folder, evaluation, manifest, out, name="petals", store=home)

    quality = ModelStore(home).card(version).quality
    assert quality["measured"] == "before it was optimised"


def test_an_evaluation_on_other_data_is_refused(data, evaluation, home, out, tmp_path):
    prepare(data, tmp_path / "prepared", test_ratio=0.4, seed=1)

    with pytest.raises(PipelineError, match="other data"):
        register(
            bundled_folder(), evaluation, tmp_path / "prepared", out, name="petals", store=home
        )


def test_a_model_without_a_licence_is_refused(manifest, evaluation, home, out, tmp_path):
    folder = ModelStore(tmp_path).add(bundled_folder()).weights.parent
    write_card(folder, read_card(folder).model_copy(update={"licence": ""}))

    with pytest.raises(PipelineError, match="--licence"):
        register(folder, evaluation, manifest, out, name="petals", store=home)


def test_the_report_of_another_step_is_no_evaluation(manifest, home, out):
    with pytest.raises(PipelineError, match="of 'prepare'; that of 'evaluate' is needed"):
        register(bundled_folder(), manifest, manifest, out, name="petals", store=home)


# Promote


def test_a_model_as_good_as_the_live_one_goes_live(data, manifest, home, out):
    ModelStore(home).add(bundled_folder(), "petals.v1")

    state = promote(data, manifest, out, model="petals.v1", latency_budget_ms=SLOW_MS, store=home)

    assert state.current is not None
    assert state.current.name == live(home) == "petals.v1"
    gate = read_report(out, "promote")["gate"]
    assert gate["passed"]
    assert gate["live"] == BUNDLED_MODEL
    rows = {row["figure"]: row for row in gate["rows"]}
    assert rows["top1 beside live"]["live"] == rows["top1 beside live"]["candidate"]
    assert {row["verdict"] for row in gate["rows"]} == {"passed", ""}


def test_a_model_with_its_own_labels_is_compared_and_what_goes_is_told(
    data, manifest, home, out, tmp_path
):
    ModelStore(home).add(write_small_model(tmp_path / "small"), "petals.v1")

    promote(data, manifest, out, model="petals.v1", latency_budget_ms=SLOW_MS, store=home)

    gate = read_report(out, "promote")["gate"]
    rows = {row["figure"]: row for row in gate["rows"]}
    assert rows["top1 beside live"]["passed"]
    assert (rows["classes"]["live"], rows["classes"]["candidate"]) == (1000, 4)
    assert "efficientnet-lite2 knows, 996 are unknown to petals.v1" in gate["notes"][0]


def test_a_worse_model_is_refused_and_the_table_says_why(data, manifest, worse, home, out):
    ModelStore(home).add(bundled_folder(), "petals.v1")
    LiveAlias(home).promote("petals.v1")
    ModelStore(home).add(worse, "petals.v2")

    with pytest.raises(GateFailed, match=r"petals.v2 does not go live.*petals.v1 stays live"):
        promote(data, manifest, out, model="petals.v2", latency_budget_ms=SLOW_MS, store=home)

    assert live(home) == "petals.v1"
    gate = read_report(out, "promote")["gate"]
    failed = {row["figure"] for row in gate["rows"] if row["verdict"] == "failed"}
    assert failed == {"top1", "top1 beside live"}


def test_a_little_worse_is_within_a_tolerance(data, manifest, worse, home, out):
    ModelStore(home).add(worse, "petals.v2")
    limits = {"tolerance": 1.0, "min_top1": 0.0, "latency_budget_ms": SLOW_MS}

    promote(data, manifest, out, model="petals.v2", store=home, **limits)

    assert live(home) == "petals.v2"


def test_a_model_that_is_too_slow_is_refused(data, manifest, home, out):
    ModelStore(home).add(bundled_folder(), "petals.v1")

    with pytest.raises(GateFailed, match="latency p50, ms failed"):
        promote(data, manifest, out, model="petals.v1", latency_budget_ms=0.01, store=home)
    assert live(home) is None


def test_a_live_model_without_these_classes_is_not_compared_with(tmp_path, home, out):
    """The live model knows one of two classes; the candidate's own figures decide."""
    data = write_folders(tmp_path / "data", {"bee": photographs()["bee"]})
    write_folders(data, {"my own thing": bitmaps(5)}, "bmp")
    prepare(data, tmp_path / "prepared", test_ratio=0.4)
    ModelStore(home).add(bundled_folder(), "petals.v1")

    limits = {"min_top1": 0.3, "latency_budget_ms": SLOW_MS}
    promote(data, tmp_path / "prepared", out, model="petals.v1", store=home, **limits)

    gate = read_report(out, "promote")["gate"]
    assert "not compared" in gate["notes"][0]
    assert {row["live"] for row in gate["rows"]} == {None}


@pytest.mark.parametrize("damage", ["weights", "card", "labels"])
def test_a_damaged_model_never_replaces_a_working_one(data, manifest, home, out, damage):
    store = ModelStore(home)
    store.add(bundled_folder(), "petals.v1")
    LiveAlias(home).promote("petals.v1")
    folder = store.add(bundled_folder(), "petals.v2").weights.parent
    if damage == "weights":
        (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:-9])
    elif damage == "card":
        (folder / "card.toml").write_text("schema = 1")
    else:
        (folder / "imagenet-1k").write_text("one\ntwo\n")

    with pytest.raises(ModelError):
        promote(data, manifest, out, model="petals.v2", store=home)
    assert live(home) == "petals.v1"


def test_a_damaged_live_model_does_not_keep_a_sound_one_out(data, manifest, home, out):
    store = ModelStore(home)
    broken = store.add(bundled_folder(), "petals.v1").weights
    LiveAlias(home).promote("petals.v1")
    broken.write_bytes(b"")
    store.add(bundled_folder(), "petals.v2")

    promote(data, manifest, out, model="petals.v2", latency_budget_ms=SLOW_MS, store=home)

    assert live(home) == "petals.v2"
    assert "petals.v1 can't be used" in read_report(out, "promote")["gate"]["notes"][0]


@pytest.mark.parametrize("model", ["petals.v9", "live", "../petals"])
def test_only_a_stored_model_can_go_live(data, manifest, home, out, model):
    with pytest.raises(PipelineError, match="Register it first"):
        promote(data, manifest, out, model=model, store=home)


# The command line


@pytest.fixture
def run(tmp_path: Path):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "whatsit", "pipeline", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "WHATSIT_STORE": str(tmp_path / "home")},
            timeout=120,
        )

    return run


def test_the_verbs_print_tables_and_tell_a_failed_gate_by_its_status(run, data, manifest, worse):
    on = ("--data", str(data), "--manifest", str(manifest))
    measured = run("evaluate", *on, "--out", "e", "--model", str(worse))
    assert measured.returncode == 0, measured.stderr
    assert "top1, rotation" in measured.stdout
    assert "Egyptian cat" in measured.stdout
    registered = run(
        *("register", "--model", str(worse), "--evaluation", "e", "--manifest", str(manifest)),
        *("--out", "r", "--name", "petals"),
    )
    assert registered.returncode == 0, registered.stderr
    assert "petals.v1 is in the store" in registered.stdout

    refused = run("promote", *on, "--out", "p", "--model", "petals.v1")

    assert refused.returncode == 6
    assert "failed" in refused.stdout
    assert "at least 0.5" in refused.stdout
    assert "petals.v1 does not go live" in refused.stderr


def test_refused_data_has_a_status_and_a_sentence(run, tmp_path):
    write_folders(tmp_path / "data", {"rose": bitmaps(3)}, "bmp")

    refused = run("prepare", "--data", "data", "--out", "out")

    assert refused.returncode == 5
    assert "one class only" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("verb", ["finetune", "run"])
def test_what_needs_training_says_which_extra_is_missing(verb, data, manifest, tmp_path):
    options = ["--data", str(data), "--store", str(tmp_path / "home")]
    options += ["--work", "w", "--name", "petals"] if verb == "run" else []
    options += ["--manifest", str(manifest), "--out", "o"] if verb == "finetune" else []
    # As where the extra is not installed, whether it is or not.
    program = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'nncf', 'onnx'): sys.modules[name] = None\n"
        f"sys.argv = ['whatsit', 'pipeline', {verb!r}, *{options!r}]\n"
        "from whatsit.cli import main; main()"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )

    assert done.returncode == 2, done.stderr
    assert not done.stderr.startswith("prepare")
    assert "pip install 'whatsit[training]'" in done.stderr
    assert "Traceback" not in done.stderr
