"""Another host: a network namespace with one cable to ours, on which only the two servers can be reached."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.proxy import Proxy
from tests.integration.spine import ROOT, Spine, until

ADDRESS = "10.207.{}.{}"


def possible() -> bool:
    """Return whether this machine lets us make network namespaces."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"at{uuid.uuid4().hex[:8]}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    if made:
        ip("netns", "del", name)
    return made


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=30)


class Host:
    """Runs workers that have nothing but the addresses of the servers, and a copy of the packs."""

    def __init__(self, spine: Spine, folder: Path, name: str) -> None:
        self.spine = spine
        self.folder = folder  # what is on this host's disk
        self.namespace = f"at{uuid.uuid4().hex[:8]}"
        self.cable = f"{self.namespace}o"
        self.name = name
        self.workers: list[subprocess.Popen[bytes]] = []
        self._proxies: list[Proxy] = []

    def plug(self) -> None:
        """Make the namespace, its cable, and what lets the servers be reached through it."""
        net = int(self.namespace[-2:], 16)
        ours, theirs = ADDRESS.format(net, 1), ADDRESS.format(net, 2)
        inner = f"{self.namespace}i"
        ip("netns", "add", self.namespace)
        ip("link", "add", self.cable, "type", "veth", "peer", "name", inner, "netns", self.namespace)
        ip("addr", "add", f"{ours}/30", "dev", self.cable)
        ip("link", "set", self.cable, "up")
        for words in (["addr", "add", f"{theirs}/30", "dev", inner], ["link", "set", inner, "up"]):
            ip("-n", self.namespace, *words)
        ip("-n", self.namespace, "link", "set", "lo", "up")
        self._proxies = [Proxy(url, ours) for url in (self.spine.database_url, self.spine.broker_url)]

    def cut(self) -> None:
        """Pull the cable: nothing goes through, and nobody is told."""
        ip("link", "set", self.cable, "down")

    def mend(self) -> None:
        ip("link", "set", self.cable, "up")

    def start_worker(self, **settings: str) -> subprocess.Popen[bytes]:
        """Start a worker here and wait until it consumes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ready = self.folder / f"ready-{len(self.workers)}"
        database, broker = (proxy.url for proxy in self._proxies)
        environment = {
            **self.spine.environment,
            "DATABASE_URL": database,
            "BROKER_URL": broker,
            "ATTUNE_DATA_DIR": str(self.folder),
            "ATTUNE_PACKS_DIR": str(self.folder / "packs"),
            "ATTUNE_WORKER_LABELS": f"host={self.name}",
            "ATTUNE_READY_FILE": str(ready),
            **settings,
        }
        command = ["ip", "netns", "exec", self.namespace, sys.executable, "manage.py", "service", "worker"]
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self.workers.append(process)
        assert until(ready.exists, 180, step=0.1), (self.folder / "worker.log").read_text()[-4000:]
        return process

    def unplug(self) -> None:
        for process in self.workers:
            process.kill()
            process.wait()
        for proxy in self._proxies:
            proxy.close()
        ip("netns", "del", self.namespace)  # the cable goes with its other end


@contextmanager
def other_host(spine: Spine, name: str) -> Iterator[Host]:
    """Yield another host, plugged in; nothing runs there yet."""
    host = Host(spine, spine.folder / f"host-{name}", name)
    host.plug()
    try:
        yield host
    finally:
        host.unplug()
