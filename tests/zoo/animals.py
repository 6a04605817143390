"""All animals of the zoo."""

from tests.zoo.processes import PROCESSES
from tests.zoo.resources import RESOURCES
from tests.zoo.secrets import SECRETS
from tests.zoo.streams import STREAMS

ANIMALS = [*PROCESSES, *STREAMS, *SECRETS, *RESOURCES]
BY_NAME = {animal.name: animal for animal in ANIMALS}
