"""The reports of libraries to their makers, switched off before the libraries are loaded."""

import os
import sys


def silence_dependencies() -> None:
    """Keep OpenVINO, NNCF and ONNX Runtime from reporting that they are used.

    It holds where they are loaded from now on, for the rest of the process and for the processes
    that it starts:

    - OpenVINO and NNCF do without the package `openvino_telemetry` where there is none, and find
      none. With it an import looks up a host of Google Analytics, sends it an id that lasts, and
      leaves ``~/intel/openvino_ga_cid`` behind.
    - ONNX Runtime is told by its own variable ``ORT_DISABLE_TELEMETRY``, which keeps a value that
      it has. Without it a session leaves an id that lasts and a database of what was done below
      ``~/.cache/Microsoft``, and sends both to Microsoft.
    """
    # An entry of None makes an import fail as if the package were not installed.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
