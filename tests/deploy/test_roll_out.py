"""``roll_out.sh``: only ``az`` is replaced; what answers is a real server."""

from collections.abc import Iterator

import pytest

from tests.deploy.scripts import DIGESTS, Machine, run


@pytest.fixture
def machine(tmp_path, server) -> Iterator[Machine]:
    """A machine on which an image runs already."""
    (tmp_path / "current-image").write_text(DIGESTS["old"])
    with Machine(tmp_path, server.url) as machine:
        yield machine


def test_an_image_that_works_stays(machine, tmp_path):
    summary = tmp_path / "summary"
    ran = run("roll_out.sh", DIGESTS["new"], **machine.variables, GITHUB_STEP_SUMMARY=str(summary))

    assert ran.returncode == 0, ran.stderr
    assert machine.image == DIGESTS["new"]
    assert machine.asked == ["vm run-command invoke"]
    assert summary.read_text() == f"- `{DIGESTS['new']}` runs; before it ran `{DIGESTS['old']}`.\n"


@pytest.mark.parametrize("image", ["dead", "blind"])
def test_an_image_that_does_not_work_makes_way_for_the_one_before(machine, image):
    ran = run("roll_out.sh", DIGESTS[image], **machine.variables)

    assert ran.returncode == 1
    assert machine.image == DIGESTS["old"]
    assert f"`{DIGESTS[image]}` does not work." in ran.stderr
    assert f"Rolled back: `{DIGESTS['old']}` runs again." in ran.stderr


def test_a_roll_back_that_does_not_help_is_told(machine):
    (machine.folder / "current-image").write_text(DIGESTS["dead"])
    ran = run("roll_out.sh", DIGESTS["blind"], **machine.variables)

    assert ran.returncode == 1
    assert "did not help" in ran.stderr


def test_the_first_image_has_none_before_it(machine):
    (machine.folder / "current-image").unlink()
    ran = run("roll_out.sh", DIGESTS["dead"], **machine.variables)

    assert ran.returncode == 1
    assert "so nothing is rolled back" in ran.stderr
    assert len(machine.asked) == 1


def test_rolling_out_what_runs_already_does_not_roll_back_to_itself(machine):
    (machine.folder / "current-image").write_text(DIGESTS["dead"])
    ran = run("roll_out.sh", DIGESTS["dead"], **machine.variables)

    assert ran.returncode == 1
    assert len(machine.asked) == 1


def test_by_hand_it_goes_back_to_the_image_before(machine):
    assert run("roll_out.sh", DIGESTS["new"], **machine.variables).returncode == 0
    ran = run("roll_out.sh", "--back", **machine.variables)

    assert ran.returncode == 0, ran.stderr
    assert machine.image == DIGESTS["old"]


def test_by_hand_it_never_goes_back_to_an_image_that_did_not_work(machine):
    assert run("roll_out.sh", DIGESTS["new"], **machine.variables).returncode == 0
    assert run("roll_out.sh", DIGESTS["blind"], **machine.variables).returncode == 1
    assert machine.image == DIGESTS["new"]
    ran = run("roll_out.sh", "--back", **machine.variables)

    assert ran.returncode == 0, ran.stderr
    assert machine.image == DIGESTS["old"]


def test_by_hand_a_roll_back_without_an_image_before_fails(machine):
    ran = run("roll_out.sh", "--back", **machine.variables)

    assert ran.returncode == 1
    assert "did not help" in ran.stderr


def test_an_image_that_the_machine_refused_is_told_and_changes_nothing(machine):
    ran = run("roll_out.sh", DIGESTS["broken"], **machine.variables)

    assert ran.returncode == 1
    assert machine.image == DIGESTS["old"]
    assert len(machine.asked) == 1
    assert f"could not be started; `{DIGESTS['old']}` runs." in ran.stderr


def test_a_roll_out_under_way_is_not_disturbed(machine):
    (machine.folder / "locked").touch()
    ran = run("roll_out.sh", DIGESTS["new"], **machine.variables)

    assert ran.returncode == 1
    assert len(machine.asked) == 1
    assert "Another roll-out is under way" in ran.stderr


def test_a_machine_that_cannot_be_reached_is_left_as_it_was(machine):
    (machine.folder / "unreachable").touch()
    ran = run("roll_out.sh", DIGESTS["new"], **machine.variables)

    assert ran.returncode == 1
    assert "did not say how it went" in ran.stderr
    assert machine.image == DIGESTS["old"]


@pytest.mark.parametrize(
    "image",
    [
        "example.azurecr.io/whatsit:latest",
        "example.azurecr.io/whatsit@sha256:12",
        f"{DIGESTS['new']}'; touch /tmp/owned; '",
        "",
    ],
)
def test_what_has_no_digest_never_reaches_the_machine(machine, image):
    ran = run("roll_out.sh", image, **machine.variables)

    assert ran.returncode == 2
    assert not (machine.folder / "asked").exists()
