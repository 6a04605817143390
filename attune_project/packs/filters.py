"""Filters of the lists."""

from attune_project.rest.filters import Choices, Flag, Overlaps, RowFilters, Search, Texts

from .models import WorkerRole, WorkerStatus
from .worker_state import HEALTH_STATES


class PackFilters(RowFilters):
    ref = Texts("ref")
    tags = Overlaps("tags")
    is_standard = Flag("is_standard")
    search = Search(columns=("ref", "label", "description"))


class RuntimeFilters(RowFilters):
    ref = Texts("ref")
    pack_ref = Texts("pack_ref")


class WorkerFilters(RowFilters):
    role = Choices("worker_role", choices=WorkerRole.choices)
    status = Choices("status", choices=WorkerStatus.choices)
    cordoned = Flag("cordoned")
    health_state = Choices("health_state", choices=[(state, state) for state in HEALTH_STATES])
