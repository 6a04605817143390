"""How artifacts are shown, and what bodies may say of them."""

import re
from collections.abc import Mapping
from typing import Any

from django.http import QueryDict
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError

from attune_project.identity.models import Identity
from attune_project.identity.rbac import visible
from attune_project.language.documents import DocumentError, parse_json
from attune_project.packs.keys import ITEM_NAME, LONGEST_REF, PACK_REF
from attune_project.packs.models import Pack
from attune_project.rest.query import LARGEST
from attune_project.rest.serializers import Document, Map, Number, RowSerializer, Text
from executions.artifacts import content
from executions.artifacts.lines import url_problem
from executions.models import Action, Artifact, ArtifactVersion, Execution
from executions.models.artifact import ArtifactType, Scope
from sensors.models import Sensor

REF = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
CONTENT_TYPE = re.compile(r"[\w.+-]{1,100}/[\w.+-]{1,100}(; ?[\w-]{1,40}=[\w.-]{1,60}){0,4}", re.ASCII)
LONGEST_KEPT = 1_000_000  # of days, hours, minutes or versions
SHOWN = 64 * 1024  # bytes of a JSON version that its detail shows
OWNERS: Mapping[Scope, Any] = {Scope.PACK: Pack, Scope.ACTION: Action, Scope.SENSOR: Sensor}
LISTED = (
    "id", "created", "updated", "ref", "scope", "owner", "owner_identity", "pack_ref", "type", "visibility",
    "name", "description", "content_type", "size_bytes", "retention_policy", "retention_limit",
    "last_version", "expires_at", "execution",
)  # fmt: skip


class ArtifactItem(RowSerializer):
    class Meta:
        model = Artifact
        fields: tuple[str, ...] = LISTED


class ArtifactDetail(ArtifactItem):
    class Meta(ArtifactItem.Meta):
        fields = (*LISTED, "data")


class VersionItem(RowSerializer):
    class Meta:
        model = ArtifactVersion
        fields: tuple[str, ...] = (
            "id", "created", "updated", "artifact", "version", "content_type", "size_bytes", "sha256", "meta",
            "created_by", "execution", "expires_at",
        )  # fmt: skip


class VersionDetail(VersionItem):
    """A version; `content` is that of a JSON one that isn't large, else null."""

    content = serializers.SerializerMethodField()

    class Meta(VersionItem.Meta):
        fields = (*VersionItem.Meta.fields, "content")

    @extend_schema_field({})
    def get_content(self, version: ArtifactVersion) -> Any:
        if version.content_type != "application/json" or version.size_bytes > SHOWN:
            return None
        try:
            return parse_json(content.read_all(version.pk, version.size_bytes))
        except DocumentError:  # a file that only calls itself JSON
            return None


class ContentType(Text):
    default_error_messages = {"content_type": "Expected a media type, such as text/csv."}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not CONTENT_TYPE.fullmatch(text):
            self.fail("content_type")
        return text


def as_content_type(header: str) -> str:
    """Return the media type of a request's header; 422 for one that is none."""
    if not CONTENT_TYPE.fullmatch(header):
        raise ValidationError({"content_type": ["Expected a media type, such as text/csv."]})
    return header


class ExecutionId(Number):
    """An execution that the caller may see; a hidden one is 404 like an absent one."""

    def to_internal_value(self, data: Any) -> int:
        row_id = super().to_internal_value(data)
        rows = visible(self.context["request"].user, "executions", Execution.objects.order_by())
        if abs(row_id) > LARGEST or not rows.filter(pk=row_id).exists():
            raise NotFound(f"{self.field_name}: no execution {row_id}")
        return row_id


class ArtifactBody(RowSerializer):
    """An artifact to be made or changed; its ref, type and execution are fixed once it is made."""

    ref = Text(max_length=LONGEST_REF)
    scope = serializers.ChoiceField(choices=Scope.choices)
    owner = Text(max_length=LONGEST_REF, allow_blank=True)
    name = Text(max_length=1000, required=False, allow_null=True)
    content_type = ContentType(required=False, allow_null=True)
    data = Document(required=False, allow_null=True)  # type: ignore[assignment]  # a field, once it is made
    retention_limit = Number(required=False, min_value=1, max_value=LONGEST_KEPT)
    execution = ExecutionId(required=False, allow_null=True, source="execution_id")

    class Meta:
        model = Artifact
        fields = (
            "ref", "scope", "owner", "type", "visibility", "name", "description", "content_type", "data",
            "retention_policy", "retention_limit", "execution",
        )  # fmt: skip

    def validate_ref(self, ref: str) -> str:
        if not REF.fullmatch(ref):
            raise ValidationError("Expected names of a-z, 0-9, _ and - with dots between them.")
        return ref

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance:
            refuse_moving(self.instance, attrs)
        was = (getattr(self.instance, "scope", ""), getattr(self.instance, "owner", ""))
        scope, owner = attrs.get("scope", was[0]), attrs.get("owner", was[1])
        if (scope, owner) != was:  # one that is gone by now may stay
            attrs |= owned(scope, owner, self.context["request"].user)
        if "data" in attrs:
            kind = self.instance.type if self.instance else attrs["type"]
            attrs["data"] = fitting(kind, attrs["data"], "data")
        return attrs


