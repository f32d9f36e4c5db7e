#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# sm gc on a file SR: what goes, what stays, what a death leaves.  With mounts of
# its own, so it needs root and no lab.  Which steps: tests/unit/gc_plan.c.

bats_require_minimum_version 1.5.0
load ns_helper
load gc_helper

setup() {
	ns_setup
	gc_words
}

@test "a chain is merged where nothing branches off, and at last into one disk" {
	ns <<-'END'
		chain 4
		[ "$(nodes)" -eq 9 ]
		is '.plans[0].steps | length == 4 and all(.action == "keep")' sm gc plan S
		sm vdi delete snap3
		sm vdi delete snap4
		is '.plans[0] | (.steps | map(select(.action == "coalesce")) | length == 2) and .copy > 0 and .space > 0' sm gc plan S
		is '.plans[0].steps | length > 2' sm gc run S --dry-run
		[ "$(nodes)" -eq 7 ]
		keep ${U}1 ${U}2 ${U}5
		is '.done | length == 2' sm gc run S
		[ "$(nodes)" -eq 5 ]
		kept ${U}1 ${U}2 ${U}5
		clean
		is '.plans[0].steps | all(.action == "keep")' sm gc plan S
		sm vdi delete snap2
		sm vdi delete snap5
		sm gc run S ${U}1
		[ "$(nodes)" -eq 1 ]
		is '.vdi | .parent == null and .name == "disk" and (.read_only or .hidden | not)' sm vdi show disk
		kept ${U}1
		clean
		[ "$(ls -A .sm/vdi)" = ${U}1 ]
		put disk 7:7
		sm gc plan S | grep "nothing to do"
		is '.done == []' sm gc run S
		is '.collectors[0] | .state == "done" and (.running | not)' sm gc status S
	END
}

@test "where one of two is empty nothing is copied" {
	ns <<-'END'
		sm vdi create disk --sr S --size 40M --format vhd --uuid ${U}1 >/dev/null
		sm vdi snapshot disk empty --uuid ${U}2 >/dev/null
		put disk 1:1
		sm vdi delete empty
		keep ${U}1
		is '.plans[0] | .copy == 0 and .steps[0].action == "unstack"' sm gc plan S
		sm gc run S
		[ "$(nodes)" -eq 1 ]
		is '.vdi.parent == null' sm vdi show disk
		kept ${U}1
		sm image check ${U}1.vhd
		sm vdi snapshot disk second --uuid ${U}3 >/dev/null
		sm vdi delete second
		is '.plans[0] | .copy == 0 and .steps[0].action == "leaf"' sm gc plan S
		sm gc run S
		[ "$(nodes)" -eq 1 ]
		kept ${U}1
		# The middle of three is empty: its child stands on what it stood on.
		put disk 2:2
		sm vdi snapshot disk a --uuid ${U}4 >/dev/null
		sm vdi snapshot disk b --uuid ${U}5 --force >/dev/null
		put disk 3:3
		keep ${U}1 ${U}4
		sm gc run S
		kept ${U}1 ${U}4
		clean
	END
}

@test "a raw base takes a VHD's place" {
	ns <<-'END'
		sm vdi create disk --sr S --size 40M --format raw --uuid ${U}1 >/dev/null
		head -c 3M /dev/urandom | dd of=${U}1.raw conv=notrunc bs=1M seek=4 status=none
		sm vdi snapshot disk s --uuid ${U}2 >/dev/null
		put disk 5:5
		keep ${U}1
		sm vdi delete s
		sm gc run S
		[ "$(nodes)" -eq 1 ]
		is '.vdi | .format == "raw" and .parent == null and .name == "disk"' sm vdi show disk
		cmp ${U}1.raw "$T/${U}1.keep"
		clean
	END
}

