from attune_project.console.models.health_check import CheckStatus, HealthCheck

__all__ = ["CheckStatus", "HealthCheck"]
