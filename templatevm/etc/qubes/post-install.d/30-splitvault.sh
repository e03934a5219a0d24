#!/bin/sh
# Tells dom0 what this template's qubes can do, so that Settings -> Services
# lists it. Stays as a configuration file when the package is removed.
set -eu
[ -x /usr/bin/splitvault ] || exit 0
qvm-features-request supported-service.splitvault-ssh=1 supported-service.splitvault-pass=1 supported-service.splitvault-clef=1 supported-service.splitvault-vault=1
