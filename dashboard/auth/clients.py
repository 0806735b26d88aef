"""Who counts as one client where tries are counted: an address, and not what a request says."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

# The longest address with a port: eight groups of four in brackets, and five digits.
_LONGEST = 48
# Some proxies send the port too: 192.0.2.1:443, [2001:db8::1]:443.
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?|([\d.]+):\d{1,5}", re.ASCII)
# What a provider gives to one customer at least (RFC 6177), who may change addresses within it.
_PREFIX = 64


def address_of(text: str) -> str:
    """An IP address in its shortest form, without port and zone; empty for what is none."""
    text = text.strip()
    if len(text) > _LONGEST:
        return ""
    if port := _WITH_PORT.fullmatch(text):
        text = port[1] or port[2]
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, IPv4Address):
        return str(address)
    # Made anew of its number: a zone is free text, of which there are as many as one likes.
    return str(address.ipv4_mapped or IPv6Address(int(address)))


def network_of(client: str) -> str:
    """What counts as one client: an IPv4 address, the network of an IPv6 one, any other word."""
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if isinstance(address, IPv4Address):
        return client
    return str(IPv6Network((int(address), _PREFIX), strict=False))
