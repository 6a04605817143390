"""Routes of authentication."""

from typing import Any

from django.conf import settings
from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from attune_project.rest.access import AUTHENTICATED, OPEN
from attune_project.rest.address import client_address
from attune_project.rest.changes import put_changes
from attune_project.rest.views import View, answer, as_map, writable_nulls

from .logins import log_in
from .models import Identity
from .serializers import Login, Me, MyChanges, Refresh, SelfRegistration, Tokens
from .tokens import issue_pair, rotate


class LoginView(View):
    permission = OPEN

    @extend_schema(request=Login, responses=Tokens, operation_id="auth_login")
    def post(self, request: Request) -> Response:
        body = Login(data=request.data)
        body.is_valid(raise_exception=True)
        values: dict[str, Any] = body.validated_data
        identity = log_in(values["login"], values["password"], client_address(request))
        return answer(Tokens(issue_pair(identity)).data)


class RegisterView(View):
    permission = OPEN

    @extend_schema(request=SelfRegistration, responses=Tokens, operation_id="auth_register")
    def post(self, request: Request) -> Response:
        if not settings.ATTUNE_SELF_REGISTRATION:
            raise PermissionDenied("Self-registration is off.")
        body = SelfRegistration(data=request.data)
        body.is_valid(raise_exception=True)
        with transaction.atomic():
            identity = Identity.objects.create_user(**body.validated_data)
        return answer(Tokens(issue_pair(identity)).data)


class RefreshView(View):
    permission = OPEN

    @extend_schema(request=Refresh, responses=Tokens, operation_id="auth_refresh")
    def post(self, request: Request) -> Response:
        body = Refresh(data=request.data)
        body.is_valid(raise_exception=True)
        return answer(Tokens(rotate(body.validated_data["refresh_token"])).data)


class MeView(View):
    permission = AUTHENTICATED

    @extend_schema(responses=Me, operation_id="auth_me")
    def get(self, request: Request) -> Response:
        return answer(Me(request.user).data)

    @extend_schema(request=MyChanges, responses=Me, operation_id="auth_me_update")
    def put(self, request: Request) -> Response:
        assert isinstance(request.user, Identity)
        if request.user.run is not None:
            raise PermissionDenied("Permission denied: identities:update")
        changes = put_changes(as_map(request.data), writable_nulls(MyChanges()))
        body = MyChanges(request.user, data=changes, partial=True)
        body.is_valid(raise_exception=True)
        return answer(Me(body.save()).data)
