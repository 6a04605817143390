"""The REST API of triggers, sensors, events and webhooks."""
