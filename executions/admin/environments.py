"""Admin pages of what packs' dependencies are installed into, on each host."""

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from attune_project.identity.admin_access import RbacModelAdmin
from executions.models import RuntimeEnvironment


@admin.register(RuntimeEnvironment)
class RuntimeEnvironmentAdmin(RbacModelAdmin):
    """Workers build them and `manage.py pack_env` keeps them; here they are looked at."""

    resource = "workers"
    read_only = True
    list_display = ("pack_ref", "runtime_ref", "host", "status", "step", "started_at", "finished_at")
    list_filter = ("status", "runtime_ref", "host")
    search_fields = ("pack_ref", "host")
    ordering = ("pack_ref", "runtime_ref", "host")
    fields = (
        "pack_ref", "runtime_ref", "host", "status", "step", "why", "said", "started_at",
        "finished_at", "digest",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description="error")
    def why(self, row: RuntimeEnvironment) -> SafeString | str:
        return _lines(row.error)

    @admin.display(description="log")
    def said(self, row: RuntimeEnvironment) -> SafeString | str:
        return _lines(row.log)


def _lines(text: str | None) -> SafeString | str:
    return format_html('<pre class="whitespace-pre-wrap">{}</pre>', text) if text else "-"
