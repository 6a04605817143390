"""The admin's application: Django's, with Attune's site."""

from django.contrib.admin.apps import AdminConfig


class AttuneAdminConfig(AdminConfig):
    default_site = "attune_project.identity.admin_site.AttuneAdminSite"
