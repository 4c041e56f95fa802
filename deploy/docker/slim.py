"""Remove what is installed with our dependencies and never used when serving.

Run it as ``python slim.py VENV``; it says what each removal freed. The image's tests run what is
left, so a removal that is one too many is found there.
"""

import shutil
import sys
from pathlib import Path

UNUSED = (
    # Runtimes for graphics cards and neural processors, and readers of formats that are not ONNX.
    "openvino/libs/*intel_gpu*",
    "openvino/libs/*intel_npu*",
    "openvino/libs/*tensorflow*",
    "openvino/libs/*pytorch*",
    "openvino/libs/*jax*",
    "openvino/libs/*paddle*",
    "openvino/libs/cache.json",
    # Tests, headers and examples of others.
    "pyarrow/tests",
    "pyarrow/include",
    # Reading from object stores and other servers, and files of columns: none of it is a table
    # that the page shows.
    "pyarrow/*flight*",
    "pyarrow/*arrow_s3*",
    "pyarrow/*substrait*",
    "pyarrow/*parquet*",
    "pyarrow/*dataset*",
    "pyarrow/_*fs.*so",
    "pyarrow/*_tests.*so",
    "pyarrow/src",
    "pandas/tests",
    "numpy/**/tests",
    "pydeck/nbextension",
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
