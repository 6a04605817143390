"""A key: a value that actions are given, under a name."""

from django.db import models
from django.db.models import Q

from attune_project.rows import Row, one_of

from .identity import Identity


class OwnerType(models.TextChoices):
    SYSTEM = "system"  # of the whole installation
    IDENTITY = "identity"  # of one person
    PACK = "pack"  # given to every action of the pack
    ACTION = "action"  # given to the action
    SENSOR = "sensor"  # given to the sensor


OWNED = ("identity", "pack", "action", "sensor")
REFS = ("pack", "action", "sensor")


def owner_is_one(owner_type: str) -> Q:
    """Return what holds of a key of this type: it names the one owner that its type says, and no other."""
    columns = [*(f"owner_{kind}" for kind in OWNED), *(f"owner_{kind}_ref" for kind in REFS)]
    wanted = {f"owner_{owner_type}", f"owner_{owner_type}_ref"}
    return Q(owner_type=owner_type, **{f"{column}__isnull": column not in wanted for column in columns})


class Key(Row):
    """`value` is JSON; where `encrypted`, it is text that keys/encryption.py wrote, under the encryption key
    that `encryption_key_hash` identifies. keys/storing.py reads and writes it.

    `owner` is the ref of the pack, action or sensor, the id of the identity, or `system`.
    """

    ref = models.CharField(max_length=255)
    owner_type = models.CharField(max_length=20, choices=OwnerType)
    owner = models.CharField(max_length=255)
    owner_identity = models.ForeignKey(
        Identity, models.CASCADE, null=True, blank=True, related_name="owned_keys"
    )
    owner_pack = models.ForeignKey(
        "packs.Pack", models.CASCADE, null=True, blank=True, related_name="owned_keys"
    )
    owner_pack_ref = models.CharField(max_length=255, null=True, blank=True)
    owner_action = models.ForeignKey(
        "executions.Action", models.CASCADE, null=True, blank=True, related_name="owned_keys"
    )
    owner_action_ref = models.CharField(max_length=255, null=True, blank=True)
    owner_sensor = models.ForeignKey(
        "sensors.Sensor", models.CASCADE, null=True, blank=True, related_name="owned_keys"
    )
    owner_sensor_ref = models.CharField(max_length=255, null=True, blank=True)
    name = models.CharField(max_length=255)
    encrypted = models.BooleanField(default=True)
    encryption_key_hash = models.CharField(max_length=64, null=True, blank=True)
    value = models.JSONField()

    class Meta(Row.Meta):
        db_table = "key"
        constraints = [
            models.UniqueConstraint(fields=["ref"], name="key_ref_key"),
            models.UniqueConstraint(fields=["owner_type", "owner", "name"], name="key_owner_name_key"),
            one_of("key_owner_type_check", "owner_type", OwnerType),
            models.CheckConstraint(
                condition=owner_is_one("system") | owner_is_one("identity") | owner_is_one("pack")
                | owner_is_one("action") | owner_is_one("sensor"),
                name="key_owner_check",
            ),
            models.CheckConstraint(
                condition=Q(encrypted=True, encryption_key_hash__isnull=False)
                | Q(encrypted=False, encryption_key_hash__isnull=True),
                name="key_encryption_check",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.ref
