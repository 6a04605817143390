"""Environments of packs: what their dependencies are installed into, on each worker host.

Promises: an environment is built by whichever worker of a host needs it first, while the others wait;
it is used only once it is whole, so that a killed build costs its time and nothing else; one that is
used is never changed or removed, since a rebuild makes another beside it. What a build is and how it
went stands in a row for people; workers decide by what lies on their own disk.

`needs` says what an environment is made of, `places` where it lies and who uses it, `installing`
makes one, `serving` gives an execution its own.
"""
