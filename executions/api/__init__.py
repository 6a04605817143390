"""The REST API of actions and executions."""
