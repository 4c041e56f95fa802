"""What containers of the VM can't reach: the script's rules, with real packets between namespaces.

A container, a machine that forwards for it, and Azure are three namespaces of the network.
"""

import os
import shutil
import subprocess
import sys

import pytest

from tests.terraform.conftest import SOURCE

SCRIPT = SOURCE / "modules" / "vm" / "files" / "refuse-metadata.sh"
METADATA, WIRE_SERVER, OTHERS = "169.254.169.254", "168.63.129.16", "192.0.2.9"

ASK = """
import socket, sys
for target in sys.argv[1:]:
    address, port = target.rsplit(":", 1)
    try:
        socket.create_connection((address, int(port)), timeout=3).close()
        print(target, "answers")
    except OSError as error:
        print(target, "refused" if isinstance(error, ConnectionRefusedError) else error)
"""
SERVE = """
import select, socket
listening = [socket.create_server(("", port)) for port in (53, 80)]
print("ready", flush=True)
while True:
    for one in select.select(listening, [], [])[0]:
        one.accept()[0].close()
"""
MACHINE = """
set -eu
started=
trap 'kill $started' EXIT
unshare --net sleep 60 & container=$!; started=$container
unshare --net sleep 60 & azure=$!; started="$started $azure"
until [ "$(readlink /proc/$container/ns/net)" != "$(readlink /proc/self/ns/net)" ] \
    && [ "$(readlink /proc/$azure/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
ip link add inside type veth peer name eth0 netns $container
ip link add outside type veth peer name eth0 netns $azure
ip address add 10.99.1.1/24 dev inside
ip address add 10.99.2.1/24 dev outside
ip link set inside up
ip link set outside up
nsenter --target $container --net sh -c 'ip address add 10.99.1.2/24 dev eth0
    ip link set eth0 up; ip route add default via 10.99.1.1'
nsenter --target $azure --net sh -c 'ip link set lo up; ip address add 10.99.2.2/24 dev eth0
    for one in "$@"; do ip address add $one/32 dev lo; done
    ip link set eth0 up; ip route add default via 10.99.2.1' sh $ADDRESSES
for one in $ADDRESSES; do ip route add $one via 10.99.2.2; done
nsenter --target $azure --net "$PYTHON" -c "$SERVE" > ready.txt & started="$started $!"
until [ -s ready.txt ]; do sleep 0.01; done
# As Docker makes them.
iptables --new-chain DOCKER-USER
iptables --insert FORWARD --jump DOCKER-USER
ask() { nsenter --target $container --net "$PYTHON" -c "$ASK" "$@"; }
echo before; ask 169.254.169.254:80
sh "$SCRIPT"; sh "$SCRIPT"
echo after; ask 169.254.169.254:80 168.63.129.16:80 168.63.129.16:53 192.0.2.9:80
echo machine; "$PYTHON" -c "$ASK" 169.254.169.254:80 168.63.129.16:80
echo rules; iptables --list-rules DOCKER-USER | grep --count REJECT
"""


def test_containers_reach_names_and_the_world_but_not_the_metadata(tmp_path):
    needed = ("iptables", "ip", "unshare", "nsenter")
    if os.geteuid() != 0 or not all(map(shutil.which, needed)):
        pytest.skip("Rules for packets can be made by root only (apt-get install iptables).")
    if subprocess.run(["unshare", "--net", "iptables", "--list"], capture_output=True).returncode:
        pytest.skip("This system lets nobody make rules for packets.")
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", MACHINE],
        cwd=tmp_path,
        env={
            **os.environ,
            "ADDRESSES": f"{METADATA} {WIRE_SERVER} {OTHERS}",
            "PYTHON": sys.executable,
            "SCRIPT": str(SCRIPT),
            "ASK": ASK,
            "SERVE": SERVE,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "before",
        f"{METADATA}:80 answers",
        "after",
        f"{METADATA}:80 refused",
        f"{WIRE_SERVER}:80 refused",
        f"{WIRE_SERVER}:53 answers",
        f"{OTHERS}:80 answers",
        "machine",
        f"{METADATA}:80 answers",
        f"{WIRE_SERVER}:80 answers",
        "rules",
        "3",
    ], "twice is once, and the machine itself still asks"
