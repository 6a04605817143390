"""AES-256-GCM for values at rest. Pure: no database, no Django.

What is stored is text: `attune1.<id>.<base64 of nonce, ciphertext and tag>`. The id tells which secret a
value is under without telling anything of the secret, so that several may be in use while they are rotated.
A value is bound to its ref: moved to another row, it can't be opened.
"""

import json
import os
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORM = "attune1"
NONCE = 12  # bytes, the size that NIST SP 800-38D recommends
CIPHER = b"attune: values at rest"
IDENTIFIER = b"attune: id of an encryption key"


class Unreadable(ValueError):
    """A stored value that no secret at hand opens, and why; never with anything of the value."""


class Keyring:
    """Encrypts under the first secret; decrypts what is under any of them."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self.current = identifier(secrets[0])
        self._ciphers = {identifier(secret): AESGCM(_derived(secret, CIPHER)) for secret in secrets}

    def seal(self, value: Any, ref: str) -> str:
        """Return a JSON value as text that only this ring opens, and only as the value of `ref`."""
        plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        nonce = os.urandom(NONCE)
        sealed = nonce + self._ciphers[self.current].encrypt(nonce, plain, ref.encode())
        return f"{FORM}.{self.current}.{b64encode(sealed).decode()}"

    def open(self, stored: Any, ref: str) -> Any:
        """Return the JSON value that was sealed for `ref`; raise Unreadable."""
        parts = stored.split(".") if isinstance(stored, str) else []
        if len(parts) != 3 or parts[0] != FORM:
            raise Unreadable("it isn't in a form that this version writes")
        cipher = self._ciphers.get(parts[1])
        if cipher is None:
            raise Unreadable(f"it is under the encryption key {parts[1]}, which isn't given here")
        try:
            sealed = b64decode(parts[2], validate=True)
            return json.loads(cipher.decrypt(sealed[:NONCE], sealed[NONCE:], ref.encode()))
        except (InvalidTag, NotBase64, ValueError):
            raise Unreadable("it was changed, or belongs to another key") from None


@lru_cache(maxsize=32)
def identifier(secret: str) -> str:
    """Return what a secret is known by in the database: 32 hex digits."""
    return _derived(secret, IDENTIFIER)[:16].hex()


def _derived(secret: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())
