"""ONNX files are read as far as it takes to know that one file is all there is."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.support.tiny_models import WEIGHTS, as_onnx, write_tiny_model
from tests.unit.test_models import make_folder
from whatsit.engines.onnx_file import OnnxFacts, describe_onnx
from whatsit.engines.onnx_merge import merge_onnx
from whatsit.errors import WeightsRejected
from whatsit.models.catalogue import bundled_folder
from whatsit.models.folder import open_folder
from whatsit.models.store import ModelStore


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A model whose weights lie beside it."""
    return write_tiny_model(tmp_path / "tiny.onnx", data_file="tiny.onnx.data")


def test_a_file_says_who_wrote_it_and_where_its_weights_lie(tmp_path, split):
    assert describe_onnx(split) == OnnxFacts(("tiny.onnx.data",), 17, "tiny 1.0")
    whole = write_tiny_model(tmp_path / "whole.onnx")
    assert describe_onnx(whole) == OnnxFacts((), 17, "tiny 1.0")


def test_two_files_become_one_with_the_same_weights(tmp_path, split):
    merge_onnx(split, tmp_path / "merged.onnx")

    split.with_name("tiny.onnx.data").unlink()
    merged = onnx.load(str(tmp_path / "merged.onnx"))
    onnx.checker.check_model(merged)
    weights = {entry.name: numpy_helper.to_array(entry) for entry in merged.graph.initializer}
    np.testing.assert_array_equal(weights["weights"], WEIGHTS)
    assert describe_onnx(tmp_path / "merged.onnx").data_files == ()


def test_weights_deep_in_a_graph_are_found_and_brought_along(tmp_path):
    """In a constant of a branch of an operator, and in a function of the model."""
    tensor = numpy_helper.from_array(WEIGHTS, "deep")
    onnx.external_data_helper.set_external_data(tensor, "deep.data", 4, WEIGHTS.nbytes)
    (tmp_path / "deep.data").write_bytes(b"skip" + WEIGHTS.tobytes() + b"rest")
    tensor.ClearField("raw_data")
    constant = onnx.helper.make_node("Constant", [], ["c"], value=tensor)
    branch = onnx.helper.make_graph([constant], "branch", [], [])
    node = onnx.helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    graph = onnx.helper.make_graph([node], "g", [], [])
    opsets = [onnx.helper.make_opsetid("", 17)]
    function = onnx.helper.make_function("own", "f", [], ["c"], [constant], opsets)
    model = onnx.helper.make_model(graph, functions=[function], opset_imports=opsets)
    (tmp_path / "deep.onnx").write_bytes(model.SerializeToString())
    assert describe_onnx(tmp_path / "deep.onnx").data_files == ("deep.data",)

    merge_onnx(tmp_path / "deep.onnx", tmp_path / "merged.onnx")

    merged = onnx.load(str(tmp_path / "merged.onnx"), load_external_data=False)
    found = [merged.functions[0].node[0].attribute[0].t]
    found += [entry.g.node[0].attribute[0].t for entry in merged.graph.node[0].attribute]
    assert len(found) == 3
    for each in found:
        np.testing.assert_array_equal(numpy_helper.to_array(each), WEIGHTS)
    assert describe_onnx(tmp_path / "merged.onnx").data_files == ()


def test_what_lies_in_one_file_stays_as_it_is(tmp_path):
    weights = bundled_folder() / "model.onnx"

    merge_onnx(weights, tmp_path / "merged.onnx")

    assert (tmp_path / "merged.onnx").read_bytes() == weights.read_bytes()


@pytest.mark.parametrize(
    ("location", "complaint"),
    [
        ("../secret", "not a file beside it"),
        ("/etc/passwd", "not a file beside it"),
        ("sub/weights", "not a file beside it"),
        ("..", "not a file beside it"),
        ("", "not a file beside it"),
        ("gone.data", "this file is missing"),
        ("link.data", "symbolic link"),
        ("pipe.data", "not a regular file"),
        ("short.data", "shorter than"),
    ],
)
def test_weights_are_taken_from_files_beside_and_nowhere_else(tmp_path, location, complaint):
    (tmp_path / "secret").write_bytes(bytes(1000))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link.data").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe.data")
    (folder / "short.data").write_bytes(b"short")
    model = onnx.load(str(write_tiny_model(folder / "tiny.onnx")))
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], location, 0, 48)
    model.graph.initializer[0].ClearField("raw_data")
    (folder / "tiny.onnx").write_bytes(model.SerializeToString())

    with pytest.raises(WeightsRejected, match=complaint) as caught:
        merge_onnx(folder / "tiny.onnx", tmp_path / "merged.onnx")

    assert str(tmp_path) not in caught.value.detail


@pytest.mark.parametrize("place", [("offset", "-4"), ("length", "-1"), ("offset", "1e3")])
def test_where_weights_lie_is_said_in_sensible_numbers(tmp_path, split, place):
    model = onnx.load(str(split), load_external_data=False)
    key, value = place
    for entry in model.graph.initializer[0].external_data:
        if entry.key == key:
            entry.value = value
    split.write_bytes(model.SerializeToString())

    with pytest.raises(WeightsRejected, match=r"shorter than|not given as numbers"):
        merge_onnx(split, tmp_path / "merged.onnx")


@pytest.mark.parametrize(
    "content",
    [
        b"not a model",
        b"<?xml version='1.0'?><net/>",
        as_onnx(b"cut off")[:-1],
        b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x08" + b"\xff" * 20,
        b"\x3a\x02" * 40,
    ],
    ids=["text", "xml", "cut", "long length", "long number", "lengths"],
)
def test_what_is_no_onnx_is_refused_by_its_name(tmp_path, content):
    (tmp_path / "odd.onnx").write_bytes(content)

    with pytest.raises(WeightsRejected, match=r"odd\.onnx is not an ONNX file"):
        describe_onnx(tmp_path / "odd.onnx")


def test_a_file_that_is_nested_without_end_is_refused(tmp_path):
    content = b""
    for number in [6, 5, 1] * 200:  # an attribute's graph, a node's attribute, a graph's node
        content = bytes([number << 3 | 2]) + as_onnx(content)[1:]
    (tmp_path / "deep.onnx").write_bytes(b"\x3a" + as_onnx(content)[1:])

    with pytest.raises(WeightsRejected, match="not an ONNX file"):
        describe_onnx(tmp_path / "deep.onnx")


def test_a_model_folder_is_stored_with_all_of_its_weights_in_one_file(tmp_path):
    folder = make_folder(tmp_path / "birds")
    write_tiny_model(folder / "model.onnx", data_file="model.onnx.data")
    content = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").unlink()
    (folder / "labels.txt").unlink()
    (folder / "card.toml").unlink()
    folder.rename(tmp_path / "data")
    folder = make_folder(tmp_path / "birds", content)
    with pytest.raises(WeightsRejected, match=r"'model\.onnx\.data'.*digest.*models add"):
        open_folder(folder)
    with pytest.raises(WeightsRejected, match="this file is missing"):
        ModelStore(tmp_path / "home").add(folder)

    (tmp_path / "data" / "model.onnx.data").rename(folder / "model.onnx.data")
    stored = ModelStore(tmp_path / "home").add(folder)

    (folder / "model.onnx.data").unlink()
    assert describe_onnx(stored.weights).data_files == ()
    assert {file.name for file in stored.weights.parent.iterdir()} == {
        *("card.toml", "labels.txt", "model.onnx")
    }
