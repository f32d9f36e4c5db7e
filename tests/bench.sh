#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# bench.sh BUILD [NAME...]: how fast we are, beside others, in the same run.  Builds
# the full configuration in BUILD and runs tests/bench/*.sh, or those named.  Ends
# with 1 when one of them missed what it wants.

set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${1:-$here/../build/bench} status=0
shift $(($# > 0))

"$here/deps.sh" install build lab judges bench >&2
make -s -C "$here/.." -j2 O="$build" full_defconfig all >&2
[ $# -gt 0 ] || { set -- "$here"/bench/*.sh; set -- "${@##*/}"; set -- "${@%.sh}"; }
for name; do
	"$here/bench/$name.sh" "$build" || status=1
done
exit $status
