"""The admin's navigation, in the order of the path: what happens, what is decided, what is done."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

Entry = tuple[str, str, str]  # title, app and model (or page), icon
PAGES = {"console_invariants": "console_healthcheck"}  # pages of their own, seen by who sees that model
GROUPS: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "Happens",
        (
            ("Triggers", "sensors_trigger", "bolt"),
            ("Sensors", "sensors_sensor", "sensors"),
            ("Events", "sensors_event", "notifications"),
            ("Timers", "sensors_timer", "timer"),
            ("Periodic tasks", "django_celery_beat_periodictask", "event_repeat"),
        ),
    ),
    (
        "Decides",
        (
            ("Rules", "rules_rule", "rule"),
            ("Enforcements", "rules_enforcement", "call_split"),
            ("Evaluations", "rules_ruleevaluation", "fact_check"),
        ),
    ),
    (
        "Does",
        (
            ("Actions", "executions_action", "play_circle"),
            ("Executions", "executions_execution", "terminal"),
            ("Artifacts", "executions_artifact", "attach_file"),
            ("Policies", "executions_policy", "traffic"),
        ),
    ),
    (
        "House",
        (
            ("Packs", "packs_pack", "inventory_2"),
            ("Workers", "packs_worker", "dns"),
            ("Environments", "executions_runtimeenvironment", "deployed_code"),
            ("Health", "console_healthcheck", "monitor_heart"),
            ("Invariants", "console_invariants", "fact_check"),
            ("Probes", "messaging_messageprobe", "network_ping"),
            ("Steps", "messaging_step", "stairs"),
            ("Dead letters", "messaging_deadletter", "mark_email_unread"),
            ("Retention", "console_retentionconfig", "auto_delete"),
            ("Identities", "identity_identity", "group"),
            ("Permission sets", "identity_permissionset", "shield_person"),
            ("Keys", "identity_key", "key"),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the groups with those of their pages that the caller may see."""
    seen = {
        f"{model._meta.app_label}_{model._meta.model_name}"
        for model, page in admin.site._registry.items()
        if page.has_module_permission(request)
    }
    groups = [
        (title, [_item(entry) for entry in entries if PAGES.get(entry[1], entry[1]) in seen])
        for title, entries in GROUPS
    ]
    return [{"title": title, "separator": True, "items": items} for title, items in groups if items]


def _item(entry: Entry) -> dict[str, Any]:
    title, name, icon = entry
    return {
        "title": title,
        "icon": icon,
        "link": reverse(f"admin:{name if name in PAGES else f'{name}_changelist'}"),
    }
