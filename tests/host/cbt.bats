#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# sm cbt: logs of changed blocks of a file SR, written through sm vdi serve.  What they
# say is compared with what really differs.  With mounts of its own: root only.
load cli_helper
load ns_helper

setup() {
	ns_root
	cli_setup
	export T=$BATS_TEST_TMPDIR S=$BATS_TEST_TMPDIR/s SM_GC=off
	mkdir "$T/store"
	cat >"$T/prelude" <<-'PRELUDE'
		serve() {	# serve VDI: and wait until it can be connected to
			sm vdi serve "$1" --socket "$S" &
			pid=$!
			for ((i = 0; i < 200; i++)); do
				if nbdinfo --size "nbd+unix:///?socket=$S" >/dev/null 2>&1; then return; fi
				kill -0 $pid
				sleep 0.02
			done
		}
		stop() { kill $pid; wait $pid; }
		# write VDI OFFSET LENGTH...: other bytes than are there, and cleanly detached
		write() {
			local io=()

			serve "$1"
			while shift; [ $# -gt 1 ]; do
				io+=(-c "write -P $((RANDOM % 255 + 1)) $1 $2")
				shift
			done
			qemu-io -f raw "${io[@]}" "nbd+unix:///?socket=$S" >/dev/null
			stop
		}
		uuid() { sm vdi show "$1" --json | jq -r .vdi.uuid; }
		log() { echo "$T/store/$(uuid "$1").cbtlog"; }
		is() {	# is FILTER COMMAND...
			local filter=$1
			shift
			"$@" --json >"$T/doc" || return
			jq -e "$filter" "$T/doc" >/dev/null || { echo "not true: $filter" >&2; cat "$T/doc" >&2; return 1; }
		}
		refused() { ! "$@" 2>"$T/why" && cat "$T/why"; }
		# differ A B: "START LENGTH" of the blocks of 64 KiB in which two disks differ
		differ() {
			for v in "$1" "$2"; do
				sm image convert "$T/store/$(uuid "$v").vhd" -O raw "$T/$v.raw" --force
				truncate -s "$(sm vdi show "$2" --json | jq .vdi.virtual_size)" "$T/$v.raw"
			done
			{ cmp -l "$T/$1.raw" "$T/$2.raw" || :; } | awk '{ b = int(($1 - 1) / 65536) } !seen[b]++ { print b }' | sort -n |
				awk 'NR > 1 && $1 != end { print from * 65536, (end - from) * 65536 }
					NR == 1 || $1 != end { from = $1 } { end = $1 + 1 }
					END { if (NR) print from * 65536, (end - from) * 65536 }'
		}
		same() { diff <(differ "$1" "$2") <(sm cbt changed "$1" "$2"); }
		# call COMMAND VDI ARG...: SMAPIv1
		call() {
			member() { printf "<member><name>%s</name><value>%s</value></member>" "$@"; }
			FileSR "$(printf "<methodCall><methodName>%s</methodName><params><param><value><struct>%s</struct></value></param></params></methodCall>" \
				"$1" "$(member command "$1"; member args "<array><data>$(printf "<value>%s</value>" "${@:3}")</data></array>"
				member device_config "<struct>$(member location "$T/store")</struct>"
				member sr_uuid "$(sm sr list --minimal)"; member vdi_uuid "$(uuid "$2")")")"
		}
		trap 'kill -9 ${pid:-} 2>/dev/null || :' EXIT
		sm sr create disks --type file --dconf location="$T/store" >/dev/null
		sm vdi create d --sr disks --size 64M >/dev/null
	PRELUDE
}

in_sr() {
	unshare -m bash -euo pipefail -c '. "$T/prelude"; '"$1"
}

@test "cbt: a log is made, marked by who writes the disk, shown and removed" {
	in_sr '
		is ".cbt.enabled == false" sm cbt show d
		sm cbt enable d && sm cbt enable d
		cmp "$(log d)" <(head -c 32 /dev/zero; printf "\1\0\0\0\0\0\0\0\0\0\0\4\0\0\0\0"; head -c 128 /dev/zero)
		write d 0 1 65535 2 1M 300k 67108863 1
		is ".cbt | .enabled and .consistent and .in_use == false and .changed_blocks == 8 and .size == 67108864" sm cbt show d
		[ "$(od -An -tx1 -j48 -N3 "$(log d)")" = " 03 00 1f" ]
		[ "$(od -An -tx1 -j175 -N1 "$(log d)")" = " 80" ]
		# Who only reads marks nothing.
		sm vdi serve d --socket "$S" --read-only & pid=$!
		until nbdinfo --size "nbd+unix:///?socket=$S" 2>/dev/null; do kill -0 $pid; sleep 0.02; done
		[ "$(od -An -tx1 -j32 -N4 "$(log d)")" = " 01 00 00 00" ]
		stop
		sm cbt check disks
		sm cbt disable d && sm cbt disable d
		[ -z "$(ls "$T/store" | grep cbtlog)" ] || exit 1
		sm vdi create r --sr disks --size 8M --format raw >/dev/null
		refused sm cbt enable r | grep "r.*only the changes of vhd disks are tracked"'
}

@test "cbt: changes between snapshots are those of the contents, also once snapshots go" {
	in_sr '
		sm cbt enable d
		write d 0 4M
		sm vdi snapshot d s1 >/dev/null
		is ".cbt.enabled and .cbt.changed_blocks == 0" sm cbt show d
		write d 1M 1 5M 200k 33554431 2
		sm vdi snapshot d s2 >/dev/null
		sm vdi resize d 100M >/dev/null
		write d 64k 1 70M 64k
		sm vdi snapshot d s3 >/dev/null
		write d 8M 1
		sm cbt check disks
		same s1 s2; same s2 s3; same s1 s3; same s1 d; same s3 d
		is ".changed | .size == 104857600 and (.ranges | length) == 5" sm cbt changed s1 s3
		[ "$(sm cbt changed s1 s2 --minimal)" = "$(call vdi_list_changed_blocks s1 "$(uuid s2)" | sed "s/.*<string>//; s/<.*//")" ]
		# The most significant bit first: block 16 is 1 MiB.
		[ "$(sm cbt changed s1 s2 --minimal | base64 -d | od -An -tx1 -j2 -N1)" = " 80" ]
		refused sm cbt changed s2 s1 | grep "no chain of logs leads from the one disk to the other"
		refused sm cbt changed s1 s1 | grep "the same VDI"
		sm vdi clone s2 c >/dev/null
		refused sm cbt changed s1 c | grep "not tracked"
		call vdi_list_changed_blocks s2 "$(uuid s1)" | grep "<int>460<"
		# The log of a snapshot that goes becomes a part of the next.
		sm cbt changed s1 s3 >"$T/was"
		sm vdi delete s2
		sm cbt changed s1 s3 | diff "$T/was" -
		sm cbt check disks
		s3=$(uuid s3)
		sm cbt data-destroy s3
		is ".vdi | .format == \"cbtlog\" and .name == \"s3\"" sm vdi show s3
		sm cbt changed s1 s3 | diff "$T/was" -
		same s1 d
		refused sm vdi clone s3 | grep "has no data"
		refused sm vdi attach s3 | grep "has no data"
		refused sm vdi create x --sr disks --size 1M --uuid $s3 | grep "already exists"
		refused sm cbt data-destroy d | grep "is no snapshot"
		sm vdi delete $s3
		same s1 d
		sm cbt check disks
		sm vdi delete d; sm vdi delete s1; sm vdi delete c
		[ -z "$(ls "$T/store" | grep -v "vhd$")" ] || exit 1'
}

@test "cbt: who dies while a disk is written leaves a log that is not believed" {
	in_sr '
		sm cbt enable d
		sm vdi snapshot d s >/dev/null
		serve d
		refused sm cbt disable d | grep "is attached"
		qemu-io -f raw -c "write -P 1 0 64k" "nbd+unix:///?socket=$S" >/dev/null
		kill -9 $pid; wait $pid || :
		sm vdi detach d
		is ".cbt.consistent == false" sm cbt show d
		refused sm cbt changed s d | grep "the log of changed blocks is not complete"
		sm cbt check disks --json | jq -e ".ok and (.problems | length) == 1"
		write d 64k 64k
		is ".cbt.enabled == false" sm cbt show d
		is ".cbt.child == null" sm cbt show s
		sm cbt enable d; write d 0 1; sm cbt check disks'
}

@test "cbt: a tracked disk stays one of which the changes are marked" {
	in_sr '
		sm vdi create r --sr disks --size 8M --format raw >/dev/null
		sm vdi snapshot r s1 --force >/dev/null
		sm cbt enable r
		sm vdi snapshot r s2 >/dev/null
		write r 0 1
		sm vdi delete s1
		s2=$(uuid s2)
		sm cbt data-destroy s2
		sm gc run disks || [ $? -eq 7 ]
		is ".plans[0].steps[0] | .action == \"wait\" and (.why | contains(\"tracked\"))" sm gc plan disks
		is ".vdi.format == \"vhd\"" sm vdi show r
		is ".changed.changed_blocks == 1" sm cbt changed $s2 r
		sm cbt disable r
		sm gc run disks
		is ".vdi.format == \"raw\"" sm vdi show r'
}

@test "cbt: where a new log has no room the snapshot is whole, and the SR goes on" {
	in_sr '
		mkdir "$T/ram"; mount -t tmpfs -o size=8M ram "$T/ram"
		sm sr create full --type file --dconf location="$T/ram" >/dev/null
		sm vdi create f --sr full --size 100G >/dev/null
		sm cbt enable f
		sm vdi snapshot f s1 >/dev/null
		dd if=/dev/zero of="$T/ram/fill" bs=64k status=none || :
		until sm vdi snapshot f s2 >/dev/null 2>&1; do truncate -s -64k "$T/ram/fill"; done
		is ".cbt.enabled == false" sm cbt show f
		sm cbt changed s1 s2
		ls -A "$T/ram" | grep clone_ && exit 1
		rm "$T/ram/fill"
		sm cbt check full; sm sr check full
		sm vdi delete s2; sm cbt enable f'
}

@test "cbt: a disk that gets other contents has changed everywhere; a deleted one has no log" {
	in_sr '
		sm cbt enable d
		write d 0 64k
		sm vdi snapshot d s >/dev/null
		write d 1M 64k
		call vdi_revert s "$(uuid d)" | grep "<nil/>"
		is ".changed.changed_blocks == 1024" sm cbt changed s d
		sm vdi delete s
		is ".cbt.parent == null" sm cbt show d
		sm cbt check disks
		sm vdi delete d
		[ -z "$(ls "$T/store" | grep cbtlog)" ] || exit 1
		FileSR "<methodCall><methodName>sr_get_driver_info</methodName><params/></methodCall>" | grep VDI_CONFIG_CBT'
}

# Upstream holds the lock for a moment; what is damaged is told of, and what is not stays.
@test "cbt: a log that cannot be looked at now is not lost when its disk gets other contents" {
	in_sr '
		sm cbt enable d; sm vdi snapshot d s >/dev/null; write d 1M 64k
		lock=$SM_ROOT/var/lock/sm/$(uuid d)/cbtlog
		python3 -c "import fcntl, sys, time; f = open(sys.argv[1], \"r+\"); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); time.sleep(60)" "$lock" >"$T/held" & pid=$!
		until [ -s "$T/held" ]; do kill -0 $pid; done
		call vdi_revert s "$(uuid d)" | grep "lock the log of VDI $(uuid d)"
		kill $pid; wait $pid || :
		is ".changed.changed_blocks == 1" sm cbt changed s d
		sm sr check disks
		truncate -s 50 "$(log d)"
		call vdi_revert s "$(uuid d)" | grep "<nil/>"
		[ ! -e "$(log d)" ] && is ".cbt.enabled == false" sm cbt show d && sm sr check disks'
}

@test "cbt: with the log of a snapshot without data goes what was noted of its lock" {
	in_sr '
		mkdir -p "$SM_ROOT/etc"; echo "INSTALLATION_UUID=$(uuid d)" >"$SM_ROOT/etc/xensource-inventory"
		sm cbt enable d; sm vdi snapshot d s >/dev/null
		sm vdi lock s --owner backup; sm vdi unlock s --owner backup
		sm cbt data-destroy s
		find "$T/store" -name ".*.xenlk.*" | grep .
		sm vdi delete s
		[ -z "$(find "$T/store" -name "*.xenlk*")" ]'
}

@test "cbt: chains that a death left in between are put back" {
	in_sr '
		sm cbt enable d; write d 0 1; sm vdi snapshot d s1 >/dev/null; write d 1M 1
		sm vdi snapshot d s2 >/dev/null; write d 2M 1
		hex() { printf "%b" "\\x$(uuid "$1" | tr -d - | sed "s/../&\\\\x/g; s/\\\\x$//")"; }
		at() { dd of="$(log "$1")" bs=1 seek="$2" conv=notrunc status=none; }
		cp "$(log s1)" "$T/s1"; cp "$(log s2)" "$T/s2"; cp "$(log d)" "$T/d"
		# A delete of s2 that never came to its end: the chain leads past it.
		hex d | at s1 16; hex s1 | at d 0
		sm cbt check disks --json | jq -e ".problems | length == 2"
		sm cbt changed s2 d >/dev/null
		sm sr scan disks
		cmp "$(log s1)" "$T/s1"; cmp "$(log d)" "$T/d"
		# And one whose disk is gone already.
		hex d | at s1 16; hex s1 | at d 0
		gone=$(log s2)
		rm "$T/store/$(uuid s2).vhd"
		sm sr scan disks
		[ ! -e "$gone" ]
		# A snapshot of which the neighbours know nothing yet.
		sm vdi snapshot d s3 >/dev/null
		cp "$(log s1)" "$T/s1"; cp "$(log s3)" "$T/s3"
		sm cbt changed s1 d >"$T/was"; [ -s "$T/was" ]; sm cbt changed s1 s3 | diff "$T/was" -
		head -c 16 /dev/zero | at s3 16; hex d | at s1 16
		# Who only looks repairs nothing, and says no less than the truth.
		sm cbt changed s1 d | diff "$T/was" -
		sm sr scan disks
		cmp "$(log s1)" "$T/s1"; cmp "$(log s3)" "$T/s3"
		# What is no log at all goes with a repair.
		head -c 47 "$T/d" >"$(log d)"
		[ "$(sm cbt check disks --json 2>/dev/null | jq -r ".problems[0].severity")" = error ]
		sm cbt check disks --repair
		is ".cbt.enabled == false" sm cbt show d'
}
