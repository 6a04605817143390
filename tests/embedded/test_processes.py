import os
import signal
import subprocess
import sys

from attune_project.embedded import processes
from attune_project.embedded.processes import Identity, wait_until

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]


def test_a_used_again_pid_is_not_the_same_process() -> None:
    impostor = Identity(os.getpid(), started="1")

    processes.end(impostor, signal.SIGKILL, patience=1)

    assert not impostor.alive()
    assert Identity.of(os.getpid()).alive()


def test_a_zombie_is_not_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    identity = Identity.of(process.pid)

    assert wait_until(lambda: not identity.alive(), seconds=60)
    process.wait()


def test_what_ignores_the_signal_is_killed() -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()

    processes.end(Identity.of(process.pid), signal.SIGTERM, patience=0.2)

    process.stdout.close()
    assert process.wait() == -signal.SIGKILL


def test_children_die_with_their_launcher() -> None:
    code = (
        "import subprocess, sys, time; from attune_project.embedded import processes\n"
        "child = processes.spawn(sys.argv[1:], {}, stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print(child.pid, flush=True); time.sleep(60)"
    )
    launcher = subprocess.Popen([sys.executable, "-c", code, *SLEEP], stdout=subprocess.PIPE)
    assert launcher.stdout is not None
    child = Identity.of(int(launcher.stdout.readline()))
    assert child.alive()

    launcher.kill()

    assert wait_until(lambda: not child.alive(), seconds=60)
    launcher.stdout.close()
    launcher.wait()


def test_ctrl_c_in_the_terminal_does_not_reach_children() -> None:
    child = processes.spawn(SLEEP, {}, stdout=subprocess.PIPE)

    assert os.getsid(child.pid) == child.pid
    child.kill()
    child.communicate()


def test_waiting_has_an_end() -> None:
    assert not wait_until(lambda: False, seconds=0.1)
