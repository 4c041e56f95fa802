#!/bin/sh
# Refuse what containers ask of Azure itself: who broke into one could else read the Key Vault and
# the registry as this machine does. Docker asks its chain DOCKER-USER first; running this again
# changes nothing.
set -eu

refuse() {
    iptables --wait --check DOCKER-USER "$@" --jump REJECT 2> /dev/null \
        || iptables --wait --insert DOCKER-USER "$@" --jump REJECT
}

# Link-local addresses, with the metadata service at 169.254.169.254.
refuse --destination 169.254.0.0/16
# The machine's own server of Azure, which is its name server too.
for protocol in tcp udp; do
    refuse --destination 168.63.129.16 --protocol $protocol ! --dport 53
done
