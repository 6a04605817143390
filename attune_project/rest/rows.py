"""The base row under the name that API code knows (it lives below messaging, which needs it too)."""

from attune_project.rows import Row

__all__ = ["Row"]