@test "what is attached waits, with its reason, and the others do not" {
	ns <<-'END'
		chain 2
		sm vdi create other --sr S --size 4M --format vhd --uuid ${U}7 >/dev/null
		put other 1:1
		sm vdi snapshot other o --uuid ${U}8 >/dev/null
		sm vdi delete o
		sm vdi delete snap2
		sm vdi serve disk --socket "$T/s" & pid=$!
		until nbdinfo --size "nbd+unix:///?socket=$T/s" >/dev/null 2>&1; do kill -0 $pid; done
		is '.plans[0].steps | map(select(.action == "wait")) | length == 1 and (.[0].why | contains("attached on this host")) and (.[0].remedy | contains("detach"))' sm gc plan S
		is '.done | length == 1' sm gc run S
		[ "$(nodes)" -eq 5 ]
		kill $pid
		wait $pid
		is '.done | length == 1' sm gc run S
		[ "$(nodes)" -eq 4 ]
		clean
	END
}

@test "a collector of its own starts after a verb that left something, and can be stopped" {
	ns <<-'END'
		chain 3
		keep ${U}1 ${U}4
		sm vdi delete snap2
		sm vdi delete snap3
		[ "$(nodes)" -eq 5 ]
		is '.collectors[0].state == "idle"' sm gc status S
		unset SM_GC
		sm sr scan S
		for ((i = 0; i < 500; i++)); do
			is '.collectors[0].state == "done" and .collectors[0].merged == 2' sm gc status S 2>/dev/null && break
			sleep 0.02
		done
		[ "$(nodes)" -eq 3 ]
		kept ${U}1 ${U}4
		# One that takes its time: the SR can be used meanwhile, and detaching ends it.
		export SM_GC=off
		sm vdi delete snap4
		put disk 55:5 66:6
		keep ${U}1
		sm gc run S --rate 100K & gc=$!
		until is '.collectors[0].running and .collectors[0].state == "copying"' sm gc status S 2>/dev/null; do kill -0 $gc; done
		sm vdi create more --sr S --size 4M >/dev/null
		sm vdi delete more
		sm gc run S 2>"$T/err" && exit 1 || [ $? -eq 3 ]
		grep -q "at work here already" "$T/err"
		sm gc stop S
		wait $gc && exit 1
		is '.collectors[0] | .state == "stopped" and (.running | not)' sm gc status S
		kept ${U}1
		clean
		put disk 44:4
		keep ${U}1
		sm gc run S --rate 100K & gc=$!
		until is '.collectors[0].state == "copying"' sm gc status S 2>/dev/null; do kill -0 $gc; done
		cd /
		sm sr detach S
		wait $gc && exit 1
		sm sr attach S
		cd "$T/sr"
		sm gc run S
		[ "$(nodes)" -eq 1 ]
		kept ${U}1
		clean
	END
}

@test "what was merged when a collector is stopped is not copied again" {
	ns <<-'END'
		sm vdi create disk --sr S --size 80M --format vhd --uuid ${U}1 >/dev/null
		put disk 1:1
		sm vdi snapshot disk a --uuid ${U}2 >/dev/null
		put disk $(for ((i = 0; i < 30; i++)); do echo $((i + 9)):$((i * 2)); done)
		sm vdi snapshot disk b --uuid ${U}3 >/dev/null
		put disk 7:7
		keep ${U}1 ${U}3
		sm vdi delete a
		is '.plans[0].copy == 62914560' sm gc plan S
		sm gc run S --rate 8M & gc=$!
		until is '.collectors[0].done > 0' sm gc status S 2>/dev/null; do kill -0 $gc; done
		sm gc stop S
		wait $gc && exit 1
		is '.plans[0].copy | . > 0 and . < 62914560' sm gc plan S
		kept ${U}1 ${U}3
		sm sr check S
		sm gc run S
		[ "$(nodes)" -eq 3 ]
		kept ${U}1 ${U}3
		clean
		# Nor of a disk, which may be written again before it is merged.
		put disk $(for ((i = 0; i < 30; i++)); do echo $((i + 50)):$((i * 2)); done)
		keep ${U}1
		sm vdi delete b
		is '.plans[0] | .steps[0].action == "leaf" and .copy == 62914560' sm gc plan S
		sm gc run S --rate 8M & gc=$!
		until is '.collectors[0].done > 0' sm gc status S 2>/dev/null; do kill -0 $gc; done
		sm gc stop S
		wait $gc && exit 1
		is '.plans[0].copy | . > 0 and . < 62914560' sm gc plan S
		kept ${U}1
		sm sr check S
		put disk 99:0 98:3 97:58 96:70
		keep ${U}1
		sm gc run S --rate 8M & gc=$!
		until is '.collectors[0].done > 0' sm gc status S 2>/dev/null; do kill -0 $gc; done
		put disk 95:2 94:58
		keep ${U}1
		wait $gc && exit 1
		kept ${U}1
		sm gc run S
		[ "$(nodes)" -eq 1 ]
		kept ${U}1
		clean
	END
}

