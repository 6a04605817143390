"""Wake the streams that watch executions: PostgreSQL NOTIFY with ids."""

from attune_project.statements import rows_of

CHANNEL = "attune_execution"  # executions changed
LOG_CHANNEL = "attune_log"  # executions wrote something
IDS_PER_NOTIFY = 400  # a payload may have 8,000 bytes


def wake_streams(ids: list[int]) -> None:
    """Tell every web process which executions changed. A hint: a stream reads changes by itself, too."""
    for start in range(0, len(ids), IDS_PER_NOTIFY):
        part = ",".join(str(row_id) for row_id in ids[start : start + IDS_PER_NOTIFY])
        rows_of("SELECT pg_notify(%s, %s)", [CHANNEL, part])
