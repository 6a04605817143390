"""Admin pages of operators' own periodic tasks: django-celery-beat's, under the theme and our rights."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat import admin as theirs
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    PeriodicTasks,
    SolarSchedule,
)
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from attune_project.identity.admin_access import MANAGED, RbacModelAdmin
from sensors.periodic import CheckedPeriodicTaskForm

for model in (ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule):
    admin.site.unregister(model)


class TaskSelect(UnfoldAdminSelectWidget, theirs.TaskSelectWidget):  # type: ignore[misc] # untyped upstream
    pass


class ThemedPeriodicTaskForm(CheckedPeriodicTaskForm):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["task"].widget = UnfoldAdminTextInputWidget()
        self.fields["regtask"].widget = TaskSelect()


@admin.register(PeriodicTask)
class PeriodicTaskPage(RbacModelAdmin, theirs.PeriodicTaskAdmin):  # type: ignore[misc] # untyped upstream
    """They may do whatever a service can: only who manages workers touches them."""

    resource = "workers"
    rights = MANAGED
    form = ThemedPeriodicTaskForm
    change_form_template = None
    date_hierarchy = None
    list_display = ("name", "enabled", "task", "interval", "crontab", "last_run_at", "one_off")
    list_filter = ("enabled", "one_off")
    list_select_related = ("interval", "crontab")
    actions = ("enable_tasks", "disable_tasks")

    @admin.action(description="Enable selected tasks", permissions=["change"])
    def enable_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Enable one by one: each is held to what beat can do with it, as when it is saved."""
        for task in queryset:
            task.enabled = True
            try:
                task.save()
            except ValidationError as problem:
                messages.error(request, f"{task.name}: {' '.join(problem.messages)}")

    @admin.action(description="Disable selected tasks", permissions=["change"])
    def disable_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        queryset.update(enabled=False, last_run_at=None)
        PeriodicTasks.update_changed()


class SchedulePage(RbacModelAdmin):
    resource = "workers"
    rights = MANAGED


@admin.register(CrontabSchedule)
class CrontabSchedulePage(SchedulePage):
    list_display = ("__str__", "human_readable")


admin.site.register([ClockedSchedule, IntervalSchedule, SolarSchedule], SchedulePage)
