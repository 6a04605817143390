#!/bin/bash
# Runs for as many seconds as it is told, and says under which process, so that its end can be seen.
read -r parameters
echo "$ATTUNE_EXEC_ID $$" >> "$ATTUNE_ARTIFACTS_DIR/processes"
sleep "${parameters//[^0-9]/}"
