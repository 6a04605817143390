"""Animals that try to see, or to show, what isn't theirs."""

from tests.zoo.animal import CAGED, SECRET, python, shell

READ = 'read -r line\nsecret=${line#*secret\\":\\"}\nsecret=${secret%%\\"*}\n'
HALVES = SECRET[:11], SECRET[11:]
MASK = r"\*{8}"
WORKERS_OWN = ("postgresql://", "amqp://", "not-a-secret-", "ATTUNE_JWT", "DATABASE_URL=", "BROKER_URL=")

SECRETS = [
    shell("prints_its_secret", 'cat; cat "$0" >/dev/null', secret=True, says=MASK),
    python(
        "prints_its_secret_in_pieces",
        """
import json, sys, time
secret = json.load(sys.stdin)["secret"]
for letter in secret:
    sys.stdout.write(letter)
    sys.stdout.flush()
    time.sleep(0.03)
""",
        secret=True,
        says=MASK,
    ),
    python(
        "prints_its_secret_at_every_border",
        """
import json, os, sys
secret = json.load(sys.stdin)["secret"].encode()
for size in range(65500, 65560):
    os.write(1, b"." * size + secret)
""",
        secret=True,
        says=MASK,
    ),
    python(
        "encodes_its_secret",
        """
import base64, json, sys
secret = json.load(sys.stdin)["secret"].encode()
for before in (b"", b"a", b"bc"):
    print(base64.b64encode(before + secret + b" and more").decode())
""",
        secret=True,
        says=MASK,
        never=(
            "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5",
            "NvcnJlY3QtaG9yc2UtYmF0dGVye",
            "jb3JyZWN0LWhvcnNlLWJhdHRlcnkt",
        ),
    ),
    python(
        "fails_with_its_secret",
        """
import json, sys
sys.exit("can't log in with " + json.load(sys.stdin)["secret"])
""",
        secret=True,
        statuses=("failed",),
        error=MASK,
    ),
    python(
        "answers_with_its_secret",
        """
import json, sys
secret = json.load(sys.stdin)["secret"]
print(json.dumps({"deep": [{"er": secret, secret: 1}]}))
""",
        secret=True,
        output_format="json",
    ),
    shell("shows_its_environment", "env; env >&2", secret=True, never=WORKERS_OWN),
    python(
        "shows_its_arguments",
        """
import pathlib
for name in ("self", "thread-self"):
    print(pathlib.Path(f"/proc/{name}/cmdline").read_bytes())
""",
        secret=True,
        never=WORKERS_OWN,
    ),
    python(
        "snoops_in_proc",
        """
import pathlib
for folder in pathlib.Path("/proc").iterdir():
    for name in ("environ", "cmdline"):
        try:
            data = (folder / name).read_bytes()
        except OSError:
            continue
        if b"DATABASE_URL" in data or b"postgresql://" in data or b"amqp://" in data:
            print("found", data)
""",
        modes=CAGED,
        never=WORKERS_OWN,
    ),
    python(
        "looks_at_its_ancestors",  # nobody between the worker and the action holds anything of the worker's
        """
import os, pathlib
pid = os.getppid()
try:
    print(pathlib.Path(f"/proc/{pid}/environ").read_bytes())
except OSError as problem:
    print(problem)
""",
        never=WORKERS_OWN,
    ),
    python(
        "counts_its_files",
        """
import os
print(sorted(int(name) for name in os.listdir("/proc/self/fd"))[:3], len(os.listdir("/proc/self/fd")))
""",
        says=r"^\[0, 1, 2\] [34]\n",
    ),
    python(
        "reads_the_data_folder",
        """
import os, pathlib
folder = pathlib.Path(os.environ["ATTUNE_ARTIFACTS_DIR"]).parent
for path in folder.rglob("*"):
    try:
        if path.is_file() and b"keep-out" in path.read_bytes():
            print("leaked", path)
    except OSError:
        pass
""",
        modes=CAGED,
        never=("leaked",),
    ),
    shell(
        "asks_for_more_rights",
        "grep NoNewPrivs /proc/self/status; grep CapEff /proc/self/status",
        says=r"NoNewPrivs:\s+1",
    ),
    shell("has_no_capabilities", "grep CapEff /proc/self/status", says=r"CapEff:\s+0+\b", modes=CAGED),
    shell("is_somebody_else", "id -u", says=r"^63\d\d\d\b", modes=("user",)),
    python(
        "reads_the_homes_of_others",
        """
import os, pathlib
mine = pathlib.Path(os.environ["HOME"]).parent
for other in mine.parent.glob("attune-run-*"):
    if other != mine and (os.access(other / "home", os.R_OK) or os.access(other / "parameters", os.R_OK)):
        print("leaked", other)
""",
        modes=CAGED,
        never=("leaked",),
    ),
]
