#!/bin/bash
exec 1>&- 2>&-
sleep 2
exit 3
