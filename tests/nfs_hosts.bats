#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2016 # scripts for the guests
#
# Locks that live with the storage: two hosts, each with its kernel, and one export.
# One disk instead: lock.bats.  TURNS is for how long they are at each other.

SR=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11
V=2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21
W=2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f22
AT="--type nfs --dconf server=10.77.0.2 --dconf serverpath=/pool --dconf nfsversion=4.1"
LEASE=3 GRACE=5

# host NAME NUMBER: what a host has of its own, and its place in the network.
host() {
	guest_ok -n "$1" "echo $2$2$2$2$2$2$2${2}00000000000000000000000$2 >/etc/machine-id
		ip link set vec0 up && ip addr add 10.78.0.$2/24 dev vec0 && { [ $2 = 1 ] || ip route add 10.77.0.0/24 via 10.78.0.1; }"
}

setup_file() {
	load helpers/lab
	local mods=loop,dm-mod,nbd:nbds_max=4:max_part=0,nfs,nfsv3,nfsv4

	lab_start --mem 384M --disk a:512M --net --mods $mods,nfsd,veth,ipv6
	lab_start -n b --net --mods $mods
	guest_put tests/nfs/server.sh /tmp/server.sh
	guest_ok -t 150 'judge bash /tmp/server.sh up /dev/ubda && judge bash /tmp/server.sh hosts'
	host a 1
	host b 2
	guest_ok -t 60 "sm sr create S --uuid $SR $AT && sm vdi create v --sr S --size 4M --format raw --uuid $V && sm vdi create w --sr S --size 4M --format vhd --uuid $W"
	guest_ok -n b -t 60 "sm sr introduce $SR --name S $AT"
}

teardown_file() {
	load helpers/lab
	lab_stop -n b
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/sm
	needs SR_NFS FRONT_CLI
}

# work NAME NAP: have the disk to itself, by turns with a lock and attached, and note on the
# export, as only one alone can, when.  With the NAPth lock fall asleep.  Until somebody says stop.
work='
	cd /run/sr-mount/'$SR'
	n=0 mine=0 late=0
	# Who has a lock with a term believes in it for as long, from before he asked.
	note() {
		local c

		printf -v now "%(%s)T"
		[ $now -lt $((began + '$LEASE')) ] || return
		read -r c <count
		echo "$((c + 1)) enter $owner $now" >>history
		echo "$((c + 2)) leave $owner $now" >>history
		echo $((c + 2)) >count
		printf "%s\n" "$((c + 1)) enter $owner $now" "$((c + 2)) leave $owner $now" >>/share/mine
		: $((mine++))
	}
	: >/share/mine
	while [ ! -e /share/stop ]; do
		owner=$1.$((++n))
		printf -v began "%(%s)T"
		if [ $((n % 3)) -eq 0 ]; then
			sm vdi attach '$V' --sr S --shared >/dev/null 2>&1 || continue
			began=$((began + 1000)) note		# it has no term
			sm vdi detach '$V' --sr S || : $((late++))
			continue
		fi
		sm vdi lock '$V' --sr S --owner $owner --lease '$LEASE' 2>/dev/null || continue
		note
		if [ $mine -ge $2 ] && [ ! -e /share/slept ]; then
			echo $began $owner >/share/slept
			until [ -e /share/awake ]; do sleep 0.1; done
		fi
		sm vdi unlock '$V' --sr S --owner $owner || : $((late++))
	done
	echo $mine $late'

# until_grown FILE BYTES: bounded, as all waiting is.
until_grown() {
	for ((i = 0; i < 2400; i++)); do
		[ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -le "$2" ] || return 0
		sleep 0.05
	done
	echo "$1 does not grow" >&2
	return 1
}

