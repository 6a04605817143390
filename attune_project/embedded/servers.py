"""The servers under Attune: the embedded ones, or those that DATABASE_URL and BROKER_URL name."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from attune_project.embedded.environment import secrets_of
from attune_project.embedded.errors import LauncherError
from attune_project.embedded.folder import DataFolder
from attune_project.embedded.placement import Placement, make_socket_folder, own_account, place
from attune_project.embedded.postgres import Postgres
from attune_project.embedded.programs import Program
from attune_project.embedded.state import RunState
from attune_project.embedded.supervisor import Supervisor
from attune_project.embedded.valkey import Valkey

ADDRESSES = ("DATABASE_URL", "BROKER_URL")
OWN_SOCKETS = re.compile(r"/attune-[^/]+/(postgres|valkey)\b")


def given_addresses() -> dict[str, str]:
    """Return the servers that the environment names; each replaces an embedded one.

    What `attune env` printed isn't a choice: it names an embedded server, perhaps of an earlier run.
    """
    named = {name: os.environ.get(name, "") for name in ADDRESSES}
    return {name: url for name, url in named.items() if url and not OWN_SOCKETS.search(unquote(url))}


@contextmanager
def running_servers(
    folder: DataFolder,
    supervisor: Supervisor,
    state: RunState,
    *,
    broker: bool = True,
    throw_away: bool = False,
) -> Iterator[dict[str, str]]:
    """Run what the environment doesn't name and yield all addresses; at the end stop all that is supervised.

    Call with the data folder's lock held.
    """
    addresses = given_addresses()
    secrets = secrets_of(folder)
    placement = None if "DATABASE_URL" in addresses else place(folder)
    sockets = make_socket_folder(placement.account if placement else own_account())
    state.note_sockets(sockets)
    programs: list[Program] = []
    try:
        if placement:
            postgres = _postgres(placement, state, secrets, throw_away)
            programs.append(postgres.program())
            addresses["DATABASE_URL"] = postgres.url
        if broker and "BROKER_URL" not in addresses:
            valkey = Valkey(folder.path / "valkey", sockets / "valkey")
            programs.append(valkey.program())
            addresses["BROKER_URL"] = valkey.url
        if late := supervisor.start(programs):
            raise LauncherError(f"{' and '.join(late)} did not answer within 30 s: see the lines above.")
        yield addresses
    finally:
        supervisor.stop()
        state.clear()


def _postgres(placement: Placement, state: RunState, secrets: dict[str, str], throw_away: bool) -> Postgres:
    passwords = secrets["postgres_superuser_password"], secrets["postgres_password"]
    postgres = Postgres(placement, state.sockets_for("postgres"), *passwords, throw_away)
    postgres.initialise()
    return postgres
