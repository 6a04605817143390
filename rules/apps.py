"""The rules app: what follows when something happened."""

from django.apps import AppConfig

from attune_project.messaging import steps
from attune_project.messaging.topology import ENFORCEMENT_CREATED, EVENT_CREATED


class RulesConfig(AppConfig):
    name = "rules"

    def ready(self) -> None:
        from attune_project.packs import items  # noqa: PLC0415
        from rules import pack_items  # noqa: PLC0415
        from rules.enforcing import enforce_only, enforce_pending  # noqa: PLC0415 (models are ready only now)
        from rules.matching import match_only, match_pending  # noqa: PLC0415
        from rules.states import rule_states  # noqa: PLC0415
        from sensors.neighbours import answer_rule_states  # noqa: PLC0415

        answer_rule_states(rule_states)
        items.register(pack_items.RULES)
        steps.register(
            steps.OwedStep(
                name="match",
                service="sensor",
                message=EVENT_CREATED,
                verb=match_pending,
                only=match_only,
                table="event",
                owed="status = 'new'",
                since="created",
            )
        )
        steps.register(
            steps.OwedStep(
                name="enforce",
                service="executor",
                message=ENFORCEMENT_CREATED,
                verb=enforce_pending,
                only=enforce_only,
                table="enforcement",
                owed="status = 'created'",
                since="created",
            )
        )
