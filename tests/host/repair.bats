#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# sr check --repair of an SR of files: what it overwrites is kept first, and comes back.
# On LVM: tests/lvhd.bats, tests/lvm.bats.

bats_require_minimum_version 1.5.0
load ns_helper

setup() {
	ns_setup
	ns_words <<-'END'
		KEPT=$SM_ROOT/var/lib/sm
		sr=$(sm sr create S --type file --dconf location="$T/sr")
		cd "$T/sr"
		# All that a repair mends, but what nobody stands on: that goes as with every scan.
		break_it() {
			sm vdi create root --sr S --size 4M --format vhd --uuid ${U}1
			sm vdi snapshot root --uuid ${U}2
			base=$(sm vdi show root --json | jq -r .vdi.parent)
			# A footer and all that was behind the data, a footer unlike its copy, a visible node without a record.
			sm vdi create lost --sr S --size 4M --format vhd --uuid ${U}3
			truncate -s -512 ${U}3.vhd
			sm vdi create long --sr S --size 4M --format vhd --uuid ${U}4
			printf 'what was written there by mistake' >>${U}4.vhd; truncate -s +9M ${U}4.vhd
			printf 'x' >>${U}4.vhd; truncate -s %512 ${U}4.vhd
			rm .sm/vdi/$base
			for at in 85 $(($(stat -c %s $base.vhd) - 512 + 85)); do
				printf '\0' | dd of=$base.vhd bs=1 seek=$at conv=notrunc status=none
			done
			reckon $base.vhd 0; reckon $base.vhd $(($(stat -c %s $base.vhd) - 512))
			# Records of nobody, also with odd names, a log that is none and one of a neighbour that is gone.
			printf 'name=x\n' >.sm/vdi/${U}9
			printf 'odd' >$'.sm/vdi/a b%\n'
			sm vdi create seen --sr S --size 4M --format vhd --uuid ${U}5; sm cbt enable seen
			sm vdi create mad --sr S --size 4M --format vhd --uuid ${U}6; sm cbt enable mad
			printf '\252' | dd of=${U}5.cbtlog bs=1 seek=16 count=1 conv=notrunc status=none
			head -c 47 /dev/urandom >${U}6.cbtlog
			rm .sm/sr
		}
		# The checksum of a footer at this place.
		reckon() {
			python3 -c 'import sys
		f, at = open(sys.argv[1], "r+b"), int(sys.argv[2])
		f.seek(at); b = bytearray(f.read(512)); b[64:68] = bytes(4)
		b[64:68] = (~sum(b) & 0xffffffff).to_bytes(4, "big"); f.seek(at); f.write(b)' "$1" "$2"
		}
	END
}

@test "sr check --repair: what it overwrites is kept first and named, and --undo puts all back" {
	ns <<-'END'
		break_it
		cp -a . "$T/before"
		sm sr check S --json >"$T/found" || [ $? -eq 6 ]
		jq -e '(.problems | length) >= 8 and has("backup") == false' "$T/found"
		# A sanitizer that looks for leaks does not work under strace.
		status=0; ASAN_OPTIONS=detect_leaks=0 strace -f -y -o "$T/calls" sm sr check S --repair >"$T/said" || status=$?
		[ $status -eq 0 ]
		at=$(sed -n 's/^kept: //p' "$T/said")
		[ "$at" = "$KEPT/$sr.before-repair" ]
		[ "$(stat -c '%a %u' "$at")" = "700 0" ]
		[ "$(stat -c '%a %u' "$at"/list)" = "600 0" ]
		# All of it is on the disk before anything of the SR is changed.
		in="[0-9]+<($T/sr|$SM_ROOT/run/sr-mount/$sr)"
		first=$(grep -nE "(write|ftruncate|fallocate)[^ ]*\($in/|(unlink|rename|mkdir)[^ ]*\($in" "$T/calls" |
			sed -n '1s/:.*//p')
		[ -n "$first" ]
		for name in bytes .list.new "" ..; do
			path=$(realpath -m "$at/$name")
			[ -n "$(head -n "$first" "$T/calls" | grep -E "f(data)?sync\([0-9]+<$path>\) += 0" || :)" ]
		done
		is '.problems == []' sm sr check S
		[ "$(tail -n 1 "$T/said")" = ok ]
		! diff -r . "$T/before" >/dev/null
		# And back, byte for byte; twice is no harm.
		for i in 1 2; do
			sm sr check S --undo "$at"
			diff -r --exclude tmp . "$T/before"
		done
		[ "$(sm sr check S --json 2>/dev/null | jq -c .problems)" = "$(jq -c .problems "$T/found")" ]
		# The next repair takes the next name, and one with nothing to do none.
		[ "$(sm sr check S --repair --json | jq -r .backup)" = "$at.2" ]
		is '.backup == null and .ok' sm sr check S --repair
		[ "$(ls "$KEPT")" = "$(printf '%s\n' $sr.before-repair $sr.before-repair.2)" ]
		sm sr check S --undo "$at.2"
		[ "$(sm sr check S --repair --backup "$T/here" --json | jq -r .backup)" = "$T/here" ]
		sm sr check S --undo "$T/here"
		diff -r --exclude tmp . "$T/before"
		# What has been written since is worth more.
		at=$(sm sr check S --repair --json | jq -r .backup)
		truncate -s +2M ${U}3.vhd
		cp -a . "$T/used"
		fails 6 '*has grown since: what was written would be lost*' sm sr check S --undo "$at"
		diff -r --exclude tmp . "$T/used"
	END
}

