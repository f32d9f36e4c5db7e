#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2016 # scripts for the guests
#
# Locks that live with the storage: two hosts and one disk.  One host and a
# directory: host/lock.bats.  Every interleaving: unit/lease_area.c.

SR=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11
V=2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21
HOST_A=aaaaaaaa-0000-4000-8000-000000000001
HOST_B=aaaaaaaa-0000-4000-8000-000000000002

# host NAME ID: what a host has of its own.
host() {
	guest_ok -n "$1" "echo \"INSTALLATION_UUID='$2'\" >/etc/xensource-inventory"
}

setup_file() {
	load helpers/lab
	lab_start --shared disk:256M --shared history:2M
	lab_start -n b --shared disk:256M --shared history:2M
	host a $HOST_A
	host b $HOST_B
	guest_ok "sm sr create S --type lvm --dconf device=/dev/ubda --uuid $SR && sm vdi create root --sr S --size 8M --uuid $V"
	guest_ok -n b "sm sr introduce $SR --type lvm --dconf device=/dev/ubda"
}

teardown_file() {
	load helpers/lab
	lab_stop -n b
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/sm
	needs LVM_LOCKS
}

@test "the first lock makes the area, in a place that lvm2 and the names of disks leave alone" {
	guest_ok "sm vdi rename root 'a name' --description 'and words' && sm vdi lock $V --owner host1:dom3"
	guest_ok 'judge vgck VG_XenStorage-'$SR' && judge lvs --noheadings --nosuffix --units m -o lv_size VG_XenStorage-'$SR/MGT
	[ "${output// /}" = 20.00 ]
	guest_ok -n b "sm vdi list --json && sm lock list"
	[[ $output == *'"a name"'*"host1:dom3  $HOST_A"*" vdi lock "*" held "* ]]
	denied -n b "*is locked by 'host1:dom3' (host $HOST_A, process *" "sm vdi lock $V --owner host2:dom9"
	denied -n b "*is locked by*" "sm vdi delete $V"
	# The calls of 2007 on both.
	guest -n b "sm vdi_lock -t lvm -d /dev/ubda $SR $V FALSE host2:dom9 2>/dev/null" || true
	[ "$status" -eq 103 ]
	guest_ok -n b "sm vdi_lock -t lvm -d /dev/ubda $SR $V TRUE host2:dom9 && sm vdi_get_params -t lvm -d /dev/ubda $SR $V"
	[[ $output == *"(VBDs (host2:dom9))"*"(lock 1)"* ]]
	guest "sm vdi_unlock -t lvm -d /dev/ubda $SR $V FALSE host1:dom3" || true	# he is late
	[ "$status" -eq 37 ]
	guest_ok -n b "sm vdi_unlock -t lvm -d /dev/ubda $SR $V FALSE host2:dom9 && sm lock show $V"
	[[ $output == "state: "*free ]]
	# Names are written, disks come and go, and locks stay what they are.
	guest_ok "sm vdi lock $V --owner x && sm vdi create more --sr S --size 8M && sm vdi rename more less && sm vdi delete less &&
		sm sr check S"
	guest_ok -n b "sm lock show $V --json"
	jq -e '.lock.owner == "x" and .lock.generation > 3' <<<"$output" >/dev/null
	guest_ok "sm vdi unlock $V --owner x"
}

# work NAME SECONDS: take the lock, note it on the other disk as only one alone can, give it
# back; once die with it, which costs the next one the lease and the grace.
work='
	get() { dd if=/dev/ubdb bs=512 skip=$1 count=1 iflag=direct status=none | tr -d "\0"; }
	put() { printf "%-512s" "$2" | dd of=/dev/ubdb bs=512 seek=$1 oflag=direct conv=notrunc status=none; }
	end=$((SECONDS + $2)) n=0 mine=0 late=0
	while [ $SECONDS -lt $end ]; do
		owner=$1.$((++n))
		sm vdi lock '$V' --sr S --owner $owner --lease 2 2>/dev/null || continue
		c=$(get 0)
		put $((c + 1)) "enter $owner"
		put 0 $((c + 1))
		c=$(get 0)
		put $((c + 1)) "leave $owner"
		put 0 $((c + 1))
		[ $((++mine)) -ne 4 ] || continue
		sm vdi unlock '$V' --sr S --owner $owner || : $((late++))
	done
	echo $mine $late'

