"""Values of keys, to and from their rows."""

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import JSONField, Value

from attune_project.identity.models import Key

from .encryption import Keyring, Unreadable


class UnreadableKey(Unreadable):
    """A key whose value can't be decrypted here. Its text names the key and says why."""

    def __init__(self, ref: str, reason: object) -> None:
        super().__init__(f"The key {ref} can't be decrypted: {reason}")


def keyring() -> Keyring:
    """Return the ring of ATTUNE_ENCRYPTION_KEY, which also opens what ATTUNE_ENCRYPTION_KEYS_OLD closed."""
    return _keyring(settings.ATTUNE_ENCRYPTION_KEY, *settings.ATTUNE_ENCRYPTION_KEYS_OLD)


@lru_cache(maxsize=4)
def _keyring(*secrets: str) -> Keyring:
    return Keyring(secrets)


def value_of(key: Key) -> Any:
    """Return a key's value; raise UnreadableKey."""
    return opened(key.ref, key.value) if key.encrypted else key.value


def opened(ref: str, stored: Any) -> Any:
    """Return the value of an encrypted key; raise UnreadableKey."""
    try:
        return keyring().open(stored, ref)
    except Unreadable as problem:
        raise UnreadableKey(ref, problem) from None


def save_value(key: Key, value: Any, *, encrypted: bool) -> Key:
    """Store a key, new or changed, with this value."""
    key.encrypted = encrypted
    key.encryption_key_hash = keyring().current if encrypted else None
    stored = keyring().seal(value, key.ref) if encrypted else value
    # None would be the NULL of SQL.
    key.value = Value(None, JSONField()) if stored is None else stored
    key.save()
    key.value = stored
    return key


def locked(pk: int) -> Key | None:
    """Return a key as it is now, locked until the transaction ends, so that no change of it is lost."""
    return Key.objects.select_for_update().filter(pk=pk).first()


def rotate() -> tuple[int, list[UnreadableKey]]:
    """Encrypt anew what isn't under the current key; return how many that were, and those that can't be read.

    Each key is a transaction of its own: it may be stopped and begun again at any time, while all runs.
    """
    rows = Key.objects.filter(encrypted=True).exclude(encryption_key_hash=keyring().current)
    renewed, unreadable = 0, []
    for pk in rows.order_by("pk").values_list("pk", flat=True):
        try:
            renewed += _renew(pk)
        except UnreadableKey as problem:
            unreadable.append(problem)
    return renewed, unreadable


@transaction.atomic
def _renew(pk: int) -> bool:
    key = locked(pk)
    if key is None or not key.encrypted or key.encryption_key_hash == keyring().current:
        return False  # deleted or changed since the look
    save_value(key, value_of(key), encrypted=True)
    return True
