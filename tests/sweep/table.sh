#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# table.sh LOG...: what was disturbed, where, and whether all of it was
# recovered.  Sums up lines which tests leave in their TAP,
#
#	# sweep TYPE VERB [failed=N] [killed=N] [cuts=N] [bad=N]
#
# with _ for blanks in VERB: calls that failed, deaths, power cuts replayed, and
# after how many of these not all was as before or as after.  Prints nothing
# where there are none.
set -u

awk '
	/^(# )*sweep [^ ]+ [^ ]+( [a-z]+=[0-9]+)+$/ {
		sub(/^(# )*sweep /, "")
		key = $1 SUBSEP $2
		seen[key] = 1
		for (i = 3; i <= NF; i++) {
			split($i, pair, "=")
			n[key, pair[1]] += pair[2]
			all[pair[1]] += pair[2]
		}
	}
	function row(type, verb, failed, killed, cuts, bad) {
		printf "%-6s %-30s %7d %7d %7d  %s\n", type, verb, failed, killed, cuts, (bad ? "NOT " bad : "all") | sort
	}
	BEGIN { sort = "sort" }
	END {
		for (key in seen) {
			split(key, name, SUBSEP)
			verb = name[2]
			gsub(/_/, " ", verb)
			row(name[1], verb, n[key, "failed"], n[key, "killed"], n[key, "cuts"], n[key, "bad"])
		}
		close(sort)
		if (key != "")
			row("in all", "", all["failed"], all["killed"], all["cuts"], all["bad"])
	}' "$@" | {
	read -r first || exit 0
	printf '%-6s %-30s %7s %7s %7s  %s\n%s\n' type verb failed killed cuts recovered "$first"
	cat
}