@test "two hosts lock, unlock, die and steal: the history is that of one after the other" {
	guest_ok 'printf "%-512s" 0 | dd of=/dev/ubdb bs=512 conv=notrunc,fsync status=none'
	guest -n b -t 90 "set -- b 20; $work" >"$BATS_TEST_TMPDIR/b" 2>&1 &
	guest_ok -t 90 "set -- a 20; $work"
	read -r a late_a <<<"${lines[-1]}"
	wait $!
	read -r b late_b < <(tail -n 1 "$BATS_TEST_TMPDIR/b")
	echo "a $a times, b $b times"
	[ "$a" -ge 4 ] && [ "$b" -ge 4 ] && [ "$late_a" -eq 0 ] && [ "$late_b" -eq 0 ]
	guest_ok "dd if=/dev/ubdb bs=512 count=$((2 * (a + b) + 2)) iflag=direct status=none | tr -d '\0' | fold -w 512" >/dev/null
	awk -v times=$((a + b)) 'NR == 1 { if ($1 != 2 * times) { print "lost", $1, 2 * times; bad = 1 } next }
		NR % 2 == 0 { if ($1 != "enter") { print NR, $0; bad = 1 } inside = $2; next }
		NR <= 2 * times + 1 && ($1 != "leave" || $2 != inside) { print NR, $0; bad = 1 }
		END { exit bad }' <<<"$output"
}

@test "attached on one host: the other is told, and a host that died is not guessed to have" {
	guest_ok "sm lock break $V --force; sm vdi attach $V --shared"
	denied -n b "*is locked by '*' (host $HOST_A, process *, vdi attach, since *" "sm vdi attach $V --shared"
	guest_ok -n b "sm vdi show $V --json"
	jq -e '.vdi.attached == null' <<<"$output" >/dev/null
	denied -n b "*is locked by*" "sm vdi resize $V 12M"
	lab_kill
	denied -n b "*not proven dead, held until it is given back*--force*" "sm lock break $V"
	lab_restart
	host a $HOST_A
	guest_ok "sm sr introduce $SR --type lvm --dconf device=/dev/ubda --name S && sm lock list"
	[[ $output == *" dead "*"this host has been started anew since"* ]]
	guest_ok "sm vdi attach $V --shared && sm vdi detach $V && sm lock list | wc -l"
	[ "${lines[-1]}" = 1 ]
	# Who knows better says so; the one who lost it gives back nothing that is not his.
	guest_ok "sm vdi attach $V --shared"
	guest_ok -n b "sm lock break $V --force && sm vdi attach $V --shared"
	guest_ok "sm vdi detach $V && sm lock show $V"
	[[ $output == *"host:           $HOST_B"* ]]
	denied "*is locked by*" "sm vdi attach $V --shared"
	guest_ok -n b "sm vdi detach $V"
}

@test "dconf shared=true: every attachment takes the lock, of a VHD disk too" {
	guest_ok "sm sr forget S && sm sr introduce $SR --type lvm --dconf device=/dev/ubda --dconf shared=true --name S &&
		sm vdi create vhd --sr S --size 8M --format vhd && sm vdi attach vhd && sm lock list --minimal"
	vhd=${lines[1]}
	[ "${lines[-1]}" = "$vhd" ]
	denied -n b "*is locked by*" "sm vdi attach $vhd --shared"
	denied -n b "*is locked by*" "sm vdi snapshot $vhd"
	guest_ok "sm vdi detach vhd && sm vdi delete vhd && sm lock list --minimal"
	[ -z "$output" ]
}

@test "through every door one host at a time gets the disk, and the other is told who has it" {
	needs SHARED_SR FRONT_SRAPI1 FRONT_SMAPI1
	load helpers/doors
	TYPE=lvm DEVICE=/dev/ubda DOORS="2007 xapi" one_writer $V $HOST_A $HOST_B
}

