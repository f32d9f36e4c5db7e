#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# objects.sh O OBJECT...: code and data of each, the largest first.
O=$1; shift
size "$@" | awk -v o="$O/obj/" 'NR > 1 {
	sub(o, "", $6); printf "%8d bytes  %s\n", $1 + $2 + $3, $6; all += $1 + $2 + $3
} END { printf "%8d bytes  in all, before the linker drops what nothing calls\n", all }' | sort -rn
