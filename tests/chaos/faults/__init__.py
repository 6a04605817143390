"""The faults that a campaign knows, by name."""

from tests.chaos.faults import actions, broker, database, deploys, messages, network, processes
from tests.chaos.faults.fault import Fault

FAULTS: dict[str, type[Fault]] = {
    one.name: one
    for family in (processes, broker, messages, network, database, deploys, actions)
    for one in family.FAULTS
}
SHORT = tuple(name for name, one in FAULTS.items() if one.short)

__all__ = ["FAULTS", "SHORT", "Fault"]
