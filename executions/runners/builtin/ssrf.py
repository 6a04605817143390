"""Keep requests from reaching what only this host can reach.

What is judged is the *resolved* address (names and spellings such as 127.1, 0x7f000001 or 2130706433
prove nothing), every one of them, and the caller connects to the very address that was judged: a
second look-up could answer differently.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# `is_global` knows most special ranges, but not those that carry an IPv4 address inside an IPv6 one,
# nor what routers and clouds keep for themselves. Order: the first that fits gives the reason.
_DENIED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "unspecified"),
        ("::/128", "unspecified"),
        ("127.0.0.0/8", "loopback"),
        ("::1/128", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("fe80::/10", "link-local"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("10.0.0.0/8", "private"),
        ("172.16.0.0/12", "private"),
        ("192.168.0.0/16", "private"),
        ("fc00::/7", "private"),
        ("fec0::/10", "private"),
        ("224.0.0.0/4", "multicast"),
        ("ff00::/8", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("192.0.0.0/24", "reserved"),
        ("192.88.99.0/24", "6to4 relay"),
        ("168.63.129.16/32", "cloud metadata"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("::/96", "IPv4-compatible"),
        ("2002::/16", "6to4"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "reserved"),
        ("3fff::/20", "reserved"),
        ("5f00::/16", "reserved"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
    )
)


class Blocked(Exception):
    """An address, or a URL, that must not be requested; the message is for the operator."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One exception from the guard: a network or a host name, at one port or at all."""

    network: Network | None
    host: str
    port: int | None

    def permits(self, host: str, address: Address, port: int) -> bool:
        if self.port not in (None, port):
            return False
        if self.network is None:
            return self.host == host
        return address in self.network


class Allowed:
    """What `ATTUNE_HTTP_ALLOW` names."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = tuple(entries)

    def permits(self, host: str, address: Address, port: int) -> bool:
        name = _canonical(host)
        return any(entry.permits(name, address, port) for entry in self._entries)


@lru_cache(maxsize=32)
def parse_allowed(entries: tuple[str, ...]) -> Allowed:
    """Read entries such as `intranet`, `10.1.0.0/16`, `localhost:8000`, `[::1]:80`.

    Raises ValueError naming the entry that is none of these.
    """
    return Allowed(_entry(text.strip()) for text in entries if text.strip())


def resolve(host: str, port: int, allowed: Allowed) -> list[str]:
    """Return the addresses of a host, all of them harmless or allowed.

    Blocks: run it in a thread of its own. Raises Blocked, or OSError if there are none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError(f"{host} is no name that could be looked up") from None
    texts = list(dict.fromkeys(str(sockaddr[0]) for *_ignored, sockaddr in found))
    if not texts:
        raise OSError(f"{host} has no address")
    for text in texts:
        _judge(host, port, text, allowed)
    return texts


def danger(address: Address) -> str | None:
    """Return why an address is not a public one, or None."""
    for network, reason in _DENIED:
        if address.version == network.version and address in network:
            return reason
    return None if address.is_global else "reserved"


def _judge(host: str, port: int, text: str, allowed: Allowed) -> None:
    address = ip_address(text.partition("%")[0])
    reason = danger(address)
    if reason is not None and not allowed.permits(host, address, port):
        shown = host if host == text else f"{host} ({text})"
        raise Blocked(f"{shown} is a {reason} address; ATTUNE_HTTP_ALLOW can allow it")


def _entry(text: str) -> Entry:
    network = _network(text)
    if network is not None:
        return Entry(network, "", None)
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _malformed(text) from None
    if not host or parts.path or parts.query or parts.fragment or "@" in text:
        raise _malformed(text)
    return Entry(_network(host), _canonical(host), port)


def _malformed(text: str) -> ValueError:
    return ValueError(f"ATTUNE_HTTP_ALLOW: {text!r} is no host, address, network or host:port")


def _network(text: str) -> Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _canonical(host: str) -> str:
    return host.lower().removesuffix(".")
