import dataclasses
import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from executions.runners import Control, RunnerSettings, run
from executions.runners.builtin import exchange
from tests.executions.runners.conftest import JOB, Http
from tests.executions.runners.http_server import loopback, serving


def test_an_answer_becomes_data(http: Http, port: int) -> None:
    outcome = http("/echo?a=1")

    data = outcome.result["data"]
    assert outcome.status == "completed"
    assert "stdout" not in outcome.result
    assert data["status_code"] == 200
    assert data["success"] is True
    assert data["json"]["path"] == "/echo?a=1"
    assert data["headers"]["x-twice"] == "one"
    assert data["url"] == f"http://127.0.0.1:{port}/echo?a=1"
    assert data.keys() == {"status_code", "headers", "body", "json", "url", "success", "elapsed_ms"}


@pytest.mark.parametrize("code", [400, 404, 500, 503])
def test_an_error_status_is_an_answer(http: Http, code: int) -> None:
    outcome = http(f"/status?code={code}")

    assert outcome.status == "completed"
    assert outcome.result["data"]["success"] is False
    assert outcome.result["data"]["error"].startswith(f"HTTP {code} ")
    assert outcome.result["data"]["body"] == "oh"


def test_no_connection_fails(http: Http) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    outcome = http(f"http://127.0.0.1:{port}/")

    assert outcome.status == "failed"
    assert outcome.result["error"].startswith("No answer: ConnectError")


def test_an_unknown_name_fails(http: Http) -> None:
    assert http("http://nowhere.invalid/").result["error"].startswith("No answer: gaierror")


@pytest.mark.parametrize(
    ("parameters", "seen"),
    [
        ({"method": "post", "body": "hällo"}, {"method": "POST", "body": "hällo"}),
        ({"method": "PUT", "json_body": {"a": [1]}}, {"method": "PUT", "body": '{"a": [1]}'}),
        ({"query_params": {"q": "a b&c", "n": [1, True]}}, {"path": "/echo?q=a+b%26c&n=1&n=true"}),
    ],
)
def test_a_request_says_what_it_was_given(
    http: Http, parameters: dict[str, Any], seen: dict[str, str]
) -> None:
    echoed = http("/echo", **parameters).result["data"]["json"]

    assert {name: echoed[name] for name in seen} == seen


@pytest.mark.parametrize(
    ("parameters", "name", "value"),
    [
        ({"headers": {"X-Mine": "1"}}, "x-mine", "1"),
        ({"headers": {"User-Agent": "mine"}}, "user-agent", "mine"),
        ({"json_body": 1, "method": "POST"}, "content-type", "application/json"),
        ({"auth_type": "bearer", "auth_token": "t"}, "authorization", "Bearer t"),
        ({"auth_type": "basic", "auth_username": "u", "auth_password": "p"}, "authorization", "Basic dTpw"),
    ],
)
def test_headers_are_sent(http: Http, parameters: dict[str, Any], name: str, value: str) -> None:
    assert http("/echo", **parameters).result["data"]["json"]["headers"][name] == value


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"method": "G T"}, "Parameter method: expected an HTTP method"),
        ({"method": "CONNECT"}, "Parameter method: expected an HTTP method"),
        ({"headers": {"Host": "x"}}, "Parameter headers: Host is set by the request itself"),
        ({"headers": {"X": "a\r\nY: b"}}, "No answer: LocalProtocolError"),
        ({"headers": []}, "Parameter headers: expected a map"),
        ({"body": {}}, "Parameter body: expected text"),
        ({"timeout": "soon"}, "Parameter timeout: expected a number"),
        ({"verify_ssl": "no"}, "Parameter verify_ssl: expected true or false"),
        ({"auth_type": "magic"}, "Parameter auth_type: expected none, basic or bearer"),
        ({"max_redirects": -1}, "Parameter max_redirects: expected a whole number"),
        ({"url": "http://a:b/"}, "Parameter url: "),
        ({"url": ""}, "Blocked: only http and https URLs may be requested, not relative ones"),
        ({"url": "http://"}, "No answer: the URL has no host"),
    ],
)
def test_bad_parameters_fail_with_their_name(http: Http, parameters: dict[str, Any], error: str) -> None:
    outcome = http("/echo", **parameters)

    assert outcome.status == "failed"
    assert outcome.result["error"].startswith(error)


