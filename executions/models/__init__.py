from executions.models.action import Action
from executions.models.attempt import Attempt
from executions.models.execution import TERMINAL, Execution, RetryReason, Status

__all__ = ["TERMINAL", "Action", "Attempt", "Execution", "RetryReason", "Status"]
