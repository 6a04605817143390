from attune_project.console.models.health_check import CheckStatus, HealthCheck
from attune_project.console.models.retention import RetentionConfig, RetentionCount

__all__ = ["CheckStatus", "HealthCheck", "RetentionConfig", "RetentionCount"]
