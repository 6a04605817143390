"""An in-memory stand-in for the publisher: tests see what was rung."""

from attune_project.messaging.publisher import Letter
from attune_project.messaging.topology import MessageType


class FakePublisher:
    """Keeps every letter, in order."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []

    def send(self, letter: Letter) -> None:
        self.letters.append(letter)
        if letter.done:
            letter.done(None)

    def rung(self, message: MessageType) -> list[int]:
        """Return the ids that were rung for a message type."""
        return [row_id for letter in self.letters if letter.message == message for row_id in letter.ids]

    def clear(self) -> None:
        self.letters.clear()
