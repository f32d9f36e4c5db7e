#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# sm gc on a file SR: parents that nobody sees, what is tried again, trees of other tools.

bats_require_minimum_version 1.5.0
load ns_helper
load gc_helper

setup() {
	ns_setup
	gc_words
}

@test "a parent of which its child has all itself goes without a copy" {
	ns <<-'END'
		sm vdi create disk --sr S --size 40M --format vhd --uuid ${U}1 >/dev/null
		put disk 1:0 1:1 1:5
		sm vdi snapshot disk a --uuid ${U}2 >/dev/null
		put disk 2:0 2:1 2:5 2:20
		sm vdi delete a
		keep ${U}1
		# Of one block half would be seen.
		is '.plans[0].steps[0] | .action == "leaf" and .copy > 0' sm gc plan S
		put disk 3:4
		keep ${U}1
		is '.plans[0] | .copy == 0 and .space == 0 and .steps[0].action == "unstack" and .steps[0].freed > 0' sm gc plan S
		sm gc run S | grep >/dev/null "nothing of it showed"
		[ "$(nodes)" -eq 1 ]
		is '.vdi | .parent == null and .name == "disk"' sm vdi show disk
		cp "$T/${U}1.keep" "$T/now.1"
		kept ${U}1
		sm image check ${U}1.vhd
		vhdiinfo ${U}1.vhd >/dev/null
		qemu-img convert -f vpc -O raw ${U}1.vhd "$T/q"
		cmp -n $(stat -c %s "$T/q") "$T/q" "$T/now.1"
		# The middle of three, of which what lies below is still needed; then a node with two disks on it.
		sm vdi snapshot disk b --uuid ${U}3 >/dev/null
		put disk 4:0 4:1
		sm vdi snapshot disk c --uuid ${U}4 >/dev/null
		put disk 5:0 5:1 5:30
		sm vdi snapshot disk d --uuid ${U}5 >/dev/null
		put disk 6:7
		keep ${U}1 ${U}3 ${U}5
		sm vdi delete c
		is '.plans[0] | .copy == 0 and (.steps | map(.action) | sort == ["keep", "keep", "unstack"])' sm gc plan S
		sm gc run S
		kept ${U}1 ${U}3 ${U}5
		[ "$(nodes)" -eq 5 ]
		clean
	END
}

@test "a disk of 2040 GiB goes on without its parent, and nothing is copied" {
	export RAM=1
	ns <<-'END'
		sm vdi create disk --sr S --size 2040G --format vhd --uuid ${U}1 >/dev/null
		sm vdi snapshot disk a --uuid ${U}2 >/dev/null
		sm vdi delete a
		base=$(sm vdi show disk --json | jq -r .vdi.parent)
		python3 "$FULL" "$base.vhd" ${U}1.vhd
		is '.vdi.parent == "'$base'"' sm vdi show disk
		is '.plans[0] | .copy == 0 and (.steps | length == 1) and .steps[0].action == "unstack"' sm gc plan S
		was=$(date +%s%N)
		sm gc run S
		echo "$(($(date +%s%N) - was)) ns"
		[ "$(nodes)" -eq 1 ]
		is '.vdi.parent == null' sm vdi show disk
		is '.allocated_blocks == 1044480' sm image info ${U}1.vhd
		clean
	END
}

@test "what fails for a reason that may pass is tried again, later each time, and is said" {
	export RAM=1
	ns <<-'END'
		mount -t tmpfs -o nr_inodes=60 few "$T/sr"
		cd "$T/sr"
		sm sr forget S
		sm sr create S --type file --dconf location="$T/sr" >/dev/null
		chain 2
		keep ${U}1 ${U}3
		sm vdi delete snap2
		# All that is logged, and when; nobody else's /dev changes.
		mkdir "$T/up" "$T/work"
		mount -t overlay dev -o lowerdir=/dev,upperdir="$T/up",workdir="$T/work" /dev
		rm -f /dev/log
		python3 "$LISTEN" /dev/log "$T/log" & listen=$!
		until [ -S /dev/log ]; do kill -0 $listen; done
		tried() { grep -c "to be tried again" "$T/log" || true; }
		# No file can be made there: not for the word that a copy has begun.
		i=0
		while : 2>/dev/null >"fill$((i += 1))"; do :; done
		unset SM_GC
		sm sr scan S >/dev/null
		until [ "$(tried)" -ge 1 ]; do kill -0 $listen; done
		until is '.collectors[0] | .state == "waiting" and .failed == 1 and .retry_in >= 1 and (.why | contains("coalesce_")) and .running' sm gc status S 2>/dev/null; do
			kill -0 $listen; done
		[ "$(nodes)" -eq 4 ]
		until [ "$(tried)" -ge 2 ]; do kill -0 $listen; done
		rm fill*
		until is '.collectors[0] | .state == "done"' sm gc status S 2>/dev/null; do kill -0 $listen; done
		is '.collectors[0] | .merged == 1 and .retry_in == 0 and (.running | not)' sm gc status S
		kill $listen
		# A second after the first, two after that, and so on: by when it was said.
		awk '/to be tried again|merged into/ { if (n && $1 - t < 2 ^ (n - 1)) bad = 1; if (n) print $1 - t; t = $1; n++ } END { exit bad || n < 3 }' "$T/log"
		[ "$(nodes)" -eq 3 ]
		kept ${U}1 ${U}3
		clean
	END
}

