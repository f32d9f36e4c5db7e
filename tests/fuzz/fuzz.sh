#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Look for inputs that break a decoder.  fuzz.sh O SECONDS [NAME...]
#
# New inputs stay in O/corpus/NAME; one that breaks something is left as
# O/NAME-crash-*, belongs in tests/fuzz/corpus/NAME under a name that says how,
# and is found there by replay.sh from then on.
#
# Those that have a sum for a name are there for what they reach and no other does, and were taken over by
#	O/fuzz-NAME -set_cover_merge=1 tests/fuzz/corpus/NAME O/corpus/NAME
# but for what is longer than 6,000 bytes.
set -e
cd "$(dirname "$0")/../.."
O=$1 seconds=$2
shift 2
O=$(mkdir -p "$O" && cd "$O" && pwd)
san=(CC=clang 'SAN=fuzzer-no-link,address,undefined')
flags=(-std=gnu11 -D_GNU_SOURCE -g -O1 '-fsanitize=fuzzer,address,undefined' -fno-sanitize-recover=all -I. "-I$O/include")

make -s O="$O" full_defconfig "${san[@]}"
make -s O="$O" -j"$(nproc)" "${san[@]}" "$O/bin/smbox"
mapfile -t objects < <(find "$O/obj/lib" -name '*.o')
[ $# -gt 0 ] || set -- tests/fuzz/corpus/*
for name; do
	name=$(basename "$name")
	mkdir -p "$O/corpus/$name"
	case $name in image_chain|vhd_change) len=16384 ;; *) len=4096 ;; esac	# of several files
	more=()
	[[ $name != @(smtab|record|keep) ]] || mapfile -t more < <(find "$O"/obj/{arch,drivers,sm} -name '*.o' ! -path '*/sm/main.o')
	clang "${flags[@]}" -o "$O/fuzz-$name" "tests/fuzz/$name.c" "${objects[@]}" "${more[@]}"
	"$O/fuzz-$name" -max_total_time="$seconds" -max_len=$len -timeout=5 -print_final_stats=1 \
		-artifact_prefix="$O/$name-" "$O/corpus/$name" "tests/fuzz/corpus/$name"
done
