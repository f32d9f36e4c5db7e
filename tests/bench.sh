#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# bench.sh BUILD: what a verb costs, paired with its peers in one run.

set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${1:-$here/../build}
"$here/deps.sh" install build bench >&2
make -C "$here/.." O="$build" full_defconfig all >&2

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
export SM_ROOT=$root PATH=$build/bin:$PATH

echo "Start of a verb with nothing to do, against an interpreter that does nothing:"
hyperfine -N --warmup 20 --runs 300 --style basic --export-json "$root/start.json" \
	'sm sr list' 'python3 -c pass' 2>/dev/null |
	grep -E 'Time|ran|times' || true
jq -r '.results | "median: \(.[0].command) \(.[0].median * 1000 * 100 | round / 100) ms, \(.[1].command) \(.[1].median * 1000 * 100 | round / 100) ms: \(.[1].median / .[0].median | round) times"' \
	"$root/start.json"
