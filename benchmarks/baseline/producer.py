"""A process that records events of the hand-written pipeline: `python -m benchmarks.baseline.producer`."""

from benchmarks.baseline.tasks import record
from benchmarks.feeding import serve

if __name__ == "__main__":
    serve(record)
