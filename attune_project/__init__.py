"""Attune: event-driven automation.

Imports nothing: the launcher uses `attune_project.embedded` without Django and without any secret. The Celery
app is loaded by the messaging app, in every process that sets Django up.
"""
