"""Policies: who may start now, who waits, and where each waiting execution stands."""
