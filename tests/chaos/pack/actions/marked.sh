#!/bin/bash
# One line per start, so that a second run of one execution can be seen.
echo "$ATTUNE_EXEC_ID start" >> "$ATTUNE_ARTIFACTS_DIR/marks"
echo "kept" > "$ATTUNE_ARTIFACTS_DIR/$ATTUNE_EXEC_ID/kept.txt"
echo "first line"
sleep 0.7
echo "last line"
