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
		# What it has left is noted behind all that, and its bytes are there first.
		last=$(grep -nE "(write|ftruncate|fallocate)[^ ]*\($in/|(unlink|rename|mkdir)[^ ]*\($in" "$T/calls" | sed -n '$s/:.*//p')
		bytes=$(grep -nE "fsync\([0-9]+<$at/left.bytes>\) += 0|fdatasync\([0-9]+<$at/left.bytes>\) += 0" "$T/calls" | sed -n '$s/:.*//p')
		named=$(grep -n 'rename.*"left")' "$T/calls" | sed -n '1s/:.*//p')
		[ "$last" -lt "$bytes" ] && [ "$bytes" -lt "$named" ]
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
		for force in '' --force; do
			fails 6 '*has grown since: what was written would be lost*' sm sr check S --undo "$at" $force
			diff -r --exclude tmp . "$T/used"
		done
	END
}

@test "sr check --undo: what was changed since the repair is not overwritten; what the repair did not change stays" {
	ns <<-'END'
		break_it
		sm cbt enable long
		cp -a . "$T/before"
		at=$(sm sr check S --repair --json | jq -r .backup)
		cp -a . "$T/mended"; cp -a "$at" "$T/kept"
		again() { find . -mindepth 1 -delete; cp -a "$T/mended/." .; rm -rf "$at"; cp -a "$T/kept" "$at"; }
		used() {
			cp -a . "$T/used"
			fails 6 "*${U}$1*has changed since: what was written would be lost*--force*" sm sr check S --undo "$at"
			diff -r --exclude tmp . "$T/used"
			rm -r "$T/used"; again
		}
		byte() { printf "${3-x}" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }
		# As long as it was: a byte of a footer that was written anew, a header, an image that was replaced.
		byte ${U}3.vhd $(($(stat -c %s ${U}3.vhd) - 1)); used 3.vhd
		sm vdi resize long 6M; [ $(stat -c %s ${U}4.vhd) -eq $(stat -c %s "$T/mended/${U}4.vhd") ]; used 4.vhd
		sm vdi delete lost; sm vdi create lost2 --sr S --size 6M --format vhd --uuid ${U}3; used 3.vhd
		# Gone; and there, where there was nothing.
		sm vdi delete lost; used 3.vhd
		printf 'name=new\n' >.sm/vdi/${U}9; used 9
		# A record of nobody, and now there is somebody.
		sm vdi create nine --sr S --size 4M --format vhd --uuid ${U}9; rm .sm/vdi/${U}9
		fails 6 "*.sm/vdi/${U}9 would be taken for*" sm sr check S --undo "$at"
		fails 6 "*.sm/vdi/${U}9 would be taken for*" sm sr check S --undo "$at" --force
		again
		# By force, and then it is as before but for that.
		byte ${U}3.vhd $(($(stat -c %s ${U}3.vhd) - 1))
		sm sr check S --undo "$at" --force
		diff -r --exclude tmp . "$T/before"
		again
		# Names that the repair had nothing to do with, and logs, stay what they are now.
		sm vdi rename lost found
		sm cbt disable long
		sm sr check S --undo "$at"
		is '.vdis | map(.name) | contains(["found"])' sm vdi list
		! diff -r --exclude tmp . "$T/before" >"$T/differ"
		grep -c . "$T/differ"
		[ -z "$(grep -v "^Only in .*: ${U}4.cbtlog\|^diff .*/${U}3 \|^[<>] name=\|^---\|^[0-9]*c[0-9]*" "$T/differ")" ]
		again
		# A repair that died has not noted what it left; what it left of its own words is in nobody's way.
		rm "$at/left"
		fails 6 '*the repair did not end*--force*' sm sr check S --undo "$at"
		diff -r --exclude tmp . "$T/mended"
		sm sr check S --undo "$at" --force
		diff -r --exclude tmp . "$T/before"
		rm "$at/list" "$at/left.bytes"
		[ "$(sm sr check S --repair --json | jq -r .backup)" = "$at" ]
		[ -e "$at/left" ]
		again
		# An undo that died between any two pages goes on.
		for file in ${U}3.vhd ${U}4.vhd ${U}5.cbtlog .sm/sr; do
			rm -f "$file"; [ ! -e "$T/before/$file" ] || cp -a "$T/before/$file" "$file"
			sm sr check S --undo "$at"
			diff -r --exclude tmp . "$T/before"
			again
		done
		n=$(stat -c %s "$T/before/${U}5.cbtlog")
		head -c "$n" /dev/zero >${U}5.cbtlog
		head -c 300 "$T/before/${U}5.cbtlog" | dd of=${U}5.cbtlog conv=notrunc status=none
		sm sr check S --undo "$at"
		diff -r --exclude tmp . "$T/before"
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
		rm "$T/c/list"; bad 4 '*there is no backup of a repair*'
		sed -i "1s/$sr/${U}7/" "$T/c/list"; bad 2 '*is not of SR*'
		truncate -s -1 "$T/c/bytes"; bad 6 '*ends too early*'
		for line in '0 4 4 ../out4' '0 4 4 .sm/vdi/../../../out4' '0 4 4 %2e%2e/out4' '0 4 4 .sm/../../out4' '0 4 4 /etc/x' \
			'0 4 4 ..' '0 4 4 .sm/vdi/..' '0 0 - ../taken' '0 4 4 link' '9 4 4 x' '0 4 x' '0 4 4 ' '0 4 4 a%00b' \
			'0 18446744073709551615 4 x' '18446744073709551615 4 4 x' '0 4 4 a%zzb' '-1 4 4 x'; do
			printf 'kept 1 %s\n%s\n' "$sr" "$line" >"$T/c/list"; printf 'evil' >"$T/c/bytes"
			ln -sf "$T/lured" link
			: >"$T/taken"
			# With what its repair has left, which is of another list, and without.
			for force in '' --force; do
				status=0; sm sr check S --undo "$T/c" $force 2>"$T/err" || status=$?
				[ $status -ne 0 ] || { echo "taken: $line"; exit 1; }
				[ ! -e "$T/lured" ] && [ ! -e "$T/out4" ] && [ -e "$T/taken" ]
				same
				rm -f "$T/c/left"
			done
			cp "$T/b/left" "$T/c"
		done
		# And what is told of these is no better.
		printf 'kept 1 %s\n0 4 4 .sm/sr\n' "$sr" >"$T/c/list"; printf 'evil' >"$T/c/bytes"
		for line in '0 3 4 .sm/sr' '4 4 4 .sm/sr' '18446744073709551615 4 4 .sm/sr' '0 4 4 .sm/sx' '0 4 18446744073709551615 .sm/sr' \
			'' '0 4 4' '0 4 - ' $'0 4 4 .sm/sr\n0 0 0 .sm/sr'; do
			printf 'kept 1 %s\n%s\n' "$sr" "$line" >"$T/c/left"; printf 'good' >"$T/c/left.bytes"
			status=0; sm sr check S --undo "$T/c" 2>"$T/err" || status=$?
			[ $status -ne 0 ] || { echo "taken: $line"; exit 1; }
			same
		done
		rm link
		fails 4 '*' sm sr check S --undo "$T/nowhere"
		sm vdi attach root >/dev/null 2>&1 || exit 0	# no devices here
		fails 3 '*is attached*' sm sr check S --undo "$T/b"
		sm vdi detach root
	END
}

@test "sr check: a copy that is on its way is neither mended nor garbage" {
	ns <<-'END'
		sm vdi create big --sr S --size 16M --format raw --uuid ${U}1
		dd if=/dev/urandom of=${U}1.raw bs=1M count=16 conv=notrunc status=none
		ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o /dev/null -e trace=pwrite64 -e inject=pwrite64:delay_enter=100000 \
			sm vdi copy big --format vhd --uuid ${U}2 >/dev/null & slow=$!
		# Its data are coming, so nobody has locked the SR.
		until [ "$(stat -c %s ${U}2.vhd 2>/dev/null || echo 0)" -gt 2000000 ]; do kill -0 $slow; done
		copy=$(pgrep -P $slow)
		kill -STOP "$copy"
		is '.problems == []' sm sr check S
		is '.problems == [] and .backup == null' sm sr check S --repair
		sm sr scan S
		kill -CONT "$copy"
		wait $slow
		is '.problems == []' sm sr check S
		sm image convert -O raw ${U}2.vhd "$T/flat"
		cmp "$T/flat" ${U}1.raw
	END
}
