from attune_project.packs.models.pack import Pack
from attune_project.packs.models.runtime import Runtime
from attune_project.packs.models.worker import Worker, WorkerRole, WorkerStatus, WorkerType

__all__ = ["Pack", "Runtime", "Worker", "WorkerRole", "WorkerStatus", "WorkerType"]
