#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The whole tree under shellcheck, cppcheck and clang-tidy.  lint.sh O
# What each leaves out, and why: below, cppcheck.txt, and .clang-tidy.
. "$(dirname "$0")/../tap.bash"
O=$1
mkdir -p "$O"
cd "$srctree" || exit
flags=(-std=gnu11 -D_GNU_SOURCE -I. -I"$O/c/include")

c_files() { find arch lib drivers sm tests -name '*.c' | sort; }

# Scripts by name, and those without one by their first line.
scripts() {
	{
		find configs tests .ci -name '*.sh' -o -name '*.bash' -o -name '*.bats'
		find configs tests .ci -type f ! -name '*.*' -exec grep -lE '^#!.*\<(ba)?sh\>' {} +
	} | sort -u
}

# Left out: notes of style, names that come from a script which is read (1091,
# 2154) or that it leaves for others (2034), lists of words that are meant to be split (2046), SAN=a,b in lists (2054).
shell() { scripts | xargs -P "$jobs" -n 8 shellcheck --severity=warning --exclude=SC1091,SC2034,SC2046,SC2054,SC2154; }

cpp() {
	cppcheck -q -j "$jobs" --std=c11 --enable=warning,performance,portability --inline-suppr \
		--error-exitcode=1 --suppressions-list=<(grep -v '^#' tests/lint/cppcheck.txt) \
		--template='{file}:{line}: {id}: {message}' -D_GNU_SOURCE -I. -I"$O/c/include" arch lib drivers sm tests
}

tidy() {
	c_files | xargs -P "$jobs" -n 4 sh -c 'clang-tidy --quiet "$@" -- '"${flags[*]@Q}"' 2>/dev/null' tidy \
		>"$O/tidy" || { grep -E ': (error|warning): ' "$O/tidy" | sort -u; return 1; }
}

# grep -q leaves at its first match, and what writes into it dies of SIGPIPE: with pipefail, a test that fails on some days.
# grep >/dev/null reads on to the end.
quick_grep() { ! scripts | xargs grep -nE '[^|]\| *grep( -[a-zA-Z]+)* -[a-zA-Z]*q'; }

# with TOOL SENTENCE FUNCTION
with() {
	if command -v "$1" >/dev/null; then ok "$2" "$3"; else skip "$2" "no $1"; fi
}

ok "a configuration to look at" make -s O="$O/c" full_defconfig "$O/c/auto.conf" "$O/c/include/version.h"
ok "no pipe ends in grep -q" quick_grep
with shellcheck "shellcheck finds nothing" shell
with cppcheck "cppcheck finds nothing" cpp
with clang-tidy "clang-tidy finds nothing" tidy
tap_end
