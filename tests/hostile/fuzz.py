"""Try to break the decoders and the form parser for some minutes: ``make fuzz ARGS=10``.

What is found is kept in ``.hypothesis`` and tried first from then on, by the tests as well.
"""

import logging
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile import properties
from tests.support.running import start_server

EXAMPLES_A_ROUND = 2_000


def main(minutes: float) -> None:
    """Run all properties in rounds until the time is up; stops with the first one that fails."""
    warnings.simplefilter("ignore")
    logging.disable()
    many = settings(
        max_examples=EXAMPLES_A_ROUND, deadline=None, suppress_health_check=list(HealthCheck)
    )
    sides = st.sampled_from([None, 8, 100])
    with (
        tempfile.TemporaryDirectory() as home,
        start_server(Path(home), "--no-ui", model="efficientnet-lite2") as server,
        server.client() as client,
    ):
        forms = partial(properties.require_answer_or_refusal, client)
        rounds = {
            "any bytes": (properties.require_picture_or_refusal, properties.any_bytes, sides),
            "mutated pictures": (
                properties.require_picture_or_refusal,
                properties.mutated_pictures(),
                sides,
            ),
            "built pictures": (
                properties.require_picture_or_refusal,
                properties.built_pictures,
                sides,
            ),
            "previews": (
                properties.require_preview_or_refusal,
                properties.pictures,
                st.integers(1, 900),
            ),
            "forms": (
                forms,
                properties.form_types,
                properties.form_bodies,
                st.integers(1, 40),
            ),
        }
        deadline = time.monotonic() + 60 * minutes
        while time.monotonic() < deadline:
            for name, (require, *strategies) in rounds.items():
                started = time.monotonic()
                _hold(require, strategies, many)
                spent = time.monotonic() - started
                sys.stdout.write(f"{EXAMPLES_A_ROUND:,} of {name} in {spent:.0f} s\n")
                sys.stdout.flush()
                if time.monotonic() > deadline:
                    break


def _hold(require, strategies, many) -> None:
    @many
    @given(st.tuples(*strategies))
    def holds(arguments):
        require(*arguments)

    holds()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0)
