#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# start.sh BUILD: what it costs to start a verb that has nothing to do, beside an
# interpreter that does nothing, measured in the same run.  Ends with 1 when the
# median of a verb is above LIMIT milliseconds (2).

. "$(dirname "$0")/common.bash"
limit=${LIMIT:-2}
info='<methodCall><methodName>sr_get_driver_info</methodName><params><param><value/></param></params></methodCall>'
sr=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11
# The interpreter itself, not a script in front of it that chooses one.
python=$(python3 -c 'import sys; print(sys.executable)')

# Each must succeed, or hyperfine ends with an error.
hyperfine -N --warmup 20 --runs "${RUNS:-300}" --style none --export-json "$tmp/times" \
	-n 'sm sr list' 'sm sr list' \
	-n 'sm help' 'sm help' \
	-n "sm sr_get_params -t file -d /nowhere SR" "sm sr_get_params -t file -d $tmp/nowhere $sr" \
	-n "FileSR '<methodCall>…sr_get_driver_info…'" "FileSR '$info'" \
	-n 'python3 -c pass' "$python -c pass" >/dev/null 2>"$tmp/log" || { cat "$tmp/log" >&2; exit 1; }

echo
echo "From exec to exit, in milliseconds; the machine was $([ "$(cut -d. -f1 /proc/loadavg)" -lt "$(nproc)" ] && echo idle || echo busy):"
echo
jq -r --arg limit "$limit" '
	def ms: . * 100000 | round / 100 | tostring | (8 - length) * " " + .;
	(.results[-1].median) as $python |
	"  median     least",
	(.results[] | "\(.median | ms)  \(.min | ms)   \(.command)" +
		if .median < $python then "   (python3 takes \($python / .median | round) times as long)" else "" end),
	"",
	([.results[:-1][].median * 1000] | max) as $worst |
	if $worst <= ($limit | tonumber) then "Every verb starts within \($limit) ms."
	else "The slowest verb takes \($worst * 100 | round / 100) ms, which is above \($limit) ms." end' "$tmp/times"
jq -e --arg limit "$limit" '[.results[:-1][].median * 1000] | max <= ($limit | tonumber)' "$tmp/times" >/dev/null
