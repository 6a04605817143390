"""Every change of an execution's status, and nothing else changes it.

Each function is one statement of compare-and-set: it names the statuses that it may leave, and a
result is taken only with the token of the lease it was worked out under. Times come from the
database's clock at the moment of the row (`clock_timestamp()`), so that created <= scheduled <=
started <= finished <= settled holds across processes. Statuses are written as literals: a bound
parameter can miss the partial index.
"""

from executions.lifecycle import retrying
from executions.lifecycle.admitting import admit, admit_waiting
from executions.lifecycle.announcing import announce
from executions.lifecycle.cancelling import cancel
from executions.lifecycle.claiming import Claimant, Claimed, claim, waiting_beside, waiting_in_pool
from executions.lifecycle.completing import complete
from executions.lifecycle.explaining import explain
from executions.lifecycle.finishing import Ended, finish
from executions.lifecycle.leases import cancelled, release, renew
from executions.lifecycle.losing import expire
from executions.lifecycle.placing import explain_waiting, fail_unplaceable, unable
from executions.lifecycle.queueing import enqueue, expire_waiting, join_queues
from executions.lifecycle.reassigning import reassign
from executions.lifecycle.returning import hand_back
from executions.lifecycle.settling import settle, settle_only

__all__ = [
    "Claimant",
    "Claimed",
    "Ended",
    "admit",
    "admit_waiting",
    "announce",
    "cancel",
    "cancelled",
    "claim",
    "complete",
    "enqueue",
    "expire",
    "expire_waiting",
    "explain",
    "explain_waiting",
    "fail_unplaceable",
    "finish",
    "hand_back",
    "join_queues",
    "reassign",
    "release",
    "renew",
    "retrying",
    "settle",
    "settle_only",
    "unable",
    "waiting_beside",
    "waiting_in_pool",
]
