#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# demo.sh BUILD: build the program and show its main job, live, in a kernel of
# the lab.  What is missing is installed first.

set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${1:-$here/../build}

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "1. What the build and the lab need (Debian packages; nothing is done when all is there)"
"$here/deps.sh" install build lab
say "2. Building one static binary"
make -C "$here/.." O="$build" full_defconfig all
ls -l "$build/bin/smbox"
file -b "$build/bin/smbox" 2>/dev/null | cut -d, -f1-4 || true
say "3. Starting a kernel of our own (User Mode Linux), and working in it as root"
SM_BUILD=$build exec "$here/lab/guest-run.sh" "$here/demo/guest.sh"
