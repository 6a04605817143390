"""Refresh tokens that were given out."""

import uuid

from django.db import models

from attune_project.rows import Row

from .identity import Identity


class RefreshToken(Row):
    """One refresh token, known by its `jti`; the token itself is never stored.

    `rotated_at`: used once; good for a minute more, since its holder may not have got the answer.
    `revoked_at`: ended on purpose, at once.
    """

    identity = models.ForeignKey(Identity, models.CASCADE, related_name="refresh_tokens")
    jti = models.UUIDField(default=uuid.uuid4, editable=False)
    expires_at = models.DateTimeField()
    rotated_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta(Row.Meta):
        db_table = "refresh_token"
        constraints = [models.UniqueConstraint(fields=["jti"], name="refresh_token_jti_key")]
        indexes = [
            # Retention: tokens whose time is over.
            models.Index(fields=["expires_at"], name="refresh_token_by_expiry")
        ]

    def __str__(self) -> str:
        return str(self.jti)