@test "trees that vhd-util made, and what upstream left half done in them" {
	ns <<-'END'
		vector() { xz -dc "$VECTORS/$1.vhd.xz" >"$T/sr/$2.vhd"; [ -z "${3-}" ] || python3 "$NAMES" "$T/sr/$2.vhd" "$3.vhd"; }
		# holds VECTOR: disk 1 shows what that one shows through its parents.
		holds() {
			sm image convert -O raw ${U}1.vhd "$T/now"
			[ "$(sha256sum <"$T/now" | cut -d ' ' -f 1)" = "$(sed -n "s/^$1 sha256 //p" "$VECTORS/expect")" ]
		}
		vector chain3-base ${U}3
		vector chain3-mid ${U}2 ${U}3
		vector chain3-leaf ${U}1 ${U}2
		cp -r . "$T/made"
		tree() { rm -rf ./* .sm/vdi/*; cp "$T/made"/*.vhd .; sm sr scan S >/dev/null; }
		alone() {
			[ "$(nodes)" -eq 1 ]
			is '.vdi | .parent == null and (.hidden or .read_only | not)' sm vdi show ${U}1
			holds chain3-leaf
			clean
			sm image check ${U}1.vhd
			vhdiinfo ${U}1.vhd | grep >/dev/null "Dynamic"
			qemu-img check -q -f vpc ${U}1.vhd || [ $? -eq 63 ]
			qemu-img convert -f vpc -O raw ${U}1.vhd "$T/q"
			cmp -n $(stat -c %s "$T/q") "$T/q" "$T/now"
		}
		tree
		holds chain3-leaf
		is '.plans[0].steps | map(.action) == ["coalesce", "leaf"]' sm gc plan S
		sm gc run S
		alone
		# It died while it copied: into a base that has some of it, and is whole again with the next try.
		tree
		printf 1 >coalesce_${U}2
		vector chain3-base-after-coalesce ${U}3
		sm gc run S
		alone
		# It had copied: only names are left to change.
		tree
		printf 1 >relink_${U}2
		vector chain3-base-after-coalesce ${U}3
		is '.plans[0].steps[0] | .action == "coalesce" and .vdi == "'${U}2'" and .copy == 0' sm gc plan S
		sm gc run S ${U}1
		alone
		# It died when the leaf was to be replaced: before, and after.
		tree
		printf ${U}2 >leaf_${U}1
		mv ${U}1.vhd OLD_${U}1.vhd
		sm sr scan S >/dev/null
		[ "$(nodes)" -eq 3 ]
		holds chain3-leaf
		sm gc run S
		alone
		tree
		sm image coalesce ${U}1.vhd
		printf ${U}2 >leaf_${U}1
		mv ${U}2.vhd ${U}1.vhd
		sm gc run S
		alone
		# Of a disk that was growing the old size is there again, and it can be merged.
		for at in data-moved metadata-moved; do
			rm -rf ./* .sm/vdi/*
			vector jresize-crash-$at ${U}1
			xz -dc "$VECTORS/jresize-crash-$at.journal.xz" >.journal-${U}1
			sm sr scan S >/dev/null
			holds jresize-before
			sm vdi snapshot ${U}1 s --uuid ${U}2 >/dev/null
			put ${U}1 7:3
			keep ${U}1
			sm vdi delete s
			sm gc run S
			[ "$(nodes)" -eq 1 ]
			kept ${U}1
			clean
			vhdiinfo ${U}1.vhd >/dev/null
		done
	END
}
