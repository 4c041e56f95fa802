"""Remove what is installed with our dependencies and never used when serving.

Run it as ``python slim.py VENV``; it says what each removal freed. The image's tests run what is
left, in a browser too, so a removal that is one too many is found there.
"""

import shutil
import sys
from pathlib import Path

# Streamlit draws tables and charts with these, and loads none before a page has one; our pages
# have none. Packages that only these need are removed with them.
TABLES_AND_CHARTS = (
    "altair",
    "attr",
    "attrs",
    "dateutil",
    "jsonschema",
    "jsonschema_specifications",
    "narwhals",
    "pandas",
    "pyarrow",
    "pydeck",
    "referencing",
    "rpds",
    "tzdata",
)
DISTRIBUTIONS = (*TABLES_AND_CHARTS, "openvino_telemetry", "python_dateutil", "rpds_py")

UNUSED = (
    *TABLES_AND_CHARTS,
    *(f"{name}-*.dist-info" for name in DISTRIBUTIONS),
    # It would report every start to Google Analytics; whatsit never lets OpenVINO load it.
    "openvino_telemetry",
    # Runtimes for graphics cards and neural processors, and readers of formats that are not ONNX.
    "openvino/libs/*intel_gpu*",
    "openvino/libs/*intel_npu*",
    "openvino/libs/*tensorflow*",
    "openvino/libs/*pytorch*",
    "openvino/libs/*jax*",
    "openvino/libs/*paddle*",
    "openvino/libs/*gguf*",
    "openvino/libs/cache.json",
    "openvino/frontend/pytorch/*.so",
    "openvino/frontend/tensorflow/*.so",
    "openvino/frontend/jax/*.so",
    "openvino/frontend/paddle/*.so",
    # Tests, headers and examples of others.
    "openvino/include",
    "numpy/**/tests",
    "numpy/_core/include",
    "numpy/_core/lib",
    "streamlit/hello",
    "**/*.pyi",
    "**/__pycache__",
)


def main() -> None:
    """Remove it all."""
    (packages,) = Path(sys.argv[1]).glob("lib/python*/site-packages")
    for pattern in UNUSED:
        freed = 0
        for found in sorted(packages.glob(pattern)):
            freed += size_of(found)
            if found.is_dir():
                shutil.rmtree(found)
            else:
                found.unlink()
        print(f"{freed / 1e6:8.1f} MB  {pattern}")


def size_of(path: Path) -> int:
    """Bytes of a file, or of all below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


if __name__ == "__main__":
    main()