def refuse_moving(row: Artifact, attrs: dict[str, Any]) -> None:
    for name, field in (("ref", "ref"), ("type", "type"), ("execution_id", "execution")):
        if attrs.pop(name, getattr(row, name)) != getattr(row, name):
            raise ValidationError({field: [f"Its {field} is never changed; make another artifact."]})


def owned(scope: str, owner: str, caller: Identity) -> dict[str, Any]:
    """Return the columns that follow from an owner: whose it is, and in which pack.

    Raise 404 for one that isn't there, or that is hidden from the caller.
    """
    if scope == Scope.IDENTITY:
        return {"pack_ref": None, "owner_identity": _identity(owner, caller)}
    if scope == Scope.SYSTEM:
        return {"pack_ref": None}
    pack, dot, name = owner.partition(".")
    named = not dot if scope == Scope.PACK else bool(ITEM_NAME.fullmatch(name))
    if not named or not PACK_REF.fullmatch(pack):
        raise ValidationError({"owner": [f"Expected the ref of {_article(scope)}."]})
    _refuse_unknown(scope, owner, caller)
    return {"pack_ref": pack}


def _identity(login: str, caller: Identity) -> Identity:
    if caller.login == login:
        return caller
    found = visible(caller, "identities", Identity.objects.filter(login=login)).first()
    if found is None:
        raise NotFound(f"owner: no identity {login!r}")
    return found


def _refuse_unknown(scope: str, owner: str, caller: Identity) -> None:
    """Raise 404 for an owner that the caller can't see; a run may name its own action and pack."""
    own = {Scope.ACTION: caller.run.action_ref, Scope.PACK: caller.run.pack_ref} if caller.run else {}
    rows = visible(caller, f"{scope}s", OWNERS[Scope(scope)].objects.filter(ref=owner))
    if own.get(Scope(scope)) != owner and not rows.exists():
        raise NotFound(f"owner: no {scope} {owner!r}")


def _article(scope: str) -> str:
    return f"an {scope}" if scope == Scope.ACTION else f"a {scope}"


def fitting(kind: str, data: Any, field: str) -> Any:
    """Return the data of an artifact as it is stored; 422 for what its type does not hold."""
    if data is None:
        return [] if kind == ArtifactType.PROGRESS else None
    if kind == ArtifactType.URL:
        url = data.get("url") if isinstance(data, dict) else data
        problem = url_problem(url)
        if problem:
            raise ValidationError({field: [f"url: {problem}"]})
        return data if isinstance(data, dict) else {"url": url}
    if kind == ArtifactType.PROGRESS and not isinstance(data, list):
        raise ValidationError({field: ["Expected a list of entries."]})
    return data


class DataBody(serializers.Serializer[Any]):
    """The data of an artifact, in place of what it was."""

    data = Document(required=True, allow_null=True)  # type: ignore[assignment]  # a field, once it is made


class EntryBody(serializers.Serializer[Any]):
    """An entry of a list of progress. A body without `entry` is the entry itself."""

    entry = Document(required=True)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and data and "entry" not in data:
            data = {"entry": data}
        return super().to_internal_value(data)


class VersionBody(serializers.Serializer[Any]):
    """A version with a JSON value; a text of another content type is stored as it is."""

    content = Document(required=True, allow_null=True)
    content_type = ContentType(required=False, allow_null=True)
    meta = Map(required=False, allow_null=True)


class MetaText(Map):
    """A JSON object, in a multipart body."""

    def to_internal_value(self, data: Any) -> Any:
        try:
            value = parse_json(data.encode(errors="surrogatepass")) if isinstance(data, str) else data
        except DocumentError as problem:
            raise ValidationError(str(problem)) from None
        return super().to_internal_value(value)


class UploadBody(serializers.Serializer[Any]):
    """A file, in a multipart body."""

    file = serializers.FileField(allow_empty_file=True, max_length=1000)
    content_type = ContentType(required=False)
    meta = MetaText(required=False)

    def to_internal_value(self, data: Any) -> Any:
        plain = data if not isinstance(data, QueryDict) else {name: data[name] for name in data}
        return super().to_internal_value(plain)
