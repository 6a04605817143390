"""What happens to every request before it is routed."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from .trace import end_trace, new_trace, trace_from_header

TRACE_HEADER = "X-Request-Id"


class TraceMiddleware:
    """Take or make the trace id, echo it, and give every log line of the request that id."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        trace = new_trace(
            getattr(request, "trace_id", None) or trace_from_header(request.headers.get(TRACE_HEADER))
        )
        try:
            measure_chunked_body(request)
            response = self.get_response(request)
        finally:
            end_trace()
        response.headers[TRACE_HEADER] = str(trace)
        return response


def measure_chunked_body(request: HttpRequest) -> None:
    """Give a chunked body its length: DRF takes a request without one for an empty request."""
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        request.META["CONTENT_LENGTH"] = str(len(request.body))
