#!/bin/bash
# Poison (n below 0) kills the process that runs it.
read -r parameters
n=${parameters//[^0-9-]/}
echo "$n start" >> "$ATTUNE_ARTIFACTS_DIR/marks"
if (( n < 0 )); then kill -9 $PPID; sleep 60; fi
sleep 0.2
echo "$n end" >> "$ATTUNE_ARTIFACTS_DIR/marks"
