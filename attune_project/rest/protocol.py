"""HTTP/1.1 as the web service speaks it: parsed in C, with a limit for what comes before a body."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Of a request line and headers together; the parser itself would collect them without end.
LONGEST_HEAD = 64 * 1024


class Http(HttpToolsProtocol):
    """One connection of a client. What isn't HTTP is answered 400, and the connection closed."""

    _in_head = False
    _collected = 0  # bytes of a head that is still coming

    def data_received(self, data: bytes) -> None:
        was_in_head = self._in_head
        super().data_received(data)
        if was_in_head and self._in_head and not self.transport.is_closing():
            self._collected += len(data)
            if self._collected > LONGEST_HEAD:
                self.send_400_response("The headers are too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._collected = True, 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > LONGEST_HEAD:
            raise ValueError("the headers are too large")
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            raise ValueError("a request names one host")
        super().on_headers_complete()
