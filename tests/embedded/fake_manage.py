"""Stand in for manage.py where only the launcher and the supervisor are tested: the same words, no Django."""

import http.server
import json
import os
import signal
import sys
import time
from pathlib import Path


def prepare() -> None:
    result = sys.argv[sys.argv.index("--result") + 1]
    Path(result).write_text(
        json.dumps({"login": os.environ["ATTUNE_ADMIN_LOGIN"], "created": True, "sandbox": "none (a test)"})
    )


def serve(name: str) -> None:
    if name == os.environ.get("FAKE_STUBBORN"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(f"{name} serves", flush=True)
    if name == "web":
        http.server.HTTPServer(("127.0.0.1", int(sys.argv[-1])), Ready).serve_forever()
    Path(os.environ["ATTUNE_READY_FILE"]).touch()
    while True:
        time.sleep(60)


class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


if __name__ == "__main__":
    prepare() if sys.argv[1] == "prepare" else serve(sys.argv[2])