@pytest.mark.parametrize(
    ("target", "body", "json"),
    [
        ("/text?hex=ff41", "\ufffdA", None),
        ("/text?hex=e4&type=text/plain;charset=latin-1", "ä", None),
        ("/text?hex=41&type=text/plain;charset=zlib", "A", None),
        ("/text?hex=4100", "A\ufffd", None),
        ("/text?hex=4e614e", "NaN", None),
        ("/gzip", '{"a": 1}', {"a": 1}),
        (f"/text?hex={'5b' * 63}{'5d' * 63}", "[" * 63 + "]" * 63, 63),
        (f"/text?hex={'5b' * 64}{'5d' * 64}", "[" * 64 + "]" * 64, None),
        (f"/text?hex={'5b' * 9000}", "[" * 9000, None),
    ],
)
def test_every_body_can_be_stored(http: Http, target: str, body: str, json: Any) -> None:
    outcome = http(target)

    assert outcome.status == "completed"
    assert outcome.result["data"]["body"] == body
    assert depth(outcome.result["data"]["json"]) == json if isinstance(json, int) else True
    assert isinstance(json, int) or outcome.result["data"]["json"] == json


def depth(value: Any) -> int:
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("/big?more=1", "No answer: the answer is larger than 10485760 bytes"),
        ("/bomb", "No answer: the answer is larger than 10485760 bytes"),
        ("/packed?as=br", "No answer: the answer is packed as 'br', which was not asked for"),
        ("/packed?as=gzip,gzip", "No answer: the answer is packed as 'gzip,gzip', which was not asked for"),
        ("/packed?as=gzip", "No answer: the answer's packing is broken"),
    ],
)
def test_bodies_that_can_not_be_kept_fail(http: Http, target: str, error: str) -> None:
    outcome = http(target)

    assert outcome.status == "failed"
    assert outcome.result["error"].startswith(error)


def test_ten_megabytes_are_kept(http: Http) -> None:
    assert len(http("/big?more=0").result["data"]["body"]) == 10 * 1024 * 1024


@pytest.mark.parametrize("target", ["/silence", "/drip"])
def test_the_request_has_one_timeout(http: Http, target: str) -> None:
    outcome = http(target, timeout=0.3)

    assert outcome.status == "failed"
    assert outcome.result["error"] == "No answer: not complete within 0.3 s"


def test_silence_has_a_timeout_of_its_own(http: Http) -> None:
    outcome = http("/silence", host={"http_read": 0.2})

    assert outcome.status == "failed"
    assert outcome.result["error"] == "No answer: nothing came for 0.2 s"


