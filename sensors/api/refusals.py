"""What a refused event is over HTTP."""

from rest_framework.exceptions import APIException, NotFound

from attune_project.rest.errors import BadRequest, Conflict, Unprocessable
from sensors.recording import EventRefused


def as_http(refused: EventRefused) -> APIException:
    text = str(refused)
    match refused.code:
        case "NOT_FOUND":
            return NotFound(text)
        case "CONFLICT":
            return Conflict(text)
        case "BAD_REQUEST":
            return BadRequest(text)
    return Unprocessable(refused.details, text)