@test "trees that have nothing in common are merged at a time, within one rate; a death of one is not that of the others" {
	export RAM=1
	ns <<-'END'
		disks="1 2 3"
		for d in $disks; do
			sm vdi create disk$d --sr S --size 60M --format vhd --uuid ${U}$d >/dev/null
			put disk$d $d:0
		done
		cp -a . "$T/empty"
		# layers: of each a snapshot that has gone, and 20 MiB to be merged
		layers() {
			rm -rf ./* .sm
			cp -a "$T/empty/." .
			for d in $disks; do
				sm vdi snapshot disk$d s$d --uuid ${U}9 >/dev/null
				put disk$d $(for ((i = 0; i < 10; i++)); do echo $((i * 9 + d)):$((i * 2 + 6)); done)
				sm vdi delete s$d
			done
		}
		parts() { until is '.collectors[0].parts | length == 3' sm gc status S 2>/dev/null; do kill -0 $gc; done; }
		workers() { cat /proc/$gc/task/$gc/children; }
		# They have ended, though perhaps nobody has asked how.
		gone() { for p; do [ ! -e /proc/$p ] || grep -q '^State:.*Z' /proc/$p/status; done; }
		layers
		keep ${U}1 ${U}2 ${U}3
		cp -a . "$T/before"
		start=$(date +%s%N)
		sm gc run S --rate 30M & gc=$!
		until is '.collectors[0] | .total == 62914560 and .state == "copying" and (.parts | all(.action == "leaf" and .total == 20971520) and
			(map(.vdi) | unique | length == 3))' sm gc status S 2>"$T/said"; do kill -0 $gc || { cat "$T/said"; exit 1; }; done
		wait $gc
		[ $(($(date +%s%N) - start)) -gt 900000000 ]
		[ "$(nodes)" -eq 3 ]
		kept ${U}1 ${U}2 ${U}3
		clean
		again() { rm -rf ./* .sm; cp -a "$T/before/." .; ASAN_OPTIONS=detect_leaks=0 sm gc run S --rate 1M "$@" 2>"$T/said" & gc=$!; parts; }
		# Asked to stop: all of them, and each keeps what it has done.
		again
		left=$(workers)
		sm gc stop S
		wait $gc && exit 1
		gone $left
		kept ${U}1 ${U}2 ${U}3
		is '.plans[0] | (.steps | length == 3 and all(.copy < 20971520)) and .copy > 0' sm gc plan S
		# One dies: the others end well.
		again
		set -- $(workers)
		kill -9 $1
		kill -TERM $gc
		wait $gc && exit 1
		[ "$(nodes)" -eq 6 ]
		kept ${U}1 ${U}2 ${U}3
		# Who began dies: they do, and another can go on.
		again
		left=$(workers)
		kill -9 $gc
		wait $gc || true
		status=0
		sm gc run S || status=$?
		gone $left
		[ $status -eq 0 ]
		[ "$(nodes)" -eq 3 ]
		kept ${U}1 ${U}2 ${U}3
		clean
		# One of them cannot be read: the others are merged all the same.
		rm -rf ./* .sm
		cp -a "$T/before/." .
		sm gc run S --rate 20M 2>"$T/said" & gc=$!
		parts
		set -- $(workers)
		kill -9 $1
		wait $gc && exit 1
		grep >/dev/null "was killed" "$T/said"
		[ "$(nodes)" -eq 4 ]
		sm gc run S
		[ "$(nodes)" -eq 3 ]
		kept ${U}1 ${U}2 ${U}3
		clean
	END
}

@test "a disk attached while its data was being copied keeps what is written" {
	ns <<-'END'
		chain 1
		sm vdi delete snap2
		put disk 1:1 2:2 3:3 4:4 12:12
		sm gc run S --rate 2M & gc=$!
		until is '.collectors[0].state == "copying"' sm gc status S 2>/dev/null; do kill -0 $gc; done
		put disk 77:3
		keep ${U}1
		wait $gc || [ $? -eq 7 ]
		kept ${U}1
		clean
		# So does one that another host has had meanwhile, as far as its lock says.
		[ "$(nodes)" -eq 2 ]
		sm gc run S --rate 2M & gc=$!
		until is '.collectors[0].state == "copying"' sm gc status S 2>/dev/null; do kill -0 $gc; done
		sm vdi lock disk --owner other && sm vdi unlock disk --owner other
		wait $gc || [ $? -eq 7 ]
		[ "$(nodes)" -eq 2 ]
		sm gc run S
		is '.locks == []' sm lock list S
		[ "$(nodes)" -eq 1 ]
		kept ${U}1
		# And one that grows shows nothing of what lay in the place of a block that moved.
		put disk $(for ((i = 0; i < 40; i++)); do echo $((i + 1)):$i; done)
		sm vdi snapshot disk b >/dev/null
		put disk 200:38
		put disk $(for ((i = 0; i < 19; i++)); do echo $((i + 100)):$((i * 2)); done)
		sm vdi delete b
		sm gc run S --rate 8M & gc=$!
		until is '.collectors[0].state == "copying"' sm gc status S 2>/dev/null; do kill -0 $gc; done
		sm vdi resize disk 100G >/dev/null
		if wait $gc; then exit 1; fi
		sm vdi serve disk --read-only --socket "$T/s" & pid=$!
		until nbdinfo --size "nbd+unix:///?socket=$T/s" >/dev/null 2>&1; do kill -0 $pid; done
		qemu-io -f raw -r -c "read -P 118 36M 1M" -c "read -P 200 38M 1M" -c "read -P 40 39M 1M" "nbd+unix:///?socket=$T/s" >"$T/read"
		[[ $(cat "$T/read") != *failed* ]]
		kill $pid
		wait $pid
		clean
	END
}

@test "a disk that grows while what is below it is copied shows nothing of a larger base" {
	ns <<-'END'
		sm vdi create big --sr S --size 80M --format vhd --uuid ${U}1 >/dev/null
		put big 1:60 2:2
		sm vdi create disk --sr S --size 40M --format vhd --uuid ${U}2 >/dev/null
		sm vdi snapshot disk s >/dev/null
		value() { printf '<value>%s</value>' "$@"; }
		member() { printf '<member><name>%s</name>%s</member>' "$1" "$(value "$2")"; }
		FileSR >"$T/doc" "<methodCall><methodName>vdi_compose</methodName><params><param><value><struct>$(
			member host_ref OpaqueRef:h; member command vdi_compose; member sr_uuid "$sr"; member vdi_uuid ${U}2
			member args "<array><data>$(value ${U}1)</data></array>"
			member device_config "<struct>$(member location "$T/sr")</struct>")</struct></value></param></params></methodCall>"
		is '.vdi.parent == "'${U}1'"' sm vdi show disk
		put disk $(for ((i = 10; i < 22; i++)); do echo 3:$i; done)
		sm vdi snapshot disk t --uuid ${U}3 >/dev/null
		sm vdi delete t
		sm gc run S --rate 2M & gc=$!
		until is '.collectors[0].state == "copying"' sm gc status S 2>/dev/null; do kill -0 $gc; done
		sm vdi resize disk 80M >/dev/null
		keep ${U}2
		cmp -n 41943040 -i 41943040:0 "$T/${U}2.keep" /dev/zero
		wait $gc || [ $? -eq 7 ]
		kept ${U}2
		sm gc run S || [ $? -eq 7 ]
		kept ${U}2
		is '.plans[0].steps | any(.why | . and contains("is larger"))' sm gc plan S
		clean
	END
}

@test "nothing moves below a disk while it is copied" {
	ns <<-'END'
		sm vdi create disk --sr S --size 400M --format vhd --uuid ${U}1 >/dev/null
		sm vdi serve disk --socket "$T/s" & pid=$!
		until nbdinfo --size "nbd+unix:///?socket=$T/s" >/dev/null 2>&1; do kill -0 $pid; done
		# The block that is read last lies where the table of a larger disk will be.
		qemu-io -f raw -c "write -P 6 396M 2M" -c "write -P 7 0 390M" "nbd+unix:///?socket=$T/s" >/dev/null
		kill $pid
		wait $pid
		sm vdi snapshot disk a --uuid ${U}2 >/dev/null
		sm vdi resize disk 4G
		put disk 5:3000
		sm vdi snapshot disk b --uuid ${U}3 >/dev/null
		sm vdi delete a
		sm vdi copy b --uuid ${U}4 >/dev/null & copy=$!
		until [ "$(stat -c %s ${U}4.vhd 2>/dev/null || echo 0)" -gt 20000000 ]; do kill -0 $copy; done
		kill -STOP $copy
		is '.plans[0].steps | map(select(.why // "" | contains("3 is being copied"))) | length == 1' sm gc plan S
		is '.done == []' sm gc run S
		kill -CONT $copy
		wait $copy
		qemu-io -r -f vpc -c "read -P 6 396M 2M" ${U}4.vhd | grep -vz "verification failed"
		is '.done | length == 1' sm gc run S
		clean
	END
}

@test "the journals of upstream: what it left half done is finished, or forgotten" {
	ns <<-'END'
		chain 3
		keep ${U}1 ${U}2 ${U}4
		node=$(sm vdi show ${U}3 --json | jq -r .vdi.parent)
		base=$(sm vdi show $node --json | jq -r .vdi.parent)
		sm vdi delete snap3
		# Died while it copied: nothing but the word is lost.
		printf 1 >coalesce_$node
		sm gc plan S
		is '.done | length == 1' sm gc run S
		kept ${U}1 ${U}2 ${U}4
		clean
		# Died while the children were getting their new parent.
		sm vdi delete snap2
		node=$(sm vdi show ${U}4 --json | jq -r .vdi.parent)
		base=$(sm vdi show $node --json | jq -r .vdi.parent)
		sm image coalesce $node.vhd
		printf 1 >relink_$node
		is '.plans[0].steps[0] | .copy == 0 and .vdi == "'$node'"' sm gc plan S
		sm gc run S
		[ ! -e $node.vhd ]
		kept ${U}1 ${U}4
		clean
		# A leaf: before the parent had its name it is undone, after it finished.
		sm vdi delete snap4
		printf "$base" >leaf_${U}1
		mv ${U}1.vhd OLD_${U}1.vhd
		sm sr scan S
		is '.vdi.parent == "'$base'"' sm vdi show disk
		kept ${U}1
		clean
		sm image coalesce ${U}1.vhd
		printf "$base" >leaf_${U}1
		mv $base.vhd ${U}1.vhd
		sm sr scan S
		kept ${U}1
		[ ! -e leaf_${U}1 ]
		printf "$base" >leaf_${U}9
		printf 1 >relink_${U}9
		sm gc run S
		clean
	END
}

# A run tries some calls, others each day: SWEEP_EVERY=1 tries all of them.
deaths() {
	[ "$(uname -m)" = x86_64 ] || skip "the tracer knows the registers of x86_64"
	export every=${SWEEP_EVERY:-$((97 * ${PACE:-1}))} HOW=$1
	export first=${SWEEP_FIRST:-$(($(date +%-j) * 7 % every + 1))}
	# Not the one under AddressSanitizer: it has system calls of its own to fail.
	plain=${sm%/gcc/bin/sm}/musl/bin/sm
	[ ! -x "$plain" ] || export PATH=${plain%/sm}:$PATH
	"$BATS_TEST_DIRNAME/../sweep/build.sh" "$T" at left
	export AT_OPEN=$T/open AT_COUNT=$T/count TRIED=$T/tried RAM=1 PATH=$T:$PATH
	echo "SWEEP_FIRST=$first SWEEP_EVERY=$every"
	ns <<-'END'
		chain 3
		put disk 8:8
		sm vdi create raw --sr S --size 8M --format raw --uuid ${U}6 >/dev/null
		sm vdi snapshot raw r --uuid ${U}7 --force >/dev/null
		put raw 3:3
		sm vdi create top --sr S --size 8M --format vhd --uuid ${U}8 >/dev/null
		sm vdi snapshot top t --uuid ${U}9 >/dev/null
		put top 4:4
		for v in snap2 snap4 r t; do sm vdi delete $v; done
		keep ${U}1 ${U}3 ${U}6 ${U}8
		cp -a . "$T/before"
		sm gc run S >/dev/null		# what it tells of itself stays while the SR is there
		left "$SM_ROOT" "$PWD" >"$T/held"
		for ((n = first; ; n += every)); do
			rm -rf ./* .sm
			cp -a "$T/before/." .
			status=0
			at $n $HOW $(command -v sm) gc run S >/dev/null 2>&1 || status=$?
			left "$SM_ROOT" "$PWD" "$T/held" verb
			[ ! -e "$AT_OPEN" ] || { cat "$AT_OPEN"; exit 1; }
			# The next verb that changes something has put names right.
			sm sr scan S
			kept ${U}1 ${U}3 ${U}6 ${U}8
			sm gc run S >/dev/null
			[ "$(nodes)" -eq 5 ] || { echo "call $n: $(nodes) disks"; sm vdi tree S; exit 1; }
			kept ${U}1 ${U}3 ${U}6 ${U}8
			clean >/dev/null || { echo "call $n"; sm sr check S; ls -A; exit 1; }
			left "$SM_ROOT" "$PWD" "$T/held"
			# What it cannot read it may leave alone, and say nothing.
			[ $n -le $(cat "$AT_COUNT") ] || break
		done
		echo "$n calls"
		echo $(((n - first) / every)) >"$TRIED"
	END
	case $HOW in
	kill) echo "# sweep file gc_run killed=$(cat "$T/tried") bad=0" >&3 ;;
	*) echo "# sweep file gc_run failed=$(cat "$T/tried") bad=0" >&3 ;;
	esac
}

@test "killed before any system call: the next one goes on, and no disk has changed" {
	deaths kill
}

@test "nothing works from some system call on: the same" {
	PACE=$((${PACE:-1} * 2)) deaths EIO+
}

@test "random trees under a collector that never rests, and is killed: every disk holds what it should" {
	export GCMODEL=$BATS_TEST_DIRNAME/../sweep/gcmodel.sh SEED=${SEED:-$RANDOM} RAM=1
	echo "SEED=$SEED"
	ns <<-'END'
		bash "$GCMODEL" file ${GC_STEPS:-12} ${GC_DEPTH:-29} $SEED
	END
}
