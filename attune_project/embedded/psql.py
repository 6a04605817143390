"""The command line of psql for Attune's database."""

import shutil
from collections.abc import Mapping, Sequence

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from attune_project.embedded.placement import wheel


def psql_command(known: Mapping[str, str], arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return arguments (without the password) and environment: the machine's psql, else the wheel's."""
    address = {name: str(value) for name, value in conninfo_to_dict(known["DATABASE_URL"]).items()}
    options = f"{known.get('PGOPTIONS', '')} -c search_path=attune,public".strip()
    environment = {**known, "PGOPTIONS": options, "PGPASSWORD": address.pop("password", "")}
    program = shutil.which("psql") or str(wheel() / "bin" / "psql")
    return [program, "-d", make_conninfo("", **address), *arguments], environment
