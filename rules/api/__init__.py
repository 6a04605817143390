"""The REST API of rules, enforcements and evaluations."""
