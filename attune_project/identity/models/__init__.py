from .identity import Identity
from .permission_set import PermissionAssignment, PermissionSet
from .rate_counter import RateCounter
from .refresh_token import RefreshToken
from .role import IdentityRoleAssignment, PermissionSetRoleAssignment

__all__ = [
    "Identity",
    "IdentityRoleAssignment",
    "PermissionAssignment",
    "PermissionSet",
    "PermissionSetRoleAssignment",
    "RateCounter",
    "RefreshToken",
]
