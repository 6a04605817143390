from .identity import Identity
from .key import Key, OwnerType
from .permission_set import PermissionAssignment, PermissionSet
from .rate_counter import RateCounter
from .refresh_token import RefreshToken
from .role import IdentityRoleAssignment, PermissionSetRoleAssignment

__all__ = [
    "Identity",
    "IdentityRoleAssignment",
    "Key",
    "OwnerType",
    "PermissionAssignment",
    "PermissionSet",
    "PermissionSetRoleAssignment",
    "RateCounter",
    "RefreshToken",
]
