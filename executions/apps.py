"""The executions app: what is done."""

from celery import current_app
from django.apps import AppConfig
from django.db.models.signals import pre_delete

from attune_project.messaging import pools, steps
from attune_project.messaging.topology import (
    EXECUTION_COMPLETED,
    EXECUTION_REQUESTED,
    EXECUTION_STATUS_CHANGED,
)
from attune_project.service import current_service


class ExecutionsConfig(AppConfig):
    name = "executions"

    def ready(self) -> None:
        from attune_project.identity import runs  # noqa: PLC0415
        from attune_project.packs import items, worker_state  # noqa: PLC0415
        from executions import clock, lifecycle, pack_items, running, waking  # noqa: F401, PLC0415 (models are ready only now)
        from executions.models import Policy  # noqa: PLC0415
        from executions.policies import changes  # noqa: PLC0415
        from executions.worker import load, ticks  # noqa: PLC0415
        from executions.worker.bootstep import WorkerSlots  # noqa: PLC0415

        items.register(pack_items.ACTIONS)
        pre_delete.connect(changes.hold_off_decisions, sender=Policy)
        worker_state.answer_running_counts(load.running_counts)
        pools.answer_pools(load.named_pools)
        runs.answer_runs(is_on=running.is_on, descendants=running.descendants)
        steps.register_hint(EXECUTION_STATUS_CHANGED, waking.wake_streams)
        steps.register(
            steps.OwedStep(
                name="run",
                service="worker",
                message=EXECUTION_REQUESTED,
                verb=ticks.take,
                table="execution",
                owed="status = 'scheduled'",
                since="scheduled_at",
                waits_by_design=ticks.waits_by_design,
            )
        )
        steps.register(
            steps.OwedStep(
                name="settle",
                service="executor",
                message=EXECUTION_COMPLETED,
                verb=lifecycle.settle,
                only=lifecycle.settle_only,
                table="execution",
                owed="finished_at IS NOT NULL AND settled_at IS NULL",
                since="finished_at",
            )
        )
        if current_service() == "worker":
            current_app.steps["worker"].add(WorkerSlots)
