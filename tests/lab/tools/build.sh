#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# build.sh BUILD PROGRAM: link tests/lab/tools/PROGRAM.c with the libraries of
# the product as they were compiled in BUILD, and print where the program is.

set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../../.." && pwd)
[ $# -eq 2 ] || { echo "usage: build.sh BUILD PROGRAM" >&2; exit 2; }
build=$1 out=$1/lab/tools/$2

mkdir -p "${out%/*}"
exec 9>"$out.lock"
flock 9
mapfile -t objects < <(find "$build/obj/arch" "$build/obj/lib" -name '*.o' ! -path '*/fault/*')
if [ ! -e "$out" ] || [ -n "$(find "$here/$2.c" "$here"/*.h "${objects[@]}" -newer "$out" -print -quit)" ]; then
	musl-gcc -static -no-pie -O1 -g -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wno-unused-parameter \
		-Werror -I"$top" -I"$build/include" -idirafter "$build/uapi" -Wl,--gc-sections -o "$out.new" "$here/$2.c" "${objects[@]}"
	mv "$out.new" "$out"
fi
echo "$out"
