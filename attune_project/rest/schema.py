"""The OpenAPI document: envelopes, deletions and refusals as they really are."""

from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent

Schema = dict[str, Any]
Direction = Literal["request", "response"]

ERROR: Schema = {
    "type": "object",
    "properties": {
        "error": {"type": "string"},
        "code": {"type": "string"},
        "details": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
    "required": ["error", "code"],
}
DELETED: Schema = {
    "type": "object",
    "properties": {
        "success": {"type": "boolean"},
        "message": {"type": "string"},
        "data": {
            "type": "object",
            "properties": {"id": {"type": "integer"}, "ref": {"type": "string"}},
            "required": ["id"],
        },
    },
    "required": ["success", "message", "data"],
}


class EnvelopeSchema(AutoSchema):
    """Views whose answers are bare (health, streams) say `enveloped = False`."""

    def get_request_serializer(self) -> Any:
        if getattr(self.view, "action", "") in ("create", "update", "partial_update"):
            return getattr(self.view, "write_serializer_class", None) or super().get_request_serializer()
        return super().get_request_serializer()

    def _get_response_bodies(self, direction: Direction = "response") -> Schema:
        if self.method == "DELETE":
            bodies: Schema = {"200": content(self._component("Deleted", DELETED))}
        else:
            bodies = super()._get_response_bodies(direction)
        return {**bodies, "default": content(self._component("Error", ERROR), "Refused")}

    def _get_response_for_code(
        self, serializer: Any, status_code: str, media_types: Any = None, direction: Direction = "response"
    ) -> Schema:
        response: Schema = super()._get_response_for_code(  # type: ignore[no-untyped-call]
            serializer, status_code, media_types, direction
        )
        if self._wraps(serializer, status_code):
            for media in response.get("content", {}).values():
                media["schema"] = enveloped(media["schema"])
        return response

    def _wraps(self, serializer: Any, status_code: str) -> bool:
        bare = not getattr(self.view, "enveloped", True)
        return not bare and "200" <= str(status_code) < "300" and not self._is_list_view(serializer)

    def _component(self, name: str, schema: Schema) -> Schema:
        component = ResolvedComponent(  # type: ignore[no-untyped-call]
            name=name, type=ResolvedComponent.SCHEMA, schema=schema, object=name
        )
        self.registry.register_on_missing(component)
        return dict(component.ref)


def content(schema: Schema, description: str = "") -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def enveloped(schema: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {"data": schema, "message": {"type": "string"}},
        "required": ["data"],
    }