@test "two hosts lock, attach and steal, one sleeps with the lock: the history is that of one after the other" {
	local turns=${TURNS:-3} share=$LAB_DIR/b/share began owner size a b late_a late_b

	guest_ok "echo 0 >/run/sr-mount/$SR/count; : >/run/sr-mount/$SR/history"
	guest -n b -t $((turns * 60 + 300)) "set -- b $turns; $work" >"$BATS_TEST_TMPDIR/b" 2>&1 &
	guest -t $((turns * 60 + 300)) "set -- a 1000000; $work" >"$BATS_TEST_TMPDIR/a" 2>&1 &
	until_grown "$share/slept" 0
	lab_freeze -n b
	read -r began owner <"$share/slept"
	size=$(stat -c %s "$LAB_DIR/a/share/mine")
	until_grown "$LAB_DIR/a/share/mine" "$size"
	lab_thaw -n b
	size=$(stat -c %s "$share/mine")
	: >"$share/awake"
	until_grown "$share/mine" "$size"
	: >"$share/stop"
	: >"$LAB_DIR/a/share/stop"
	wait
	cat "$BATS_TEST_TMPDIR"/[ab]
	read -r a late_a < <(tail -n 1 "$BATS_TEST_TMPDIR/a")
	read -r b late_b < <(tail -n 1 "$BATS_TEST_TMPDIR/b")
	[ "$b" -gt "$turns" ] && [ "$late_a" -eq 0 ]
	# It woke up, and was told that the lock is not its own any more.
	[ "$late_b" -eq 1 ]
	guest_ok "cat /run/sr-mount/$SR/history" >"$BATS_TEST_TMPDIR/history"
	sort -n "$LAB_DIR"/[ab]/share/mine | cmp - "$BATS_TEST_TMPDIR/history"
	awk -v times=$((a + b)) -v sleeper="$owner" -v until=$((began + LEASE + GRACE)) '
		$1 != NR || $2 != (NR % 2 ? "enter" : "leave") || (NR % 2 == 0 && $3 != inside) { print; bad = 1 }
		slept && !seen { seen = 1; if ($4 < until) { print "too early", $0, until; bad = 1 } }
		{ inside = $3 }
		$2 == "leave" && $3 == sleeper { slept = 1 }
		END { exit bad || !seen || NR != 2 * times }' "$BATS_TEST_TMPDIR/history"
}

@test "a host that dies with a lock: another takes it after its term and the grace; one with a disk attached has it until somebody knows better" {
	local began

	guest_ok -n b "sm vdi attach w --shared >/dev/null && sm vdi lock $V --sr S --owner b --lease $LEASE && printf '%(%s)T\n' && sm lock show $V --json >/share/lock"
	began=${lines[-1]}
	lab_kill -n b
	denied "*is locked by 'b' (host 22222222-*, vdi lock, since *" "sm vdi lock $V --owner a"
	denied "*is locked by '*' (host 22222222-*, vdi attach, since *" "sm vdi attach w --shared"
	denied "*not proven dead, held until it is given back*--force*" "sm lock break $W"
	guest_ok -t 120 "until sm vdi lock $V --owner a 2>/dev/null; do :; done; printf '%(%s)T\n' && sm lock show $V --json >/share/lock"
	[ "${lines[-1]}" -ge $((began + LEASE + GRACE)) ]
	[ "$(jq .lock.generation "$LAB_DIR/a/share/lock")" -gt "$(jq .lock.generation "$LAB_DIR/b/share/lock")" ]
	# It returns, knows that it died, and believes that it has the other one still.
	lab_restart -n b
	host b 2
	guest_ok -n b -t 60 "sm sr introduce $SR --name S $AT >/dev/null && sm lock list"
	[[ $output == *" dead "*"this host has been started anew since"* ]]
	denied -n b "*" "sm lock renew $V --owner b"
	denied -n b "*" "sm vdi unlock $V --owner b"
	guest_ok -n b -t 60 "sm vdi attach w --shared && sm vdi detach w && sm lock list --minimal"
	[ "${lines[-1]}" = $V ]
	guest_ok "sm lock show $V --json"
	jq -e '.lock.owner == "a" and .lock.state == "held"' <<<"$output" >/dev/null
	guest_ok "sm vdi unlock $V --owner a"
}

@test "through every door one host at a time gets the disk, and the other is told who has it" {
	needs SHARED_SR FRONT_SRAPI1 FRONT_SMAPI1
	load helpers/doors
	TYPE=nfs DOORS="people 2007 xapi" one_writer $V 11111111-0000-0000-0000-000000000001 22222222-0000-0000-0000-000000000002
	TYPE=nfs one_writer_more $V 11111111-0000-0000-0000-000000000001 22222222-0000-0000-0000-000000000002
}

@test "a disk that is served, and its lock is broken by another host: what comes late is not written" {
	needs SHARED_SR FMT_VHD LOCK_KEEPER DATAPATH_LOOP
	local h dev raw

	for h in a b; do
		guest_ok -n $h -t 60 "sm sr forget S; sm sr introduce $SR --name S $AT --dconf shared=true" >/dev/null
	done
	guest_ok -n b -t 60 "syslogd -O /tmp/messages; until [ -S /dev/log ]; do sleep 0.01; done
		for v in v w; do dev=\$(sm vdi attach \$v) && echo early | dd of=\$dev conv=sync,fsync 2>/dev/null; done; echo \$dev" >/dev/null
	dev=${lines[-1]} raw=${lines[-1]%$W}$V
	guest_ok -t 60 "sm lock break $W --force && sm lock break $V --force && dev=\$(sm vdi attach w) && head -c 5 \$dev; sm vdi detach w && md5sum </run/sr-mount/$SR/$W.vhd >/tmp/sum" >/dev/null
	[[ $output == *early ]]
	# Its server looks now and then, and the one that follows it before all else.
	guest_ok -n b -t 90 "read -r k _ </run/sm/server/$W; kill -9 \$(cat /proc/\$k/task/\$k/children)
		until grep -q 'VDI $W: .*broken by another host' /tmp/messages; do sleep 0.1; done
		! echo late | dd of=$dev bs=4096 conv=sync oflag=direct 2>/dev/null && sm vdi detach w" >/dev/null
	guest_ok -n b -t 90 "until grep -q 'keeper: VDI $V: .* broken by another host' /tmp/messages; do sleep 0.1; done
		! echo late | dd of=$raw bs=4096 conv=sync oflag=direct 2>/dev/null && head -c 5 /run/sr-mount/$SR/$V.raw && sm vdi detach v && ! ls /run/sm/keeper/$SR 2>/dev/null" >/dev/null
	guest_ok "md5sum </run/sr-mount/$SR/$W.vhd | cmp - /tmp/sum && sm sr check S && sm vdi delete v && sm vdi delete w && sm sr destroy S"
}

