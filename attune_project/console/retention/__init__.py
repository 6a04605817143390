"""Retention: what is over and old enough goes, in small batches, oldest first.

A chain (an event, what rules said of it, its enforcements, their executions with all below and beside them)
goes as a whole, in one transaction: half a chain would be a promise that looks broken. It goes when
all of it is finished and settled and its last execution ended before the limit. An execution that was
run again stays until that re-run has gone. Artifacts have limits of their own and stay behind.
"""
