"""The process of an action never outlives its lease, its limit, its cancel or its worker.

A worker process may be frozen, killed, or cut off from its database at any time; what it started must
end all the same, before another worker may be given the same execution. So a worker starts no action
itself. It has a **zygote**, and the zygote forks **guards**, one for each run that is going on:

    worker --exec--> zygote --fork--> guard --fork, exec--> action --> whatever that starts

* The zygote is a small interpreter without Django, environment or descriptors of the worker: what is
  forked from it can't leak what it never had. It has one thread, so that forking is safe.
* A guard whose run ended by itself, with nobody left, waits for the next one: a fork and a namespace cost
  more than all else that a run takes. It serves only runs under the same limits, and none after one that
  changed the guard (its priority, processors, scheduling, cgroups, limits or mounts): see `condition`. Each
  run takes the request on (READY) before it is started, so one that no guard took can go to another guard.
* The guard holds the worker's **permit**, a point in CLOCK_BOOTTIME that each renewal of the lease
  moves. It kills everything when the permit runs out, when its control socket says that the worker is
  gone, or at the end of the wall-clock limit; so a frozen worker's run ends before its lease.
* Root gives each guard a PID namespace of its own, as its init: one kill(-1) gets everybody of its run, and
  finds nobody before the next one; when somebody kills the guard, the kernel kills them. Elsewhere the
  guard is a subreaper: daemons become its children, however they left. If it is killed itself, its heirs
  fall to the zygote, which is a subreaper, too, and kills every child that it didn't fork itself.
* The zygote keeps the guard's end of the control socket open until nobody of the run is left. So the
  end of that socket, or the word of a guard that goes on, is the proof that the worker waits for, whoever
  died in which order.

What it can't do: without a namespace, an action of the worker's own user may kill zygote and guard in
one go (it may kill the worker, too). An action of root may trace its guard, and so whatever that runs next.
ATTUNE_SANDBOX=user or bwrap is for actions that do such things.

`zygote`, `guard`, `condition`, `action`, `tree`, `linux` and `wire` run without site-packages: they import
nothing but the standard library and each other. `client` is the worker's side.
"""
