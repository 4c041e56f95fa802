"""Check that this container's server answers pictures."""

import os
import sys
import urllib.request

port = os.environ.get("WHATSIT_PORT", "8501")
try:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=4) as response:
        sys.exit(response.status != 200)
except OSError as error:
    sys.exit(f"The server does not answer: {error}")
