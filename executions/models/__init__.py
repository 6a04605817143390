from executions.models.action import Action
from executions.models.artifact import Artifact, ArtifactChunk, ArtifactVersion
from executions.models.attempt import Attempt
from executions.models.environment import EnvironmentStatus, RuntimeEnvironment
from executions.models.execution import TERMINAL, Execution, RetryReason, Status
from executions.models.log import LogChunk, Stream
from executions.models.policy import Method, Policy, PolicyGroup, PolicySlot, PolicyStamp
from executions.models.progress import Progress

__all__ = [
    "TERMINAL",
    "Action",
    "Artifact",
    "ArtifactChunk",
    "ArtifactVersion",
    "Attempt",
    "EnvironmentStatus",
    "Execution",
    "LogChunk",
    "Method",
    "Policy",
    "PolicyGroup",
    "PolicySlot",
    "PolicyStamp",
    "Progress",
    "RetryReason",
    "RuntimeEnvironment",
    "Status",
    "Stream",
]
