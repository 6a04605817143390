"""Whoever asks something of Attune: a person or a program."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q

from attune_project.identity.runs import Run
from attune_project.rows import Row


class IdentityManager(BaseUserManager["Identity"]):
    def get_by_natural_key(self, login: str | None) -> "Identity":
        return self.get(login=login)

    def create_user(self, login: str, password: str | None = None, **values: Any) -> "Identity":
        """Store a new identity; without a password it can't log in by one."""
        identity = self.model(login=login, **values)
        identity.set_password(password)
        identity.save(using=self._db)
        return identity

    def create_superuser(self, login: str, password: str | None = None) -> "Identity":
        """Store an identity with every right."""
        return self.create_user(login, password, is_staff=True, is_superuser=True)


class Identity(Row, AbstractBaseUser):
    login = models.CharField(max_length=255)
    display_name = models.CharField(max_length=255, null=True, blank=True)
    email = models.EmailField(null=True, blank=True)
    password = models.CharField(max_length=255, null=True, blank=True)  # type: ignore[assignment]
    attributes = models.JSONField(default=dict, blank=True)
    frozen = models.BooleanField(
        default=False, help_text="A frozen identity's tokens and sessions fail at once."
    )
    # One truth: the database works it out, so that no statement can let the two disagree.
    is_active = models.GeneratedField(
        expression=models.ExpressionWrapper(Q(frozen=False), output_field=models.BooleanField()),
        output_field=models.BooleanField(),
        db_persist=True,
    )
    is_staff = models.BooleanField("may open the admin", default=False)
    is_superuser = models.BooleanField("has every right", default=False)

    # The run whose token a request came with: it has the rights that the run was lent, not the identity's.
    run: Run | None = None

    objects: ClassVar[IdentityManager] = IdentityManager()

    USERNAME_FIELD = "login"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta(Row.Meta):
        db_table = "identity"
        verbose_name_plural = "identities"
        constraints = [models.UniqueConstraint(fields=["login"], name="identity_login_key")]

    def __str__(self) -> str:
        return self.login

    @property
    def has_every_right(self) -> bool:
        return self.is_superuser and self.run is None

    def set_unusable_password(self) -> None:
        """Leave the identity without a password login."""
        self.password = None

    def set_password(self, raw_password: str | None) -> None:
        """Keep the password's hash; None leaves the identity without a password login."""
        super().set_password(raw_password)
        if raw_password is None:
            self.set_unusable_password()

    def has_usable_password(self) -> bool:
        return self.password is not None and super().has_usable_password()

    def check_password(self, raw_password: str | None) -> bool:
        return self.password is not None and super().check_password(raw_password)

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Answer for pages that know only Django's permissions: those are the first administrator's."""
        return self.has_every_right and not self.frozen

    def has_perms(self, perm_list: list[str], obj: object = None) -> bool:
        return self.has_perm("", obj)

    def has_module_perms(self, app_label: str) -> bool:
        return self.has_perm(app_label)
