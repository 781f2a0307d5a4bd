"""Bridges and addresses of fenced networks, so that no two share them."""

from collections.abc import Collection
from hashlib import sha256
from ipaddress import IPv4Network
from typing import Final

#: Addresses of one network: 13 containers beside the bridge, more than one rollout ever has at once.
PREFIX_LENGTH: Final = 28


class NoAddresses(Exception):
    """Every subnet of the pool is in use."""


def bridge_prefix(node: str, engine_root: str) -> str:
    """What the names of this node's bridges begin with, and those of no other interface.

    Engines of one machine share its interfaces, and nodes on them may have the same name; the folder where an engine
    keeps its data is its own, and stays the same.
    """
    return f"fn{_digest(f'{node} {engine_root}')[:4]}-"


def bridge_name(prefix: str, seed: str) -> str:
    """The interface of one network on the node: at most 15 characters (Linux, IFNAMSIZ)."""
    return prefix + _digest(seed)[:8]


def free_subnet(pool: IPv4Network, taken: Collection[IPv4Network], seed: str) -> IPv4Network:
    """A subnet of the pool that overlaps with none that is taken. Raises NoAddresses.

    Searched from a place that depends on the seed, so that a network tends to keep its addresses and two engines of one
    machine rarely ask for the same.
    """
    size = 2 ** (32 - PREFIX_LENGTH)
    first, count = int(pool.network_address), pool.num_addresses // size
    blocked = {number for network in taken for number in _numbers(network, first, count, size)}
    offset = int(_digest(seed), 16) % count
    for step in range(count):
        number = (offset + step) % count
        if number not in blocked:
            return IPv4Network((first + number * size, PREFIX_LENGTH))
    raise NoAddresses(f"all {count} networks of {pool} are in use by containers or by routes of this machine")


def _numbers(network: IPv4Network, first: int, count: int, size: int) -> range:
    """Which of the pool's subnets the network overlaps with."""
    low = (int(network.network_address) - first) // size
    high = (int(network.broadcast_address) - first) // size
    return range(max(low, 0), min(high, count - 1) + 1)


def routes(table: str) -> tuple[IPv4Network, ...]:
    """The networks in the text of /proc/net/route (hexadecimal, little-endian), without the default route."""
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8:
            continue
        address, mask = (int.from_bytes(bytes.fromhex(fields[index]), "little") for index in (1, 7))
        if mask:
            found.append(IPv4Network((address & mask, mask.bit_count())))
    return tuple(found)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
