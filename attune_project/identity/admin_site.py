"""The admin site. Its login also opens the browsable API, to identities that may not open the admin."""

from django.contrib.auth.base_user import AbstractBaseUser
from unfold.forms import AuthenticationForm
from unfold.sites import UnfoldAdminSite


class LoginForm(AuthenticationForm):  # type: ignore[misc]
    def confirm_login_allowed(self, user: AbstractBaseUser) -> None:
        """Let everybody in whose password is right; the site itself asks for `is_staff` on each page."""


class AttuneAdminSite(UnfoldAdminSite):  # type: ignore[misc]
    site_title = "Attune"
    site_header = "Attune"
    index_title = "Attune"
    login_form = LoginForm
