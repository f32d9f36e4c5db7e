#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# demo.sh BUILD: build the program and show its main job, live, in a kernel of
# the lab.  What is missing is installed first.  Ends with 0 if every step did
# what it should.

set -eu -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${1:-$here/../build/demo}
bold=$'\e[1m' off=$'\e[0m'
[ -z "${NO_COLOR-}" ] || bold='' off=''

say() { printf '\n%s%s%s\n' "$bold" "$*" "$off"; }

say "1. What the build and the lab need of Debian"
# apt tells hundreds of lines; what matters is what is fetched, and errors.
"$here/deps.sh" install build lab | { grep -E '^(deps|Fetched|E|W):? ' || true; }
echo "all is there"
say "2. One static binary"
make -C "$here/.." -j2 O="$build" full_defconfig all
ls -l "$build/bin/smbox"
file -b "$build/bin/smbox" | cut -d, -f1,2,4
say "3. A kernel of our own (User Mode Linux): everything from here on is in it, as root"
status=0
"$here/lab/guest-run.sh" -b "$build" --disk a:256M "$here/demo/guest.sh" || status=$?
if [ $status -ne 0 ]; then
	say "The demo failed (status $status)."
	exit $status
fi
say "That was all, in $SECONDS s.  Nothing on this machine was mounted, attached or changed;
the build is in $build."
