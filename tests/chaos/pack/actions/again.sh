#!/bin/bash
exit 75
