#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# How many of the lines of lib/ have been run of a build by clang with COV=1: at least 90 of 100.  coverage.sh O
# The table of all files, the worst first, is O/lines.
. "$(dirname "$0")/tap.bash"
O=$1

count() {
	find "$O/obj/lib" -name '*.gcno' -exec llvm-cov gcov -n {} + 2>/dev/null | awk -F"'" '
		/^File/ { file = $2 }
		/^Lines executed/ && file ~ /(^|\/)lib\/.*\.c$/ && !(file in seen) {
			seen[file] = 1
			split($0, part, /[:% ]+/)
			sub(/.* of /, "")
			lines += $0
			run += part[3] * $0 / 100
			printf "%6.2f %% of %5d  %s\n", part[3], $0, file
		}
		END { printf "%6.2f %% of %5d  in all\n", lines ? 100 * run / lines : 0, lines }' | sort -n >"$O/lines"
	covered=$(sed -n 's/^ *\([0-9]*\)\..*in all$/\1/p' "$O/lines")
}

covered=0
count
find "$O/obj" -name '*.gcda' -delete	# what runs next is counted anew
echo "# lib/: $(grep 'in all$' "$O/lines")"
ok "90 % of the lines of lib/ are run" [ "$covered" -ge 90 ]
tap_end
