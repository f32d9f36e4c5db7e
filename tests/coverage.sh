#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# How many of the lines of lib/ the unit tests run: at least 90 of 100.  coverage.sh O
# The table of all files, the worst first, is O/lines.
. "$(dirname "$0")/tap.bash"
O=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$srctree" || exit

measure() {
	local i object of=$((jobs < 9 ? jobs : 9))

	make -s O="$O" full_defconfig COV=1 && make -s O="$O" COV=1 -j"$jobs" "$O/bin/unit" || return
	find "$O/obj" -name '*.gcda' -delete
	for ((i = 0; i < of; i++)); do
		T_PART=$i/$of "$O/bin/unit" >"$O/unit.$i" 2>&1 &
	done
	wait
	find "$O/obj/lib" -name '*.gcno' | while read -r object; do
		gcov -n -o "${object%/*}" "$object" 2>/dev/null
	done | awk -F"'" '
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
measure
echo "# lib/: $(grep 'in all$' "$O/lines")"
ok "the unit tests run 90 % of the lines of lib/" [ "$covered" -ge 90 ]
tap_end
