#!/bin/bash
setsid bash -c 'trap "" TERM HUP; sleep 300' &
disown
echo "went on"
