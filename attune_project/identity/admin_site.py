"""The admin site."""

from unfold.sites import UnfoldAdminSite


class AttuneAdminSite(UnfoldAdminSite):
    site_title = "Attune"
    site_header = "Attune"
    index_title = "Attune"
