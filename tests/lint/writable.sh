#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# No writable data outside a function: state lives on disk, in the kernel or in
# the request.  writable.sh O: looks at the objects of a musl build in O.
#
# The few that may, one a line, as folder/file.o:name.
allowed='
lib/log.o:sink
'
found=$(
	cd "$1/obj" || exit
	find arch lib drivers sm -name '*.o' 2>/dev/null | while read -r o; do
		${CROSS_COMPILE:-}nm "$o" | sed -nE "s|^[0-9a-f]* [bBdDCsSgG] ([^.]*).*|$o:\1|p"
	done
)
bad=$(printf '%s\n' "$found" | grep . | grep -vxF "$allowed")
[ -n "$(ls "$1/obj" 2>/dev/null)" ] || { echo "writable: nothing is built in $1" >&2; exit 1; }
[ -z "$bad" ] || {
	printf '%s\nwritable: these objects have data that can change; see tests/lint/writable.sh\n' "$bad" >&2
	exit 1
}
