from attune_project.messaging.models.dead_letter import DeadLetter
from attune_project.messaging.models.message_count import MessageCount
from attune_project.messaging.models.message_probe import MessageProbe
from attune_project.messaging.models.step import Step
from attune_project.messaging.models.step_failure import StepFailure

__all__ = ["DeadLetter", "MessageCount", "MessageProbe", "Step", "StepFailure"]
