"""What an action writes while it runs: pieces of its streams, in order, masked."""

from django.db import models

from attune_project.rows import Row, one_of


class Stream(models.TextChoices):
    STDOUT = "stdout"  # standard output
    STDERR = "stderr"  # standard error


class LogChunk(Row):
    """Bytes `start` to `start + size` of one stream of one attempt, as UTF-8 text without secrets."""

    execution = models.ForeignKey(
        "executions.Execution", models.CASCADE, db_constraint=False, db_index=False, related_name="log_chunks"
    )
    attempt = models.IntegerField()
    stream = models.TextField(choices=Stream)
    start = models.BigIntegerField()
    size = models.IntegerField()
    content = models.BinaryField()

    class Meta(Row.Meta):
        db_table = "log_chunk"
        constraints = [
            # readers: WHERE execution_id, attempt, stream AND start + size > offset ORDER BY start
            models.UniqueConstraint(
                fields=["execution", "attempt", "stream", "start"], name="log_chunk_execution_place_key"
            ),
            one_of("log_chunk_stream_check", "stream", Stream),
        ]

    def __str__(self) -> str:
        return f"{self.stream} of execution {self.execution_id} from byte {self.start}"
