"""What libraries would report to their makers, switched off before they are loaded."""

import sys

_REPORTER = "openvino_telemetry"


def silence_dependencies() -> None:
    """Keep OpenVINO and NNCF, where they are loaded from now on, from reporting that they are used.

    Both do without the package `openvino_telemetry` where there is none, and find none then. With
    it, an import looks up a host of Google Analytics, sends it an id that lasts, and leaves
    ``~/intel/openvino_ga_cid`` behind. Nothing changes where it has been imported before.
    """
    # An entry of None makes an import fail as if the package were not installed.
    sys.modules.setdefault(_REPORTER, None)  # type: ignore[arg-type]