@test "a raw volume that another host has taken by force: this one writes nothing more to it" {
	needs LOCK_KEEPER
	guest_ok "sm vdi create raw --sr S --size 8M --format raw && dev=\$(sm vdi attach raw) && echo early | dd of=\$dev conv=sync,fsync status=none; echo \$dev"
	dev=${lines[-1]}
	raw=${dev#*sm-}
	guest_ok -n b "sm lock break $raw --force && dev=\$(sm vdi attach $raw --shared) && [ \$(head -c 5 \$dev) = early ] &&
		echo theirs | dd of=\$dev conv=sync,fsync status=none"
	# It looks by itself; a new one does at once.
	guest_ok -t 60 "k=\$(cat /run/sm/keeper/$SR); kill -9 \$k; while kill -0 \$k 2>/dev/null; do sleep 0.02; done; sm vdi rename raw lost
		late() { yes late | dd of=$dev bs=4096 seek=\$1 count=1 iflag=fullblock oflag=direct 2>/dev/null; }
		until ! late 9; do sleep 0.1; done; ! late 0"
	guest_ok "sm lock list && sm lock show lost && sm vdi show lost"
	[[ $output == *"$HOST_B"*" held "*"(lock broken)"* && $output == *"this host "*" broken "* && $output == *"attached still"* ]]
	guest "sm vdi attach lost" || true
	[ "$status" -eq 1 ]
	guest_ok "sm vdi detach lost && ! ls /run/sm/keeper/$SR $dev 2>/dev/null && sm lock list"
	[[ $output == *"$HOST_B"*" held "* && $output != *broken* ]]
	denied "*is locked by '*' (host $HOST_B, *" "sm vdi attach lost"
	guest_ok -n b "[ \$(head -c 6 $dev) = theirs ] && sm vdi detach $raw"
	guest_ok "sm vdi attach lost && [ \$(head -c 6 $dev) = theirs ] && sm vdi detach lost && sm vdi delete lost && ! ls /run/sm/keeper/$SR 2>/dev/null"
}

@test "a disk in use on one host: the other merges nothing below it; and one that dies in a merge is followed" {
	needs SHARED_SR FMT_VHD GC DATAPATH_NBD
	local on

	for on in a b; do
		guest_ok -n $on "sm sr forget $SR; sm sr introduce $SR --type lvm --dconf device=/dev/ubda --dconf shared=true --name S" >/dev/null
	done
	guest_ok -t 90 'export SM_GC=off
		put() { d=$(sm vdi attach tree) && dd if=/dev/urandom of=$d bs=1M count=$1 seek=$2 conv=notrunc,fsync status=none && sm vdi detach tree; }
		t=$(sm vdi create tree --sr S --size 12M --format vhd) && put 5 0 && sm vdi snapshot tree s1 && put 3 3 && sm vdi snapshot tree s2 || exit
		sm vdi delete s1 && d=$(sm vdi attach tree) && md5sum <$d >/tmp/sum && echo $t' >/dev/null
	tree=${lines[-1]}
	guest_ok -n b "sm gc plan S --json"
	jq -e --arg host "$HOST_A" --arg remedy "sm vdi detach $tree on that host" '.plans[0].steps | any(.action == "wait" and .remedy == $remedy and
		(.why | contains("attached on another host: ") and contains("(host \($host), vdi attach)")))' <<<"$output"
	guest_ok -n b "sm gc run S --json" >/dev/null
	jq -e '.done == []' <<<"$output"
	# While it copies, others go on.
	guest_ok "sm vdi detach tree"
	guest_ok -n b 'export SM_GC=off; sm gc run S --rate 64K >/dev/null 2>&1 &
		until sm gc status S | grep >/dev/null "state: *copying"; do kill -0 $!; done'
	guest_ok 'export SM_GC=off; s=$(sm vdi snapshot tree) && sm vdi delete $s && sm vdi attach tree && sm vdi detach tree && sm vdi create x --sr S --size 4M && sm vdi delete x' >/dev/null
	denied "*'*' (host $HOST_B, process *, gc run) is at work on it*" "sm gc run S"
	denied "*SR $SR: '*' (host $HOST_B, *) is at work on it*sm gc stop $SR on that host*" "sm sr check S --repair"
	guest_ok -n b 'sm gc status S' >/dev/null
	[[ $output == *copying* ]]
	lab_kill -n b
	# It is waited for until it may have died; here it is known.
	denied "*at work on it*try: again in *" "sm gc run S"
	# Who died has left several records if it was about to renew its lock or to take that of the SR: each is only
	# looked at when those before it are known to be dead.  Nothing was seen before the guest's own beginning.
	guest_ok -t 120 "export SM_GC=off; until [ \$(cut -d. -f1 /proc/uptime) -gt 36 ]; do sleep 1; done
		for record in 1 2 3 4 5 6 7 8; do sed -i 's/[0-9]*\$/0/' /run/sm/seen/*; sm gc run S && break; done && sm gc plan S && sm sr check S && judge vgck VG_XenStorage-$SR &&
		md5sum <\$(sm vdi attach tree) | cmp - /tmp/sum && sm vdi detach tree && sm lock list --minimal && sm vdi tree S --json"
	[[ $output == *"merged into"*"nothing to do"* ]]
	[ "$(grep -c '"uuid"' <<<"$output")" -eq 4 ]
	guest_ok "export SM_GC=off; sm vdi delete tree && sm vdi delete s2 && judge lvs --noheadings -o lv_name VG_XenStorage-$SR | grep -v -e MGT -e $V; true"
	[ -z "$output" ]
	lab_restart -n b
	host b $HOST_B
	guest_ok -n b "sm sr introduce $SR --type lvm --dconf device=/dev/ubda" >/dev/null
}

# Make a tree, snapshot it, read it, delete what is not needed; all names are this host's own.
change='
	for n in 1 2 3; do
		sm vdi create $1$n --sr S --size 8M --format vhd && sm vdi snapshot $1$n $1$n.s &&
			sm vdi rename $1$n.s $1.$n && sm vdi delete $1.$n || exit
	done >/dev/null'

@test "two hosts change one VG at once: lvm2 finds it whole, and each what the other made" {
	guest_ok -n b "sm sr forget $SR && sm sr introduce $SR --type lvm --dconf device=/dev/ubda --dconf shared=true --name S"
	guest -n b -t 90 "set -- b; export SM_GC=off; $change" >"$BATS_TEST_TMPDIR/b" 2>&1 &
	guest_ok -t 90 "set -- a; export SM_GC=off; $change"
	wait $! || { cat "$BATS_TEST_TMPDIR/b"; false; }
	for on in a b; do
		guest_ok -n "$on" "sm sr check S && judge vgck VG_XenStorage-$SR && judge pvck /dev/ubda && sm vdi list --sr S --json >/tmp/l"
		guest_ok -n "$on" "cat /tmp/l"
		jq -e '[.vdis[] | select(.hidden | not)] | length == 7' <<<"$output" >/dev/null
	done
	# A reader there is seen here, and what he reads is left alone.
	guest_ok -n b "sm vdi attach a1 --read-only >/dev/null && sm lock list --json"
	[[ $output == *'"mode": "shared"'* ]]
	denied "*is being read by*" "sm vdi snapshot a1"
	guest_ok "export SM_GC=off; sm gc run S && sm vdi attach a1 --read-only >/dev/null && sm vdi detach a1"
	guest_ok -n b "sm vdi detach a1 && sm lock list --minimal"
	[ -z "$output" ]
	# A copy there dies with all active; who knows that goes on here, and there it goes with the next verb.
	guest_ok -n b -t 60 'sm vdi create big --sr S --size 40M --format raw
		sm vdi copy big half --uuid 33333333-0000-4000-8000-000000000001 >/dev/null 2>&1 & copy=$!
		until set -- /dev/mapper/*-LV--33333333--*; [ -e "$1" ]; do kill -0 $copy || exit 9; done
		sm lock list S >/dev/null	# which waits until the copy has let go of the VG
		kill -9 $copy && wait $copy; ls /dev/mapper' >/dev/null
	[ "$(grep -c ^VG_ <<<"$output")" -eq 2 ]
	denied "*is being read by*" "sm vdi delete big"
	guest_ok -t 60 "export SM_GC=off; for l in \$(sm lock list S --minimal | tr , ' '); do sm lock break \$l --sr S --force || exit; done
		sm vdi delete big && sm sr scan S && sm vdi list --sr S --minimal" >/dev/null
	[[ $output != *33333333* ]]
	guest_ok -n b -t 60 "SM_GC=off sm sr scan S >/dev/null; find /dev/mapper /run/sm/refcount /run/sm/opened ! -type d 2>/dev/null; true" >/dev/null
	[ "$output" = /dev/mapper/control ]
	guest_ok "export SM_GC=off; for n in 1 2 3; do sm vdi delete a\$n && sm vdi delete b\$n || exit; done; sm gc run S
		judge vgck VG_XenStorage-$SR && sm vdi delete $V && sm sr destroy S"
}
