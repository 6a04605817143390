#!/bin/bash
sleep 4
