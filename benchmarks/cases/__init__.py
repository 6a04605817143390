"""The cases: each a function from a Bench to what it found, which raises Incorrect when work was not done."""

from collections.abc import Callable
from typing import Any

from benchmarks.bench import Bench
from benchmarks.cases import backlog, fanout, ingest, lists, pipeline, retention, scale, shell

Found = dict[str, Any]
Case = Callable[[Bench], Found]

# Those that share one lot of services come first.
CASES: dict[str, Case] = {
    "pipeline_throughput": pipeline.throughput,
    "pipeline_single": pipeline.single,
    "pipeline_latency": pipeline.latency,
    "ingest_single": ingest.single,
    "ingest_bulk": ingest.bulk,
    "backlog": backlog.backlog,
    "match_fanout": fanout.fanout,
    "shell_actions": shell.shell_actions,
    "api_list": lists.api_list,
    "retention": retention.retention,
    "scale": scale.scale,
}
