"""Print the status that /metrics of this container answers with to the key on standard input."""

import os
import socket
import sys
import urllib.error
import urllib.request

port = os.environ.get("WHATSIT_PORT", "8501")
headers = {"Authorization": f"Bearer {sys.stdin.read().strip()}"}
# By its own address, which it answers to whatever names it has.
address = socket.gethostbyname(socket.gethostname())
request = urllib.request.Request(f"http://{address}:{port}/metrics", headers=headers)
try:
    with urllib.request.urlopen(request, timeout=4) as response:
        print(response.status)
except urllib.error.HTTPError as error:
    print(error.code)
