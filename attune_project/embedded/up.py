"""`attune up`: everything, in order, in one terminal, until Ctrl-C."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from attune_project.embedded.environment import (
    child_environment,
    first_administrator,
    keep_administrator,
    known_password,
)
from attune_project.embedded.errors import LauncherError
from attune_project.embedded.folder import DataFolder, read_private
from attune_project.embedded.logs import Terminal
from attune_project.embedded.servers import given_addresses, running_servers
from attune_project.embedded.services import (
    SERVICES,
    local_address,
    manage,
    require_free,
    service,
)
from attune_project.embedded.state import RunState
from attune_project.embedded.supervisor import Interrupted, Supervisor

STORY = """
Attune is up.

  Address     {url}/
  Admin       {url}/admin/
  API         {url}/api/v1   (reference: {url}/docs)
  Login       {login}
  Password    {password}
  Database    {database}
  Broker      {broker}

Executions by the API and by SQL, from another terminal:

  curl -H "Authorization: Bearer $(./attune token)" "{url}/api/v1/executions?page=1&per_page=50"
  ./attune psql -c "SELECT COUNT(*) FROM attune.enforcement;"
  ./attune psql -c "SELECT id, status, action_ref, created FROM attune.execution\
 ORDER BY created DESC LIMIT 5;"

Ctrl-C ends everything. The data stays in {folder}.
"""


def up(port: int, demo: bool) -> int:
    """Run until asked to stop; return the exit code."""
    folder = DataFolder.from_environment()
    with folder.lock("./attune up"):
        state = RunState(folder)
        state.end_leftovers()
        require_free(port)
        terminal = Terminal(sys.stdout.fileno())
        supervisor = Supervisor(terminal, state.note_children)
        supervisor.catch_signals()
        try:
            _run(folder, supervisor, state, port, demo)
        except Interrupted:
            terminal.say("attune: stopped")
    return 0


def _run(folder: DataFolder, supervisor: Supervisor, state: RunState, port: int, demo: bool) -> None:
    supervisor.terminal.say(f"attune: starting on {folder.path}")
    with running_servers(folder, supervisor, state) as servers:
        addresses = {**servers, "ATTUNE_API_URL": _api_url(port)}
        state.note_environment(addresses)
        environment = {**_defaults(supervisor.terminal), **child_environment(folder, addresses)}
        administrator = _prepare(folder, supervisor, environment, demo)
        _start_services(supervisor, environment, state.sockets_for("ready"), port)
        supervisor.terminal.say(_story(folder, addresses, administrator))
        supervisor.supervise()


def _defaults(terminal: Terminal) -> dict[str, str]:
    """Return what the environment may overrule: services drain within the ten seconds of a stop."""
    if os.geteuid() != 0:
        return {"ATTUNE_DRAIN_SECONDS": "3"}
    if os.environ.get("ATTUNE_SANDBOX", "none") == "none":
        terminal.say("attune: you are root, so actions that this Attune runs are root too")
    # Celery says the same, six lines for each of its processes.
    return {"ATTUNE_DRAIN_SECONDS": "3", "PYTHONWARNINGS": "ignore:You're running the worker with superuser"}


def _prepare(
    folder: DataFolder, supervisor: Supervisor, environment: Mapping[str, str], demo: bool
) -> dict[str, str]:
    """Migrate, make the first administrator, declare the topology, load the packs; return who that is."""
    chosen = first_administrator(folder)
    credentials = {"ATTUNE_ADMIN_LOGIN": chosen["login"], "ATTUNE_ADMIN_PASSWORD": chosen["password"]}
    result = folder.path / "prepared.json"
    result.unlink(missing_ok=True)
    arguments = ["prepare", "--verbosity", "0", "--result", str(result), *(["--demo"] if demo else [])]
    code = supervisor.run(manage("prepare", {**environment, **credentials}, *arguments))
    if code != 0:
        raise LauncherError(f"preparing the database failed (exit code {code}): see the lines above.")
    made = read_private(result)
    result.unlink()
    supervisor.terminal.say(f"attune: sandbox {made.get('sandbox', 'unknown')}")
    if made.get("created"):
        keep_administrator(folder, chosen)
    return {"login": str(made["login"]), "password": known_password(folder, str(made["login"]))}


def _start_services(supervisor: Supervisor, environment: Mapping[str, str], ready: Path, port: int) -> None:
    programs = [service(name, environment, ready, port) for name in SERVICES]
    for late in supervisor.start(programs):
        supervisor.terminal.say(f"attune: {late} is not ready after 30 s; it keeps trying")


def _story(folder: DataFolder, addresses: Mapping[str, str], administrator: Mapping[str, str]) -> str:
    given = given_addresses()
    return STORY.format(
        url=addresses["ATTUNE_API_URL"],
        login=administrator["login"],
        password=administrator["password"] or "(as it was chosen)",
        database="of DATABASE_URL" if "DATABASE_URL" in given else "embedded",
        broker="of BROKER_URL" if "BROKER_URL" in given else "embedded",
        folder=folder.path,
    )


def _api_url(port: int) -> str:
    """Return the address that others use; a local one follows the port, whatever an old shell says."""
    given = os.environ.get("ATTUNE_API_URL", "")
    if given and not given.startswith("http://localhost:"):
        return given
    host = "localhost" if local_address() == "127.0.0.1" else local_address()
    return f"http://{host}:{port}"
