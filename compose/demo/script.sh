#!/bin/sh
# What a run of the demonstration does, as one line for `sh -ec`: note its start, work SECONDS, note its end. The file is
# not Sluice's, so the runs can be counted without asking Sluice. $1 there is the run's tenant.
note='$SLUICE_RUN_ID $(hostname) $1 $(date +%s%N) >>/var/lib/sluice/notes'
echo "echo start $note; sleep ${1:-0.1}; echo end $note"
