#!/bin/bash
head -c "${CHAOS_OUTPUT_BYTES:-33554432}" /dev/zero | tr '\0' 'x' | fold -w 120
