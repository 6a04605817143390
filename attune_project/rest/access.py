"""How a view says who may call it: `permission = OPEN`, `permission = AUTHENTICATED`, or a `resource`."""

from enum import Enum


class Access(Enum):
    OPEN = "open"  # anybody; credentials are never looked at
    AUTHENTICATED = "authenticated"  # any identity
    GRANTED = "granted"  # whoever holds the right that `resource` and `permission_map` name


OPEN = Access.OPEN
AUTHENTICATED = Access.AUTHENTICATED
GRANTED = Access.GRANTED