@test "a collector that stands still: what copies for it ends within its term, and then another host goes on" {
	needs SHARED_SR FMT_VHD GC GC_PARALLEL DATAPATH_NBD
	local began gone

	# Where the test before this has left none there is a new one.
	guest_ok -t 60 "sm sr forget S; sm sr introduce $SR --name S $AT --dconf shared=true || sm sr create S --uuid $SR $AT --dconf shared=true" >/dev/null
	guest_ok -n b -t 60 "sm sr forget S; sm sr introduce $SR --name S $AT --dconf shared=true" >/dev/null
	guest_ok -t 120 'export SM_GC=off
		put() { d=$(sm vdi attach $1) && dd if=/dev/urandom of=$d bs=1M count=$2 seek=$3 conv=notrunc,fsync status=none && sm vdi detach $1; }
		for t in t u; do
			sm vdi create $t --sr S --size 32M --format vhd && put $t 12 0 && sm vdi snapshot $t s$t && put $t 10 2 && sm vdi snapshot $t b$t && sm vdi delete s$t || exit
			md5sum <$(sm vdi attach $t) && sm vdi detach $t || exit
		done >/tmp/made && grep -- "  -$" /tmp/made >/tmp/sums' >/dev/null
	guest_ok -n b -t 60 'export SM_GC=off; sm gc run S --rate 512K >/tmp/gc 2>&1 & gc=$!
		until [ "$(sm gc status S --json | grep -c "\"action\": *\"coalesce\"")" -ge 3 ]; do kill -0 $gc || exit; done
		gc=$(sed -n "s/^pid=//p" /run/sm/gc/*/status)	# whom it watches
		read -ra jobs </proc/$gc/task/$gc/children; kill -STOP $gc; echo $gc >/tmp/pid; echo ${jobs[*]} >/tmp/jobs; wc -w </tmp/jobs'
	[ "${lines[-1]}" -eq 2 ]
	began=$SECONDS
	denied "*'*' (host 22222222-*, process *, gc run) is at work on it*" "sm gc run S"
	# Nothing else waits for it.
	guest_ok -t 60 'export SM_GC=off; s=$(sm vdi snapshot t) && sm vdi delete $s && sm vdi attach u && sm vdi detach u && sm vdi create x --sr S --size 2M --format vhd && sm vdi delete x' >/dev/null
	guest_ok -n b -t 60 'for j in $(cat /tmp/jobs); do while [ -e /proc/$j ] && ! grep -q "^State:.*Z" /proc/$j/status 2>/dev/null; do sleep 0.1; done; done'
	gone=$((SECONDS - began))
	echo "gone after $gone s"
	[ "$gone" -le 30 ]
	guest_ok -t 120 'export SM_GC=off; until sm gc run S >/tmp/run 2>&1; do grep -q "at work on it" /tmp/run || { cat /tmp/run; exit 1; }; sleep 0.2; done
		cat /tmp/run; sm gc plan S; sm sr check S
		for t in t u; do md5sum <$(sm vdi attach $t) && sm vdi detach $t || exit; done | grep -- "  -$" | cmp - /tmp/sums'
	[ "$(grep -c 'merged into' <<<"$output")" -eq 2 ]
	[[ $output == *"nothing to do"* ]]
	guest_ok -n b -t 60 'gc=$(cat /tmp/pid); kill -CONT $gc; while [ -e /proc/$gc ]; do sleep 0.1; done; cat /tmp/gc; sm lock list --minimal' >/dev/null
	[[ ${output} == *lost* || $output == *"could not be renewed"* ]]
	guest_ok -t 60 'export SM_GC=off
		for t in t u; do md5sum <$(sm vdi attach $t) && sm vdi detach $t || exit; done | grep -- "  -$" | cmp - /tmp/sums
		for v in t u bt bu; do sm vdi delete $v || exit; done'
}
