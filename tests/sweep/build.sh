#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# build.sh FOLDER PROGRAM…: at, left or sweep, put there.
set -eu
cd "$(dirname "$0")"
to=$1
shift
for program; do
	case $program in
	at) with=disturb.c ;;
	left) with=leftover.c ;;
	sweep) with="disturb.c leftover.c data.c beside.c" ;;
	esac
	# shellcheck disable=SC2086 # words
	musl-gcc -static -Os -s -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -o "$to/$program" "$program.c" $with
done
