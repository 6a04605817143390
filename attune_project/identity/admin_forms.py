"""Forms of the identity pages."""

from typing import Any

from django import forms
from unfold.forms import UserChangeForm, UserCreationForm

from .grants import check_grants, readable
from .models import Identity, PermissionSet
from .rbac import holds


class NewIdentity(UserCreationForm):  # type: ignore[misc]
    class Meta:
        model = Identity
        fields = ("login", "display_name")


class ChangedIdentity(UserChangeForm):  # type: ignore[misc]
    class Meta:
        model = Identity
        fields = ("login", "display_name", "email", "attributes", "frozen", "is_staff", "is_superuser")


class PermissionSetForm(forms.ModelForm):
    caller: Identity  # set by the page

    class Meta:
        model = PermissionSet
        fields = ("ref", "label", "description", "grants")

    def clean_grants(self) -> Any:
        """Refuse grants that nobody can judge, and those that the caller doesn't hold."""
        grants = self.cleaned_data["grants"] or []
        problems = check_grants(grants)
        if problems:
            raise forms.ValidationError([f"{path}: {', '.join(texts)}" for path, texts in problems.items()])
        if not holds(self.caller, readable(grants)):
            raise forms.ValidationError("permissions:assign: you can't give rights that you don't have.")
        return grants
