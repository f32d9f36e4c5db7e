#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2016,SC2154 # scripts for another shell; stderr comes from bats
#
# Locks that live with the storage, in a directory: the doors, lock-util, who is
# dead and who is not, a death at any system call, and many processes at once.
# Hosts that share a disk: ../lock.bats.

bats_require_minimum_version 1.5.0
load ns_helper

SR=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11
VDI=2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21

setup() {
	export T=$BATS_TEST_TMPDIR SM_ROOT=$BATS_TEST_TMPDIR/root SR=$SR VDI=$VDI
	mkdir -p "$T/bin" "$SM_ROOT/etc" "$T/disks"
	for name in sm lock-util FileSR; do
		ln -s "$(realpath "$(command -v "${SM:-sm}")")" "$T/bin/$name"
	done
	PATH=$T/bin:$PATH
	echo "INSTALLATION_UUID='aaaaaaaa-0000-4000-8000-000000000001'" >"$SM_ROOT/etc/xensource-inventory"
	ns_words <<-'END'
		# other CMD…: as another host would
		other() { SM_ROOT=$T/root2 "$@"; }
		record() { echo "$T/disks/$SR"/.*.xenlk.0*; }
		# waited: all that this host has seen of locks it saw long ago
		waited() { sed -i 's/[0-9]*$/0/' "$SM_ROOT"/run/sm/seen/*; }
		sm sr_create -t file -d "$T/disks" $SR
		sm sr_attach -t file -d "$T/disks" $SR
		sm sr introduce $SR --type file --dconf location="$T/disks/$SR" --name S >/dev/null
		sm vdi create root --sr S --size 1M --format raw --uuid $VDI >/dev/null
		cd "$T/disks/$SR"
	END
}

# second_host: SM_ROOT of a host with another name, which has the SR too.
second_host() {
	cat >>"$T/prelude" <<-'END'
		mkdir -p "$T/root2/etc"
		echo "INSTALLATION_UUID='aaaaaaaa-0000-4000-8000-000000000002'" >"$T/root2/etc/xensource-inventory"
		other sm sr introduce $SR --type file --dconf location="$T/disks/$SR" --name S >/dev/null
		# From now on both know of each other.
		share_it() {
			local on share="$SR --type file --dconf shared=true --name S"
			for on in '' other; do
				$on sm sr forget $SR
				$on sm sr introduce $share --dconf location="$T/disks/$SR" >/dev/null
			done
		}
		# waits_for SOCKET: somebody serves a disk there.
		waits_for() {
			for ((i = 0; i < 400; i++)); do [ ! -S "$1" ] || return 0; sleep 0.05; done
			return 1
		}
	END
}

@test "vdi_lock and vdi_unlock of 2007: one user, by force another, and whose it is" {
	ns <<-'END'
		call() { "$1" "${@:2:1}" -t file -d "$T/disks" $SR $VDI "${@:3}"; }
		call sm vdi_lock FALSE host1:dom3
		call sm vdi_get_params | grep >/dev/null '(VBDs (host1:dom3)).*(lock 1)'
		fails 103 "sm: vdi_lock: *is locked by 'host1:dom3' (this host, process *, vdi lock, since *" \
			call sm vdi_lock FALSE host2:dom9
		fails 37 "*is locked by 'host1:dom3'*" call sm vdi_unlock FALSE host2:dom9
		fails 103 "*is locked by*" call sm vdi_delete
		fails 103 "*is locked by*" call sm vdi_clone 77aa7c90-0c3d-4a6f-8e55-1d0a9c7e4f21
		FileSR vdi_lock "$T/disks" $SR $VDI TRUE host2:dom9
		fails 37 "*is locked by 'host2:dom9'*" call sm vdi_unlock FALSE host1:dom3	# he is late
		call sm vdi_unlock FALSE host2:dom9
		fails 37 "*is not locked*" call sm vdi_unlock FALSE host2:dom9
		call sm vdi_lock FALSE host1:dom3
		call sm vdi_unlock TRUE host2:dom9
		call sm vdi_get_params | grep >/dev/null '(VBDs ()).*(lock 0)'
		fails 101 "*no such VDI*" sm vdi_lock -t file -d "$T/disks" $SR 77aa7c90-0c3d-4a6f-8e55-1d0a9c7e4f21 FALSE x
		fails 22 "*longer than*" call sm vdi_lock FALSE "$(printf '%300s' x)"
		call sm vdi_delete
		test "$(ls -A | tr '\n' ' ')" = ".sm "
	END
}

@test "a disk that somebody locked is deleted once nobody has renewed that for its term and the grace, and the record goes" {
	second_host
	ns <<-'END'
		call() { other sm vdi_delete -t file -d "$T/disks" $SR $VDI; }
		sm vdi_lock -t file -d "$T/disks" $SR $VDI FALSE host1:dom3
		fails 103 "*is locked by 'host1:dom3'*try: again in 3? s: *" call
		# Past its term, in the grace.
		sed -i "s/[0-9]*$/$(($(cut -d. -f1 /proc/uptime) - 31))000000000/" "$T"/root2/run/sm/seen/*
		fails 103 "*is locked by 'host1:dom3'*try: again in ? s: *" call
		fails 3 "*is locked by 'host1:dom3'*" other sm vdi delete $VDI
		SM_ROOT=$T/root2 waited
		call
		test "$(ls -A)" = .sm
		fails 101 "*no such VDI*" sm vdi_unlock -t file -d "$T/disks" $SR $VDI FALSE host1:dom3
	END
}

@test "a lease of 30 seconds can be taken by who has seen it unchanged for 35, whatever clocks of servers show" {
	second_host
	ns <<-'END'
		sm vdi_lock -t file -d "$T/disks" $SR $VDI FALSE host1:dom3
		is '.lock | .lease == 30 and .state == "held" and .owner == "host1:dom3" and .here and .kind == "mark"' sm lock show $VDI
		test -e $VDI.raw.xenlk
		touch -d '-9 days' "$(record)"			# that of the server was set forward
		fails 3 "*is locked by*try: again in 3? s: *" other sm vdi lock $VDI --owner late
		fails 3 "*is locked by*try: again in 3? s: *" sm vdi lock $VDI --owner late
		fails 3 "*not proven dead, unchanged for *" sm lock break $VDI
		waited
		sm lock renew $VDI --owner host1:dom3
		fails 3 "*is locked by*" sm vdi lock $VDI --owner late
		waited
		is '.locks[0] | .state == "dead" and (.why | contains("not renewed for "))' sm lock list S
		sm lock renew $VDI --owner host1:dom3		# nobody was faster
		is '.locks[0] | .state == "held"' sm lock list S
		waited
		fails 3 "*is locked by*" other sm vdi lock $VDI --owner late	# who has not seen it himself
		sm vdi lock $VDI --owner late --lease 60
		is '.lock | .lease == 60 and .owner == "late"' sm lock show $VDI
		fails 3 "*is locked by 'late'*" sm lock renew $VDI --owner host1:dom3
		fails 3 "*is locked by 'late'*" sm vdi unlock $VDI --owner host1:dom3
		sm vdi unlock $VDI --owner late
		is '.lock == null' sm lock show $VDI
		test ! -e $VDI.raw.xenlk
		# Or set back.
		sm vdi lock $VDI --owner early --lease 30
		touch -d '+9 days' "$(record)"
		fails 3 "*not proven dead*" sm lock break $VDI
		waited
		sm lock break $VDI
		# By hand a lock is for good, until somebody knows better.
		sm vdi lock $VDI --owner me
		touch -d '-9 days' "$(record)"
		fails 3 "*not proven dead*--force*" sm lock break $VDI
		sm lock break $VDI --force
		sm lock break $VDI
		fails 2 "*control character*" sm vdi lock $VDI --owner "$(printf 'a\001b')"
	END
}

@test "who deletes a disk, and dies, leaves no lock of it: the next verb ends that, too" {
	ns <<-'END'
		sm vdi lock root --owner a
		mv $VDI.raw .sm/tmp/
		[ -e .$VDI.xenlk.0000000000000001 ]
		sm vdi create other --sr S --size 1M --format raw >/dev/null
		[ -z "$(find . -name "*$VDI*")" ]
		[ -z "$(sm lock list S --minimal)" ]
	END
}

@test "a disk of a shared SR: one host writes it, the other is told which one does" {
	[ -c /dev/loop-control ] || skip "no loop devices here"
	second_host
	ns <<-'END'
		dev=$(sm vdi attach $VDI --shared)
		sm vdi attach $VDI --shared | grep >/dev/null -x "$dev"
		fails 3 "*is locked by '*' (host aaaaaaaa-0000-4000-8000-000000000001, process *, vdi attach, since *" \
			other sm vdi attach $VDI --shared
		fails 3 "*is locked by*" other sm vdi attach $VDI --shared --read-only
		fails 3 "*is locked by*" other sm vdi resize $VDI 2M
		fails 3 "*is locked by*" other sm vdi copy $VDI torn
		fails 3 "*is locked by*" other sm vdi delete $VDI
		fails 3 "*is locked by*" other sm vdi lock $VDI --owner x
		fails 3 "*not proven dead*" other sm lock break $VDI
		other sm lock list | grep >/dev/null "aaaaaaaa-0000-4000-8000-000000000001 .*vdi attach .*held"
		sm vdi resize $VDI 2M
		sm vdi detach $VDI
		other sm vdi attach $VDI --shared >/dev/null
		fails 3 "*is locked by*" sm vdi attach $VDI --shared
		# Without a word of other hosts none of them is overlooked that said one.
		fails 3 "*is locked by '*' (host aaaaaaaa-0000-4000-8000-000000000002, process *, vdi attach, since *sm lock show $VDI*" \
			sm vdi attach $VDI
		fails 3 "*is locked by*" sm vdi attach $VDI --read-only
		other sm vdi deactivate $VDI
		fails 3 "*is locked by*" sm vdi attach $VDI
		other sm vdi activate $VDI >/dev/null
		# A mark by this host is no obstacle, and is one again afterwards.
		other sm vdi detach $VDI
		sm vdi lock $VDI --owner host1:dom3
		fails 3 "*is locked by 'host1:dom3'*" other sm vdi attach $VDI --shared
		sm vdi attach $VDI --shared >/dev/null
		is '.lock | .kind == "attached" and .owner == "host1:dom3"' sm lock show $VDI
		fails 3 "*is attached to this host*" sm vdi unlock $VDI --owner host1:dom3
		sm vdi lock $VDI --owner host1:dom3
		sm vdi detach $VDI
		is '.lock | .kind == "mark" and .owner == "host1:dom3" and .lease == 30' sm lock show $VDI
		sm vdi unlock $VDI --owner host1:dom3
		# Started anew: this host knows that nothing of it is attached any more.
		sm vdi attach $VDI --shared >/dev/null
		sm vdi detach $VDI
		sm vdi attach $VDI --shared >/dev/null
		rm "$SM_ROOT/run/sm/attached/$SR/$VDI"
		sm lock list | grep >/dev/null 'not attached here any more'
		sm lock break $VDI
		losetup -d "$dev" 2>/dev/null || :
	END
}

@test "activate takes the lock where the attachment has none; killed at any system call it leaves no device without" {
	[ -c /dev/loop-control ] || skip "no loop devices here"
	[ "$(uname -m)" = x86_64 ] || skip "the tracer knows the registers of x86_64"
	second_host
	"$BATS_TEST_DIRNAME/../sweep/build.sh" "$T" at
	local plain
	plain=$(realpath "$T/bin/sm")
	[ ! -x "${plain%/gcc/bin/smbox}/musl/bin/smbox" ] || plain=${plain%/gcc/bin/smbox}/musl/bin/smbox
	mkdir "$T/plain"
	ln -s "$plain" "$T/plain/sm"
	export AT_COUNT=$T/count SWEEP_EVERY=${SWEEP_EVERY:-13}
	ns <<-'END'
		fails 1 "*is not attached*sm vdi attach*" sm vdi activate $VDI --shared
		for ((n = $(date +%-j) % SWEEP_EVERY + 1; ; n += SWEEP_EVERY)); do
			sm vdi attach $VDI >/dev/null
			sm vdi deactivate $VDI
			is '.lock == null' sm lock show $VDI
			"$T/at" $n kill "$T/plain/sm" vdi activate $VDI --shared >/dev/null 2>&1 || :
			[ "$(cat "$AT_COUNT")" -ge $n ] || break
			sm vdi show $VDI --json >"$T/doc"
			jq -e .vdi.attached "$T/doc" >/dev/null
			! jq -e .vdi.attached.device "$T/doc" >/dev/null ||
				fails 3 "*is locked by*, vdi activate, since *" other sm vdi attach $VDI --shared
			sm vdi activate $VDI --shared >/dev/null
			fails 3 "*is locked by*, vdi activate, since *" other sm vdi attach $VDI --shared
			sm vdi detach $VDI
			is '.locks == []' sm lock list
			is '.vdi.attached == null' sm vdi show $VDI
		done
		[ $n -gt 100 ]
		fails 3 "*is locked by*, vdi activate, since *" other sm vdi attach $VDI --shared
		sm vdi detach $VDI
		other sm vdi attach $VDI --shared >/dev/null
		other sm vdi detach $VDI
	END
}

@test "a disk of a shared SR that is served has the lock until its server ends" {
	second_host
	ns <<-'END'
		sm sr forget S
		sm sr introduce $SR --type file --dconf location="$T/disks/$SR" --dconf shared=true --name S >/dev/null
		sm vdi serve $VDI --socket "$T/s" &
		for ((i = 0; i < 200; i++)); do [ ! -S "$T/s" ] || break; sleep 0.05; done
		is '.lock | .kind == "attached" and .verb == "vdi serve"' sm lock show $VDI
		fails 3 "*is locked by*" other sm vdi serve $VDI --socket "$T/s2"
		fails 3 "*is locked by*" other sm vdi attach $VDI --shared
		kill $!
		wait $! || :
		is '.lock == null' sm lock show $VDI
		# Broken by who takes this host for gone: within ten seconds it is; and who only reads, which may change now.
		read=$(sm vdi create read --sr S --size 1M --format raw --minimal)
		sm vdi serve $VDI --socket "$T/s" 2>"$T/err" & one=$!
		sm vdi serve read --read-only --socket "$T/r" 2>"$T/err2" & two=$!
		for ((i = 0; i < 200; i++)); do [ ! -S "$T/s" ] || [ ! -S "$T/r" ] || break; sleep 0.05; done
		other sm lock break $VDI --force
		other sm lock break $read --force
		for pid in $one $two; do
			status=0
			wait $pid || status=$?
			[ $status -eq 3 ]
		done
		for err in "$T"/err*; do grep >/dev/null "the lock of the disk has been broken by another host: given up" "$err"; done
		[ ! -e "$T/s" ] && [ ! -e "$T/r" ]
		is '.vdi.attached == null' sm vdi show $VDI
		is '.vdi.attached == null' sm vdi show read
		sm vdi delete read
		sm vdi delete $VDI
	END
}

@test "readers on two hosts, and nobody changes what one of them reads" {
	second_host
	ns <<-'END'
		share_it
		export SM_GC=off
		d=$(sm vdi create tree --sr S --size 2M --format vhd)
		s=$(sm vdi snapshot tree --minimal)
		sm vdi serve tree --socket "$T/1" --read-only &
		one=$!
		waits_for "$T/1"
		SM_ROOT=$T/root2 sm vdi serve tree --socket "$T/2" --read-only &
		two=$!
		waits_for "$T/2"
		is '[.locks[] | select(.mode == "shared" and .kind == "attached")] | length == 2' sm lock list
		kill $two; wait $two || :
		tree=$(sm vdi show tree --minimal)
		read="*is being read by '*' (host aaaaaaaa-0000-4000-8000-000000000001, vdi serve)*"
		for verb in "vdi delete $tree" "vdi resize $tree 4M" "vdi snapshot $tree" "vdi clone $tree" \
			    "vdi serve $tree --socket $T/3"; do
			fails 3 "$read" other sm $verb
		done
		# Below it nothing is merged, and what is garbage elsewhere goes.
		other sm vdi delete "$s"
		other sm gc plan S | grep >/dev/null "attached on another host"
		other sm gc run S
		[ "$(other sm vdi list --sr S --json | jq '[.vdis[] | select(.hidden)] | length')" = 1 ]
		kill $one; wait $one || :
		is '.locks == []' sm lock list
		other sm gc run S
		[ "$(other sm vdi list --sr S --json | jq '[.vdis[] | select(.hidden)] | length')" = 0 ]
		# Hidden until it is whole, a copy is nobody's garbage, and a source nobody's to delete.
		sm vdi create big --sr S --size 192M --format raw >/dev/null
		truncate -s 192M "$T/disks/$SR/$(sm vdi show big --minimal).raw"
		dd if=/dev/urandom of="$T/disks/$SR/$(sm vdi show big --minimal).raw" bs=1M count=192 conv=notrunc status=none
		sm vdi copy big twin --sr S --format vhd >/dev/null &
		for ((i = 0; i < 400; i++)); do
			[ "$(other sm lock list --json | jq '[.locks[] | select(.verb == "vdi copy")] | length')" != 2 ] || break
			sleep 0.01
		done
		kill -STOP $!
		fails 3 "*is being read by*vdi copy)*" other sm vdi delete big
		other sm gc run S >/dev/null
		other sm gc plan S | grep >/dev/null "attached on another host"
		kill -CONT $!
		wait $!
		other sm vdi show twin >/dev/null
		other sm vdi delete big
		is '.locks == []' sm lock list
		# One that died reading: only who knows says so; its own host, started anew, does.
		sm vdi serve tree --socket "$T/1" --read-only &
		waits_for "$T/1"
		kill -9 $!; wait $! || :
		fails 3 "*not proven dead*" other sm lock break $tree
		other sm lock break $tree --force
		other sm vdi resize tree 4M
		other sm vdi delete tree
	END
}

@test "a collector on one host: another takes nothing from under it, and is told whose it is" {
	second_host
	ns <<-'END'
		export SM_GC=off
		share_it
		serve() {
			sm vdi serve "$1" --socket "$T/s" & pid=$!
			waits_for "$T/s"
		}
		end() { kill $pid; wait $pid || :; }
		put() { serve "$1"; qemu-io -f raw -c "write -P $2 ${3}M 6M" "nbd+unix:///?socket=$T/s" >/dev/null; end; }
		# call VERB VDI OTHER: of xapi, on the other host
		call() {
			other FileSR "<methodCall><methodName>$1</methodName><params><param><value><struct><member><name>host_ref</name><value>OpaqueRef:h</value></member><member><name>command</name><value>$1</value></member><member><name>args</name><value><array><data><value>$3</value></data></array></value></member><member><name>device_config</name><value><struct><member><name>location</name><value>$T/disks/$SR</value></member><member><name>shared</name><value>true</value></member></struct></value></member><member><name>sr_uuid</name><value>$SR</value></member><member><name>vdi_uuid</name><value>$2</value></member></struct></value></param></params></methodCall>"
		}
		copying() { until is '.collectors[0].state == "copying"' sm gc status S 2>/dev/null; do kill -0 $gc; done; }
		tree() {
			t=$(sm vdi create t --sr S --size 16M --format vhd)
			put t 1 0
			sm vdi snapshot t a >/dev/null
			put t 2 3
			b=$(sm vdi snapshot t b)
			sm vdi delete a
			node=$(sm vdi show t --json | jq -r .vdi.parent)
			base=$(sm vdi show $node --json | jq -r .vdi.parent)
		}
		tree
		# What another host has is not put on something else, and nothing is put on it.
		u=$(sm vdi create u --sr S --size 16M --format vhd)
		serve t
		call vdi_revert $b $t | grep >/dev/null "is locked by .*host aaaaaaaa-0000-4000-8000-000000000001, .*vdi serve"
		call vdi_compose $u $t | grep >/dev/null "is locked by .*vdi serve"
		is '.plans[0].steps | any((.why // "" | contains("attached on another host: ") and contains("(host aaaaaaaa-0000-4000-8000-000000000001, vdi serve)"))
			and .remedy == "sm vdi detach '$t' on that host")' other sm gc plan S
		is '.done == []' other sm gc run S
		end
		# It stands still, and what it copies from and to is there to the end, whoever wants it away.
		sm gc run S --rate 1M >/dev/null & gc=$!
		copying
		kill -STOP $gc
		told="*SR $SR: '*' (host aaaaaaaa-0000-4000-8000-000000000001, process *, gc run) is at work on it*sm gc stop $SR on that host*"
		fails 3 "$told" other sm sr check S --repair
		call vdi_compose $u $base | grep >/dev/null "is at work on it"
		fails 3 "*at work on it*" other sm gc run S
		for v in t b u; do other sm vdi delete $v; done
		test -e $node.vhd && test -e $base.vhd
		fails 3 "$told" other sm vdi delete $node
		test -e $node.vhd && test -e $base.vhd
		kill -CONT $gc
		wait $gc || :
		sm gc run S >/dev/null
		is '.vdis | map(select(.format == "vhd")) == []' sm vdi list --sr S
		# On its own host it stops for whoever has the lock of the SR, and does not want that first.
		tree
		sm gc run S --rate 1M >/dev/null & gc=$!
		copying
		began=$(date +%s%N)
		sm sr check S --repair >/dev/null
		[ $((($(date +%s%N) - began) / 1000000)) -lt 1900 ]
		if wait $gc; then exit 1; fi
		is '.locks == []' sm lock list
		other sm gc run S >/dev/null
	END
}

@test "a host without a name of its own does not share an SR" {
	ns <<-'END'
		rm "$SM_ROOT/etc/xensource-inventory"
		sm vdi lock $VDI --owner me		# that is anybody's word
		sm vdi unlock $VDI --owner me
		fails 1 "*no name of its own to lock by*" sm vdi attach $VDI --shared
		fails 1 "*no name of its own to lock by*" sm vdi attach $VDI --shared --read-only
		sm sr forget S
		sm sr introduce $SR --type file --dconf location="$T/disks/$SR" --dconf shared=true --name S >/dev/null || :
		fails 1 "*no name of its own to lock by*systemd-machine-id-setup*" sm vdi create x --sr S --size 1M
		sm vdi list --sr S --minimal | grep >/dev/null $VDI
		echo 30000000000000000000000000000000 >"$SM_ROOT/etc/machine-id"
		sm vdi create x --sr S --size 1M >/dev/null
	END
}

@test "verbs of two hosts that change one SR take turns" {
	second_host
	ns <<-'END'
		share_it
		for n in 1 2 3 4 5 6; do
			sm vdi create a$n --sr S --size 1M >/dev/null &
			other sm vdi create b$n --sr S --size 1M >/dev/null &
		done
		wait
		[ "$(sm vdi list --sr S --minimal | tr , '\n' | wc -l)" = 13 ]
		is '.vdis | length == 13' other sm vdi list --sr S
	END
}

@test "lock-util: the tool of 2007, on the locks of disks and on others" {
	cd "$T/disks"
	[ "$(lock-util lock $VDI.raw.xenlk w 0 $SR 30)" = "0 30" ]
	[ "$(lock-util lock $VDI.raw.xenlk w 0 $SR 20)" = "0 20" ]
	[ "$(lock-util lock "$PWD/$VDI.vhd.xenlk" w 0 $VDI 30)" = "-1 20" ]
	touch -d '-9 seconds' .$VDI.xenlk.0*
	[[ "$(lock-util delta $VDI.raw.xenlk)" =~ ^(9|1[0-9])\ 20$ ]]
	[ "$(lock-util lock $VDI.raw.xenlk w 1 $VDI 30)" = "0 30" ]
	run ! lock-util unlock $VDI.raw.xenlk w $SR
	[ -e $VDI.raw.xenlk ]
	lock-util unlock $VDI.raw.xenlk w $VDI
	lock-util unlock $VDI.raw.xenlk w $VDI
	[ ! -e $VDI.raw.xenlk ]
	[ "$(lock-util delta $VDI.raw.xenlk)" = "-1 0" ]
	lock-util unlock nothing.xenlk w $VDI
	# The name of what is locked is that of the same lock, and is left alone.
	echo a disk >$VDI.vhd
	[ "$(lock-util lock $VDI.vhd w 0 $SR 30)" = "0 30" ]
	[[ "$(lock-util delta $VDI.raw.xenlk)" =~ ^[01]\ 30$ ]]
	[ -e $VDI.vhd.xenlk ]
	lock-util unlock $VDI.vhd w $SR
	[ ! -e $VDI.vhd.xenlk ] && [ "$(cat $VDI.vhd)" = "a disk" ] && rm $VDI.vhd
	[ "$(lock-util lock some.other.xenlk w 0 me 30)" = "0 30" ]
	[ "$(lock-util lock other.xenlk w 0 you 30)" = "0 30" ]
	run ! lock-util lock x w 0 "$(printf 'a\001b')" 1
	[ ! -e x.xenlk ]
	for bad in "" lock "lock x r 0 h 1" "lock x w 2 h 1" "lock x w 0 h" "lock x w 0 h -1" "delta" \
		   "lock /nowhere/x w 0 h 1" "lock d/ w 0 h 1" "lock $(printf '%0300d' 0) w 0 h 1"; do
		# shellcheck disable=SC2086 # words
		run --separate-stderr lock-util $bad
		[ "$status" -eq 1 ] && [ -z "$output" ] && [ "${#stderr_lines[@]}" -eq 1 ]
	done
}

@test "a record that cannot be read is held by nobody knows whom, until it is broken" {
	ns <<-'END'
		sm vdi lock $VDI --owner a
		printf x | dd of="$(record)" bs=1 seek=200 conv=notrunc status=none
		is '.locks[0] | .state == "damaged" and .owner == null' sm lock list S
		fails 3 "*its record cannot be read*" sm vdi lock $VDI --owner a
		fails 3 "*its record cannot be read*" sm vdi delete $VDI
		fails 3 "*" sm lock break $VDI
		ln -sf /etc/passwd "$(record)"
		fails 3 "*its record cannot be read*" sm vdi unlock $VDI --owner a
		sm lock break $VDI --force
		sm vdi lock $VDI --owner b
		sm vdi unlock $VDI --owner b
		sm vdi delete $VDI
	END
}

@test "with an SR its locks go, and those of other hosts are told of" {
	second_host
	declare -f plant >>"$T/prelude"
	ns <<-'END'
		shopt -s dotglob nullglob
		left() { echo "$T/disks/$SR"/*; }
		sm vdi lock $VDI --owner me
		sm sr forget S
		sm sr introduce $SR --type file --dconf location="$T/disks/$SR" --dconf shared=true --name S >/dev/null
		sm vdi unlock $VDI --owner me
		sm vdi delete $VDI
		plant 77aa7c90-0c3d-4a6f-8e55-1d0a9c7e4f21 1
		[ -e .$SR.xenlk.*2 ]
		sm sr destroy S 2>"$T/err"
		grep >/dev/null -x "sm: warning: lock 77aa7c90-.*: held by 'x' (host cccccccc-.*): its file stays in the directory" "$T/err"
		[ "$(left)" = "$PWD/.77aa7c90-0c3d-4a6f-8e55-1d0a9c7e4f21.xenlk.0000000000000001" ]
		rm .77aa*
		sm sr create S --type file --dconf location="$PWD" --dconf shared=true --uuid $SR >/dev/null
		# Another host at work on it.
		plant $SR 0x30 30
		fails 124 "*is being changed by 'x'*" sm --timeout 1 sr destroy S
		waited
		sm sr destroy S 2>"$T/err"
		[ -z "$(left)" ] && [ ! -s "$T/err" ]
	END
}

# plant LOCK GENERATION [TERM]: a record of a host that is not there; without a term it does not run out.
plant() {
	python3 - "$@" <<-'END'
		import struct, sys, uuid, zlib
		lock, generation, term = sys.argv[1], int(sys.argv[2], 0), int((sys.argv[3:] + [0])[0])
		raw = lambda u: uuid.UUID(u).bytes
		r = b"SMLEASE1" + bytes(4) + bytes([2, 2, 0, 1]) + struct.pack(">QQIIQQq", generation, 7, term, 1, 1, 1, 1)
		r += raw(lock) + raw("cccccccc-0000-4000-8000-000000000003") * 2 + b"x".ljust(32, b"\0") + b"x".ljust(256, b"\0")
		r = r.ljust(512, b"\0")
		r = r[:8] + struct.pack(">I", zlib.crc32(r)) + r[12:]
		open(f".{lock}.xenlk.{generation:016x}", "wb").write(r)
	END
}

@test "whatever lies in the directory, there is a way out of it" {
	declare -f plant >>"$T/prelude"
	ns <<-'END'
		sm sr forget S
		sm sr introduce $SR --type file --dconf location="$T/disks/$SR" --dconf shared=true --name S >/dev/null
		export SM_GC=off
		works() { sm vdi create x --sr S --size 1M >/dev/null && sm vdi delete x; }
		# The SR's own lock: one that cannot be read, and one that nobody gives back.
		echo junk >.$SR.xenlk.0000000000000fff
		fails 3 "*its record cannot be read*sm lock break $SR --force*" works
		fails 3 "*its record cannot be read*" sm lock break $SR
		sm lock break $SR --force
		works
		plant $SR 0x2000
		fails 3 "*not proven dead*" sm lock break $SR --sr S
		sm lock break $SR --sr S --force
		works
		# A verb at work, by a server whose clock has been set: old by that, not by ours.
		plant $SR 0x3000 30
		touch -d '-1 hour' .$SR.xenlk.*3000
		fails 124 "*is being changed by 'x'*" sm --timeout 1 vdi create x --sr S --size 1M
		waited
		works
		# That of a disk that is gone.
		gone=77aa7c90-0c3d-4a6f-8e55-1d0a9c7e4f21
		echo junk >.$gone.xenlk.0000000000000001
		d=$(sm vdi create tree --sr S --size 2M --format vhd)
		fails 3 "*lock $gone cannot be read*sm lock break $gone --sr $SR --force*" sm gc run S
		sm lock break $gone --sr S --force
		sm gc run S >/dev/null
		fails 4 "*no such VDI*" sm lock break 77aa7c90-0c3d-4a6f-8e55-1d0a9c7e4f22 --sr S
		# A generation that none can follow.
		for last in 0x7ffffffffffffffe 0x7ffffffffffffffd; do
			plant $d $last
			fails 3 "*is locked*" sm vdi lock $d --owner me
			sm lock break $d --force
			sm lock break $d --force
			sm vdi lock $d --owner me
			sm lock break $d --force
			sm vdi lock $d --owner me
			sm vdi unlock $d --owner me
		done
		sm vdi delete $d
		is '.locks == []' sm lock list
	END
}

@test "killed at any system call, a lock is free, or held by him who was to get it" {
	[ "$(uname -m)" = x86_64 ] || skip "the tracer knows the registers of x86_64"
	"$BATS_TEST_DIRNAME/../sweep/build.sh" "$T" at
	cd "$T/disks"
	export AT_COUNT=$T/count AT_OPEN=$T/open
	local plain=$T/bin/lock-util real
	real=$(realpath "$plain")
	[ ! -x "${real%/gcc/bin/smbox}/musl/bin/smbox" ] || ln -sf "${real%/gcc/bin/smbox}/musl/bin/smbox" "$plain"
	for how in kill EIO; do
		for verb in "lock L w 0 new 30" "lock L w 1 new 30" "unlock L w old"; do
			for ((n = 1; ; n++)); do
				rm -rf ./* .L.*
				[[ $verb == *" 0 "* ]] || lock-util lock L w 0 old 30 >/dev/null
				# shellcheck disable=SC2086 # words
				run "$T/at" $n $how "$plain" $verb
				[ "$(cat "$AT_COUNT")" -ge $n ] || break
				[ ! -e "$AT_OPEN" ] || { cat "$AT_OPEN"; false; }
				# Who holds it now?  Its holder gets it again, nobody else.
				held=none
				for who in old new; do
					lock-util delta L >"$T/delta"
					[[ $(cat "$T/delta") != -1* ]] || break
					[[ $(lock-util lock L w 0 $who 30) != 0* ]] || held=$who
				done
				case $verb,$held in
				lock*" 0 "*,none | lock*" 0 "*,new | lock*" 1 "*,old | lock*" 1 "*,new) ;;
				unlock*,none | unlock*,old) ;;
				*) echo "$how at $n of $verb: $held, $(cat "$T/delta")"; ls -la; false ;;
				esac
				# And the lock works.
				[[ $(lock-util lock L w 1 next 30) == "0 30" ]]
				lock-util unlock L w next
				[[ $(lock-util lock L w 0 after 30) == "0 30" ]]
				[ "$(find . -name '.L.xenlk.0*' | wc -l)" -eq 1 ]
			done
			case $how in
			kill) echo "# sweep lock ${verb%% *} killed=$((n - 1)) bad=0" >&3 ;;
			*) echo "# sweep lock ${verb%% *} failed=$((n - 1)) bad=0" >&3 ;;
			esac
			[ $n -gt 10 ]
		done
	done
}

# Take the lock, tell the history, give it back, again and again, until there is enough to tell.
@test "eight processes and one lock: the history shows never two inside" {
	cd "$T/disks"
	cat >"$T/worker" <<-'END'
		end=$((SECONDS + 60)) n=0
		while [ $SECONDS -lt $end ] && [ "$(stat -c %s "$T/history")" -lt 2400 ]; do
			[[ $(lock-util lock L w 0 $1 30) == 0* ]] || continue
			echo "enter $1" >>"$T/history"
			[ $((n++ % 3)) -ne 0 ] || [[ $(lock-util lock L w 0 $1 30) == 0* ]] || echo "lost $1" >>"$T/history"
			echo "leave $1" >>"$T/history"
			lock-util unlock L w $1 || echo "late $1" >>"$T/history"
		done
	END
	: >"$T/history"
	for i in 1 2 3 4 5 6 7 8; do
		bash "$T/worker" w$i &
	done
	wait
	awk '$1 == "enter" { if (inside) { print "two inside", NR; bad = 1 } inside = $2; n++; who[$2] = 1 }
		$1 == "leave" { if (inside != $2) { print "not inside", NR; bad = 1 } inside = "" }
		$1 == "late" || $1 == "lost" { print; bad = 1 }
		END { print n " times, by " length(who); exit bad || n < 50 || length(who) < 2 }' "$T/history"
}
