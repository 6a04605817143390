import socket
from ipaddress import ip_address
from typing import Any

import pytest

from executions.runners.builtin.ssrf import Blocked, danger, parse_allowed, resolve
from tests.executions.runners.conftest import Http

SPELLINGS = [
    "http://127.0.0.1:{port}/echo",
    "http://127.1:{port}/echo",
    "http://0x7f000001:{port}/echo",
    "http://0x7f.1:{port}/echo",
    "http://2130706433:{port}/echo",
    "http://017700000001:{port}/echo",
    "http://0177.0.0.1:{port}/echo",
    "http://0:{port}/echo",
    "http://0.0.0.0:{port}/echo",
    "http://localhost:{port}/echo",
    "http://LOCALHOST.:{port}/echo",
    "http://[::1]:{port}/echo",
    "http://[::]:{port}/echo",
    "http://[::ffff:127.0.0.1]:{port}/echo",
    "http://[::ffff:7f00:1]:{port}/echo",
    "http://[::127.0.0.1]:{port}/echo",
    "http://[64:ff9b::7f00:1]:{port}/echo",
    "http://[2002:7f00:1::]:{port}/echo",
    "http://\u2460\u2461\u2466.0.0.1:{port}/echo",
    "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11:{port}/echo",
    "http://127。0。0。1:{port}/echo",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_of_loopback_gets_through(http: Http, port: int, spelling: str) -> None:
    outcome = http(spelling.format(port=port), allow=())

    assert outcome.status == "failed"
    assert outcome.result["error"].startswith(("Blocked: ", "No answer: gaierror", "Parameter url: "))


def test_the_same_request_gets_through_when_it_is_allowed(http: Http, port: int) -> None:
    assert http(f"http://127.0.0.1:{port}/echo", allow=("127.0.0.1",)).status == "completed"
    assert http(f"http://2130706433:{port}/echo", allow=("127.0.0.0/8",)).status == "completed"


def test_the_refusal_names_address_reason_and_remedy(http: Http) -> None:
    error = http("http://localhost:1/", allow=()).result["error"]

    assert error.startswith("Blocked: localhost (")
    assert error.endswith(") is a loopback address; ATTUNE_HTTP_ALLOW can allow it")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("0.1.2.3", "unspecified"),
        ("10.0.0.1", "private"),
        ("100.64.0.1", "carrier-grade NAT"),
        ("127.9.9.9", "loopback"),
        ("169.254.169.254", "link-local"),
        ("172.31.255.255", "private"),
        ("192.0.0.8", "reserved"),
        ("192.0.2.1", "reserved"),
        ("192.168.1.1", "private"),
        ("198.18.0.1", "reserved"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.250", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("168.63.129.16", "cloud metadata"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::ffff:8.8.8.8", "IPv4-mapped"),
        ("::8.8.8.8", "IPv4-compatible"),
        ("64:ff9b::808:808", "NAT64"),
        ("64:ff9b:1::1", "NAT64"),
        ("2001::1", "Teredo"),
        ("2001:db8::1", "reserved"),
        ("2002:808:808::1", "6to4"),
        ("fc00::1", "private"),
        ("fd00:ec2::254", "private"),
        ("fe80::1", "link-local"),
        ("fec0::1", "private"),
        ("ff02::1", "multicast"),
        ("8.8.8.8", None),
        ("1.1.1.1", None),
        ("172.32.0.1", None),
        ("2606:4700:4700::1111", None),
    ],
)
def test_every_special_address_is_known(address: str, reason: str | None) -> None:
    assert danger(ip_address(address)) == reason


def test_one_bad_address_of_many_refuses_the_name(names: dict[str, list[str]]) -> None:
    names["mixed.test"] = ["8.8.8.8", "10.0.0.1"]

    with pytest.raises(Blocked, match=r"mixed\.test \(10\.0\.0\.1\) is a private address"):
        resolve("mixed.test", 80, parse_allowed(()))


def test_public_addresses_are_returned_in_order(names: dict[str, list[str]]) -> None:
    names["good.test"] = ["8.8.8.8", "1.1.1.1", "8.8.8.8"]

    assert resolve("good.test", 80, parse_allowed(())) == ["8.8.8.8", "1.1.1.1"]


@pytest.mark.parametrize(
    "to", ["http://127.0.0.1:{port}/echo", "//127.0.0.1:{port}/echo", "http://[::1]:{port}/"]
)
def test_a_redirect_is_judged_anew(http: Http, port: int, names: dict[str, list[str]], to: str) -> None:
    names["front.test"] = ["127.0.0.1"]
    url = f"http://front.test:{port}/redirect?to={to.format(port=port)}"

    outcome = http(url, allow=(f"front.test:{port}",))

    assert outcome.status == "failed"
    assert "is a loopback address" in outcome.result["error"]


@pytest.mark.parametrize("to", ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/"])
def test_a_redirect_to_another_scheme_is_refused(http: Http, to: str) -> None:
    assert http(f"/redirect?to={to}").result["error"].startswith("Blocked: only http and https")


@pytest.mark.parametrize("to", ["http://u:p@127.0.0.1/", "http://u@127.0.0.1/"])
def test_userinfo_is_refused(http: Http, to: str) -> None:
    assert http(to).result["error"].startswith("Blocked: user and password in a URL are refused")
    assert http(f"/redirect?to={to}").result["error"].startswith("Blocked: user and password")


def test_a_name_is_looked_up_once_for_each_hop(
    http: Http,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that answers differently the second time (DNS rebinding) is never asked again."""
    asked: list[Any] = []
    real = socket.getaddrinfo

    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        return real("127.0.0.1" if host == "rebind.test" else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    outcome = http(f"http://rebind.test:{port}/echo", allow=("rebind.test",))

    assert outcome.status == "completed"
    assert asked.count("rebind.test") == 1


@pytest.mark.parametrize(
    ("entry", "host", "address", "port", "permitted"),
    [
        ("intranet", "intranet", "10.0.0.1", 80, True),
        ("Intranet.", "INTRANET", "10.0.0.1", 80, True),
        ("intranet", "other", "10.0.0.1", 80, False),
        ("intranet:8080", "intranet", "10.0.0.1", 8080, True),
        ("intranet:8080", "intranet", "10.0.0.1", 80, False),
        ("10.1.0.0/16", "any", "10.1.2.3", 1, True),
        ("10.1.0.0/16", "any", "10.2.2.3", 1, False),
        ("127.0.0.1", "localhost", "127.0.0.1", 1, True),
        ("127.0.0.1:80", "127.1", "127.0.0.1", 80, True),
        ("127.0.0.1:80", "127.1", "127.0.0.1", 81, False),
        ("[::1]:80", "localhost", "::1", 80, True),
        ("::1", "localhost", "::1", 9, True),
        ("fd00::/8", "x", "10.0.0.1", 9, False),
    ],
)
def test_exceptions(entry: str, host: str, address: str, port: int, permitted: bool) -> None:
    assert parse_allowed((entry,)).permits(host, ip_address(address), port) is permitted


@pytest.mark.parametrize("entry", ["http://intranet", "intranet/path", "a:b", "u@h", "h:99999", ":80", "h?x"])
def test_a_malformed_exception_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match="ATTUNE_HTTP_ALLOW: "):
        parse_allowed((entry,))
