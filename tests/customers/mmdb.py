"""Networks and what is known of them in; a MaxMind DB file out, as small as the format allows.

Source: https://maxmind.github.io/MaxMind-DB/ (version 2.0; records of 32 bits, IPv4 below ::/96).
"""

import struct
from collections.abc import Mapping
from ipaddress import IPv4Network, ip_network
from typing import Any

SHORT, LONG, LONGER = 5, 6, 9  # whole numbers of 16, 32 and 64 bits
MARKER = b"\xab\xcd\xefMaxMind.com"
EMPTY = -1


def encoded(value: Any) -> bytes:
    """One value of the data section: text, list, map, or a whole number as (type, number)."""
    if isinstance(value, str):
        raw = value.encode()
        return _control(2, len(raw)) + raw
    if isinstance(value, tuple):
        raw = value[1].to_bytes((value[1].bit_length() + 7) // 8, "big")
        return _control(value[0], len(raw)) + raw
    if isinstance(value, list):
        return _control(11, len(value)) + b"".join(map(encoded, value))
    return _control(7, len(value)) + b"".join(encoded(key) + encoded(held) for key, held in value.items())


def _control(kind: int, size: int) -> bytes:
    small = size if size < 29 else 29
    head = bytes([kind << 5 | small]) if kind <= 7 else bytes([small, kind - 7])
    return head + (bytes([size - 29]) if size >= 29 else b"")


def database(networks: Mapping[str, Any], kind: str = "Test-City", version: int = 6) -> bytes:
    """A whole file; `version` 4 makes one that knows no IPv6."""
    tree: list[list[Any]] = [[EMPTY, EMPTY]]
    data, places = b"", []
    for text, value in networks.items():
        network = ip_network(text)
        bits, length = int(network.network_address), network.prefixlen
        width = network.max_prefixlen
        if isinstance(network, IPv4Network) and version == 6:
            length, width = length + 96, 128
        places.append(len(data))
        data += encoded(value)
        node = 0
        for depth in range(length):
            side = bits >> (width - 1 - depth) & 1
            if depth == length - 1:
                tree[node][side] = ("data", places[-1])
            else:
                if tree[node][side] == EMPTY:
                    tree.append([EMPTY, EMPTY])
                    tree[node][side] = len(tree) - 1
                node = tree[node][side]
    count = len(tree)

    def record(held: Any) -> int:
        return count if held == EMPTY else count + 16 + held[1] if isinstance(held, tuple) else held

    nodes = b"".join(struct.pack("!II", *map(record, node)) for node in tree)
    about: dict[str, Any] = {"node_count": (LONG, count), "record_size": (SHORT, 32), "ip_version": (SHORT, version)}
    about |= {"binary_format_major_version": (SHORT, 2), "binary_format_minor_version": (SHORT, 0)}
    about |= {"build_epoch": (LONGER, 1_500_000_000), "database_type": kind, "languages": ["en"]}
    return nodes + bytes(16) + data + MARKER + encoded({**about, "description": {"en": kind}})


def city(country: str, region: str = "", name: str = "") -> dict[str, Any]:
    """A record as GeoIP2 City files have it."""
    made: dict[str, Any] = {"country": {"iso_code": country, "names": {"en": country}}}
    if region:
        made["subdivisions"] = [{"iso_code": region[:2].upper(), "names": {"en": region}}]
    if name:
        made["city"] = {"names": {"en": name, "de": f"{name} (de)"}}
    return made
