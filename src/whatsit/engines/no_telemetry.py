"""The reports of libraries to their makers, switched off before the libraries are loaded."""

import os
import sys


def silence_dependencies() -> None:
    """Keep OpenVINO, NNCF and ONNX Runtime from reporting that they are used.

    Takes effect where they are loaded after this call, in this process and in those that it starts:

    - OpenVINO and NNCF work without the package `openvino_telemetry`, and no longer find it. With
      it an import looks up a host of Google Analytics, sends it an id that lasts, and leaves
      ``~/intel/openvino_ga_cid`` behind.
    - ONNX Runtime obeys its own variable ``ORT_DISABLE_TELEMETRY``; a value that is set already
      stays. Without it a session leaves an id that lasts and a database of what was done below
      ``~/.cache/Microsoft``, and sends both to Microsoft.
    """
    # An entry of None makes an import fail as if the package were not installed.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
