"""Animals that start, leave behind, stop or attack processes."""

from tests.zoo.animal import CAGED, FOREVER, python, shell

TIMEOUT = {"statuses": ("timeout",), "error": r"timed out after 2 s", "seconds": 2}
ANY_END = ("completed", "failed", "timeout")

PROCESSES = [
    shell(
        "fork_bomb",
        ":(){ :|:& };:\nwait\nsleep 60",
        statuses=ANY_END,
        seconds=2,
        limits={"processes": 100},
        modes=CAGED,
    ),
    python(
        "double_fork_daemon",
        """
import os
number = os.environ["ATTUNE_EXEC_ID"]
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir("/")
        os.closerange(0, 64)
        os.execve("/bin/sleep", ["sleep", f"86400.{number}"], {})
    os._exit(0)
print("left one behind")
""",
        says="left one behind",
    ),
    shell("setsid_nohup", f"setsid nohup sleep {FOREVER} >/dev/null 2>&1 </dev/null &\ndisown"),
    shell("orphans", f"for n in $(seq 50); do sleep {FOREVER} & done\nexit 0"),
    shell("pipe_heir", f"sleep {FOREVER} &\necho gone; exit 0", says="gone"),
    shell("pipe_heir_that_writes", "(while :; do echo more; sleep 0.2; done) &\necho gone", says="gone"),
    shell("term_ignorer", f"trap '' TERM\nsleep {FOREVER}\nsleep {FOREVER}", **TIMEOUT),
    shell(
        "family_of_term_ignorers",
        f"trap '' TERM HUP INT\n"
        f"for n in 1 2 3; do (trap '' TERM; while :; do sleep {FOREVER}; done) & done\nwait",
        **TIMEOUT,
    ),
    shell("exit_trapper", "trap 'while :; do sleep 1; done' EXIT\nexit 0", **TIMEOUT),
    shell("stops_itself", "kill -STOP $$\nsleep 60", **TIMEOUT),
    shell("stops_its_group", "kill -STOP 0\nsleep 60", **TIMEOUT),
    python(
        "changes_its_group",
        f"""
import os, time
if os.fork():
    time.sleep(600)
os.setpgid(0, 0)
os.execvp("sleep", ["sleep", "{FOREVER}".replace("$ATTUNE_EXEC_ID", os.environ["ATTUNE_EXEC_ID"])])
""",
        **TIMEOUT,
    ),
    python(
        "zombie_maker",
        """
import os, time
for _ in range(200):
    if os.fork() == 0:
        os._exit(0)
time.sleep(1)
""",
    ),
    python(
        "comet",  # each process starts the next and ends: a tail of ids that is never where one looks
        """
import os, sys
if os.fork():
    sys.exit(0)
while True:
    if os.fork():
        os._exit(0)
""",
    ),
    python(
        "comet_of_sessions",
        """
import os, sys
if os.fork():
    sys.exit(0)
while True:
    os.setsid()
    if os.fork():
        os._exit(0)
""",
    ),
    shell("kills_its_parent", "kill -9 $PPID\nsleep 1\necho still here", statuses=ANY_END),
    python(
        "signals_the_group_of_its_parent",
        """
import os, signal, time
try:
    os.killpg(os.getpgid(os.getppid()), signal.SIGTERM)
except (PermissionError, ProcessLookupError) as problem:
    print(problem)
time.sleep(1)
""",
        statuses=(*ANY_END, "cancelled"),
    ),
    shell("kills_whom_it_can", "kill -9 -1\nexit 0", statuses=ANY_END, modes=CAGED),
    python(
        "hunts_the_worker",
        """
import os, pathlib, signal
hit = []
for folder in pathlib.Path("/proc").iterdir():
    try:
        if folder.name.isdigit() and b"service\\0worker" in (folder / "cmdline").read_bytes():
            os.kill(int(folder.name), signal.SIGKILL)
            hit.append(folder.name)
    except OSError:
        pass
print("hit", len(hit))
""",
        modes=CAGED,
        says=r"^hit 0",
    ),
    shell("sleeps_too_long", f"sleep {FOREVER}", **TIMEOUT),
    shell("sleeps_past_the_lease", "sleep 12\necho slept", says="slept"),
    shell("segfaults", "kill -SEGV $$", statuses=("failed",), result={"exit_code": 139}),
    shell(
        "exits_255", "echo why >&2\nexit 255", statuses=("failed",), error="^why$", result={"exit_code": 255}
    ),
    shell(
        "execs_itself",
        "export ROUND=${ROUND:-0}\nROUND=$((ROUND + 1))\n"
        '[ "$ROUND" -gt 200 ] && echo "$ROUND" && exit 0\nexec bash "$0"',
        says="^201",
    ),
    shell(
        "cancelled_term_ignorer",
        f"trap '' TERM\nsleep {FOREVER}\nsleep {FOREVER}",
        statuses=("cancelled",),
        cancel=True,
    ),
    shell("cancelled_while_stopped", "kill -STOP $$\nsleep 600", statuses=("cancelled",), cancel=True),
    shell(
        "cancelled_with_daemons",
        f"setsid sleep {FOREVER} >/dev/null 2>&1 &\nsetsid setsid sleep {FOREVER} &\nsleep {FOREVER}",
        statuses=("cancelled",),
        cancel=True,
    ),
    shell(
        "well_behaved_when_cancelled",
        "trap 'echo bye; exit 3' TERM\nwhile :; do sleep 0.1; done",
        statuses=("cancelled",),
        cancel=True,
    ),
]