def test_a_connection_has_a_timeout_of_its_own(http: Http, deaf_port: int) -> None:
    outcome = http(f"http://127.0.0.1:{deaf_port}/", host={"http_connect": 0.2})

    assert outcome.status == "failed"
    assert outcome.result["error"] == "No answer: no connection within 0.2 s"


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port that takes no further connection: its queue is full, and nobody empties it."""
    with socket.socket() as server, ExitStack() as waiting:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def test_the_limit_of_the_action_is_a_timeout(http: Http) -> None:
    outcome = http("/silence", limit=0.3)

    assert outcome.status == "timeout"
    assert outcome.result["error"] == "core.http_request timed out after 0.3 s"


def test_a_resolver_that_hangs_holds_nobody_up(
    hang: Callable[..., None], http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", hang)

    outcome = http("http://slow.test/", timeout=0.2)

    assert outcome.status == "failed"
    assert outcome.result["error"] == "No answer: not complete within 0.2 s"


def test_a_request_is_cancelled(port: int) -> None:
    control = Control()
    parameters = {"url": f"http://127.0.0.1:{port}/silence"}
    job = dataclasses.replace(JOB, entrypoint="core.http_request", parameters=parameters)
    threading.Timer(0.2, control.stop, ["cancelled"]).start()

    outcome = run(job, control, RunnerSettings(http_allow=("127.0.0.0/8",)))

    assert outcome.status == "cancelled"


@pytest.mark.parametrize(
    ("code", "method", "seen", "body"),
    [
        (301, "POST", "GET", ""),
        (302, "POST", "GET", ""),
        (303, "PUT", "GET", ""),
        (307, "POST", "POST", "x"),
        (308, "PUT", "PUT", "x"),
        (302, "DELETE", "DELETE", "x"),
    ],
)
def test_redirects_are_followed(http: Http, code: int, method: str, seen: str, body: str) -> None:
    data = http(f"/redirect?to=/echo&code={code}", method=method, body="x").result["data"]

    assert (data["json"]["method"], data["json"]["body"]) == (seen, body)
    assert data["url"].endswith("/echo")


def test_a_redirect_may_be_the_answer(http: Http) -> None:
    data = http("/redirect?to=/echo", follow_redirects=False).result["data"]

    assert (data["status_code"], data["success"], data["headers"]["location"]) == (302, True, "/echo")


def test_redirects_have_an_end(http: Http) -> None:
    loop = "/redirect?to=/redirect%3Fto%3D/echo"

    assert http(loop, max_redirects=2).status == "completed"
    assert http(loop, max_redirects=1).result["error"] == "No answer: more than 1 redirects"


def test_credentials_stay_with_their_origin(http: Http, port: int, names: dict[str, list[str]]) -> None:
    names["other.test"] = ["127.0.0.1"]
    given = {"auth_type": "bearer", "auth_token": "t", "headers": {"Cookie": "c"}}

    near = http("/redirect?to=/echo", **given).result["data"]["json"]["headers"]
    far = http(f"/redirect?to=http://other.test:{port}/echo", **given).result["data"]["json"]["headers"]

    assert (near["authorization"], near["cookie"]) == ("Bearer t", "c")
    assert not {"authorization", "cookie"} & far.keys()
    assert far["host"] == f"other.test:{port}"


@pytest.mark.parametrize("proxy", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"])
def test_proxies_of_the_environment_are_ignored(
    http: Http, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv(proxy, "http://127.0.0.1:9")

    assert http("/echo").status == "completed"


def test_a_second_address_is_tried(http: Http, port: int, names: dict[str, list[str]]) -> None:
    names["two.test"] = ["127.0.0.2", "127.0.0.1"]

    outcome = http(f"http://two.test:{port}/echo", allow=("two.test",))

    assert outcome.result["data"]["json"]["headers"]["host"] == f"two.test:{port}"


def certificate(name: str, folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(hours=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    pem = serialization.Encoding.PEM
    (folder / "cert").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key").write_bytes(secret)
    return folder / "cert", folder / "key"


@pytest.fixture
def tls_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Serve https as `safe.test`, with a certificate that the client trusts."""
    cert, key = certificate("safe.test", tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = loopback()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    trusting = ssl.create_default_context(cafile=str(cert))
    careless = exchange._tls(False)
    monkeypatch.setattr(exchange, "_tls", lambda verify: trusting if verify else careless)
    with serving(server) as port:
        yield port


def test_the_certificate_is_that_of_the_name(http: Http, tls_port: int, names: dict[str, list[str]]) -> None:
    names |= {"safe.test": ["127.0.0.1"], "wrong.test": ["127.0.0.1"]}

    good = http(f"https://safe.test:{tls_port}/echo")
    bad = http(f"https://wrong.test:{tls_port}/echo")
    trusted = http(f"https://wrong.test:{tls_port}/echo", verify_ssl=False)

    assert good.status == trusted.status == "completed"
    assert bad.status == "failed"
    assert "certificate" in bad.result["error"]
