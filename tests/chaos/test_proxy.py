"""The proxy does what it says, before a small server that says everything again."""

import socket
import socketserver
import threading

import pytest

from tests.chaos.proxy import DOWN, UP, ChaosProxy

PATIENCE = 30.0  # seconds, before a hang is a failure
SILENCE = 0.3  # seconds in which nothing comes: a slow machine only makes it quieter


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            while data := self.request.recv(65_536):
                self.server.heard += data
                self.request.sendall(data)
            self.server.ended.set()
            self.request.sendall(b"bye")
        except OSError:
            pass


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    heard = b""


@pytest.fixture
def server():
    with Server(("127.0.0.1", 0), Echo) as server:
        server.ended = threading.Event()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(server):
    with ChaosProxy(f"tcp://me:word@127.0.0.1:{server.server_address[1]}/path") as proxy:
        yield proxy


@pytest.fixture
def dial(proxy):
    opened = []

    def open_one():
        opened.append(socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def say(line, text):
    line.sendall(text)
    got = b""
    while len(got) < len(text):
        part = line.recv(len(text) - len(got))
        assert part, "the connection ended"
        got += part
    return got


def silent(line):
    line.settimeout(SILENCE)
    try:
        line.recv(1)
    except TimeoutError:
        return True
    finally:
        line.settimeout(PATIENCE)
    return False


def until_heard(server, text):
    ended = threading.Event()
    for _ in range(int(PATIENCE / 0.02)):
        if text in server.heard:
            return True
        ended.wait(0.02)
    return False


def test_calm_it_passes_everything(proxy, dial):
    assert proxy.url == f"tcp://me:word@127.0.0.1:{proxy.port}/path"
    assert say(dial(), b"x" * 500_000) == b"x" * 500_000
    assert proxy.accepted == 1


def test_a_cut_resets_what_is_open_and_takes_new_ones(proxy, dial):
    line = dial()
    say(line, b"a")

    proxy.cut()

    with pytest.raises(ConnectionResetError):
        line.recv(1)
    assert say(dial(), b"b") == b"b"


def test_while_it_refuses_nobody_comes_in(proxy, dial):
    line = dial()
    say(line, b"a")

    proxy.refuse()

    with pytest.raises(ConnectionResetError):
        line.recv(1)
    with pytest.raises(ConnectionRefusedError):
        dial()
    port = proxy.port
    proxy.calm()
    assert proxy.port == port
    assert say(dial(), b"b") == b"b"


@pytest.mark.parametrize(("way", "arrives"), [(UP, False), (DOWN, True)])
def test_what_is_swallowed_never_comes(proxy, dial, server, way, arrives):
    line = dial()
    say(line, b"first")

    proxy.swallow(way)
    line.sendall(b"second")

    if arrives:
        assert until_heard(server, b"second")
    assert silent(line)
    assert (b"second" in server.heard) is arrives

    proxy.calm()  # its stream has a hole
    with pytest.raises(ConnectionResetError):
        line.recv(1)
    assert say(dial(), b"third") == b"third"


def test_what_is_held_comes_later_whole(proxy, dial):
    line = dial()
    say(line, b"first")

    proxy.hold()
    line.sendall(b"second")
    assert silent(line)

    proxy.calm()
    assert line.recv(6, socket.MSG_WAITALL) == b"second"
    assert say(line, b"third") == b"third"


def test_a_delay_loses_nothing(proxy, dial):
    line = dial()
    proxy.delay(0.01, jitter=0.01)

    assert say(line, b"y" * 100_000) == b"y" * 100_000


def test_a_half_closed_answer_ends_while_requests_still_go(proxy, dial, server):
    line = dial()
    say(line, b"first")

    proxy.half_close(DOWN)

    assert line.recv(1) == b""
    line.sendall(b"second")
    assert until_heard(server, b"second")


def test_a_half_close_of_ours_goes_through(proxy, dial, server):
    line = dial()
    line.shutdown(socket.SHUT_WR)

    assert server.ended.wait(PATIENCE)
    assert line.recv(3, socket.MSG_WAITALL) == b"bye"


def test_it_cuts_after_so_many_bytes(proxy, dial, server):
    line = dial()
    say(line, b"a")
    proxy.cut_after(5)

    line.sendall(b"0123456789")

    with pytest.raises(ConnectionResetError):
        while line.recv(10):
            pass
    assert until_heard(server, b"a01234")
    assert b"5" not in server.heard