@test "sr check --repair: a backup that cannot be written, and nothing is changed" {
	ns <<-'END'
		break_it
		cp -a . "$T/before"
		same() { diff -r --exclude tmp . "$T/before"; }
		mkdir "$T/taken"
		fails 1 '*nothing was changed*cannot be kept*File exists*--backup*' sm sr check S --repair --backup "$T/taken"
		same; rmdir "$T/taken"
		fails 4 '*nothing was changed*' sm sr check S --repair --backup "$T/no/folder"
		same
		# A disk without room for it, at each of its pages.
		mkdir "$T/full"
		mount -t tmpfs -o size=64k none "$T/full"
		for room in 0 4096 12288; do
			head -c $((65536 - room)) /dev/zero >"$T/full/junk" || :
			status=0; sm sr check S --repair --backup "$T/full/b" 2>"$T/err" || status=$?
			[ $status -ne 0 ]
			grep 'nothing was changed' "$T/err"
			[ ! -e "$T/full/b" ]
			same
			rm "$T/full/junk"
		done
		umount "$T/full"
		# So does a folder for backups that is none.
		mkdir -p "$SM_ROOT/var/lib"; ln -s "$T/elsewhere" "$SM_ROOT/var/lib/sm"
		fails 1 '*nothing was changed*' sm sr check S --repair
		[ ! -e "$T/elsewhere" ]
		same
		rm "$SM_ROOT/var/lib/sm"
		fails 1 '*nothing was changed*' sm cbt check S --repair --backup /dev/null
		same
	END
}

@test "sr check --undo: what is no backup of this SR is refused, and writes nothing outside of it" {
	ns <<-'END'
		break_it
		sm sr check S --repair --backup "$T/b" >/dev/null
		cp -a . "$T/after"
		same() { diff -r --exclude tmp --exclude link . "$T/after"; }
		bad() { fails "$1" "$2" sm sr check S --undo "$T/c"; same; rm -r "$T/c"; cp -a "$T/b" "$T/c"; }
		cp -a "$T/b" "$T/c"
		rm "$T/c/list"; bad 4 '*No such file*'
		sed -i "1s/$sr/${U}7/" "$T/c/list"; bad 2 '*is not of SR*'
		truncate -s -1 "$T/c/bytes"; bad 6 '*ends too early*'
		for line in '0 4 4 ../out4' '0 4 4 .sm/vdi/../../../out4' '0 4 4 %2e%2e/out4' '0 4 4 .sm/../../out4' '0 4 4 /etc/x' \
			'0 4 4 ..' '0 4 4 .sm/vdi/..' '0 0 - ../taken' '0 4 4 link' '9 4 4 x' '0 4 x' '0 4 4 ' '0 4 4 a%00b' \
			'0 18446744073709551615 4 x' '18446744073709551615 4 4 x' '0 4 4 a%zzb' '-1 4 4 x'; do
			printf 'kept 1 %s\n%s\n' "$sr" "$line" >"$T/c/list"; printf 'evil' >"$T/c/bytes"
			ln -sf "$T/lured" link
			: >"$T/taken"
			status=0; sm sr check S --undo "$T/c" 2>"$T/err" || status=$?
			[ $status -ne 0 ] || { echo "taken: $line"; exit 1; }
			[ ! -e "$T/lured" ] && [ ! -e "$T/out4" ] && [ -e "$T/taken" ]
			same
		done
		rm link
		fails 4 '*' sm sr check S --undo "$T/nowhere"
		sm vdi attach root >/dev/null 2>&1 || exit 0	# no devices here
		fails 3 '*is attached*' sm sr check S --undo "$T/b"
		sm vdi detach root
	END
}
