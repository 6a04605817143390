import pytest
from django.db import IntegrityError

from attune_project.identity.models import Identity


def test_active_is_what_is_not_frozen(nobody):
    Identity.objects.filter(pk=nobody.pk).update(frozen=True)

    assert not Identity.objects.get().is_active


def test_a_login_is_unique(nobody):
    with pytest.raises(IntegrityError, match="identity_login_key"):
        Identity.objects.create_user("nobody")


def test_without_a_password_nothing_is_right(db):
    identity = Identity.objects.create_user("robot")

    assert identity.password is None
    assert not identity.has_usable_password()
    assert not identity.check_password("")


def test_a_superuser_has_every_permission_of_django(administrator, nobody):
    assert administrator.has_perm("any.thing")
    assert not nobody.has_perm("any.thing")
    assert not nobody.has_module_perms("django_celery_beat")
