"""Where a request comes from."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

Address = IPv4Address | IPv6Address


def client_address(request: HttpRequest) -> str:
    """Return the socket's peer or, behind trusted proxies, the last address that none of them has.

    Entries of X-Forwarded-For further left are the client's own claims and are never believed.
    """
    peer = str(request.META.get("REMOTE_ADDR", ""))
    forwarded = request.headers.get("X-Forwarded-For", "").split(",")
    for entry in reversed(forwarded):
        parsed = _parse(entry)
        if not _is_trusted(peer) or parsed is None:
            break
        peer = str(parsed)
    return peer


def _parse(text: str) -> Address | None:
    try:
        return ip_address(text.strip())
    except ValueError:
        return None


def _is_trusted(peer: str) -> bool:
    parsed = _parse(peer)
    return parsed is not None and any(
        parsed in network for network in _networks(tuple(settings.TRUSTED_PROXIES))
    )


@lru_cache
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text, strict=False) for text in texts)
