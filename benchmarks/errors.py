"""What ends a benchmark."""


class BenchmarkError(Exception):
    """A message for the person at the terminal: what is wrong and what to do."""


class Incorrect(Exception):
    """What was measured did not do its work: the numbers mean nothing."""
