#!/bin/bash
# One line per start and one per end, so that a second run of one execution can be seen.
read -r parameters
echo "$ATTUNE_EXEC_ID start" >> "$ATTUNE_ARTIFACTS_DIR/marks"
sleep 0.2
echo "$ATTUNE_EXEC_ID end" >> "$ATTUNE_ARTIFACTS_DIR/marks"
echo "$parameters"
