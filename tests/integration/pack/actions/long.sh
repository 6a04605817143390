#!/bin/bash
# Runs for as many seconds as it is told, and holds a lock meanwhile, so that its end can be seen.
read -r parameters
cd "$ATTUNE_ARTIFACTS_DIR"
lock=$(mktemp "lock-$ATTUNE_EXEC_ID-XXXXXX")
exec 9>"$lock"
flock 9
echo "$ATTUNE_EXEC_ID $lock" >> processes
sleep "${parameters//[^0-9]/}"
