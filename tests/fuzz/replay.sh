#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every fuzzer over its saved corpus, under ASan and UBSan.  replay.sh O
. "$(dirname "$0")/../tap.bash"
O=$1
cd "$srctree" || exit
san=(CC=gcc 'SAN=address,undefined' W=1)
flags=(-std=gnu11 -D_GNU_SOURCE -g -O1 '-fsanitize=address,undefined' -fno-sanitize-recover=all -I. "-I$O/include")

lib() {
	make -s O="$O" full_defconfig "${san[@]}" && make -s O="$O" -j"$jobs" "${san[@]}" "$O/bin/smbox"
}
replay() {	# replay NAME
	local objects more=()
	mapfile -t objects < <(find "$O/obj/lib" -name '*.o')
	# What is read by the core itself needs all of it.
	[[ $1 != @(smtab|record|keep) ]] || mapfile -t more < <(find "$O"/obj/{arch,drivers,sm} -name '*.o' ! -path '*/sm/main.o')
	gcc "${flags[@]}" -o "$O/replay-$1" "tests/fuzz/$1.c" tests/fuzz/replay.c "${objects[@]}" "${more[@]}" &&
		"$O/replay-$1" tests/fuzz/corpus/"$1"/*
}

ok "the library with sanitizers" lib
for f in tests/fuzz/corpus/*/; do
	name=$(basename "$f")
	ok "$name: the saved corpus" replay "$name"
done
tap_end
