#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# gcmodel.sh TYPE STEPS DEPTH SEED: a chain of DEPTH snapshots in the SR "S", of that type
# (file, nfs, lvm; or thin: lvm with live_growth=true), and then so many random writes,
# snapshots, clones, deletions and growths, while a collector
# is at work all the time and is killed now and then.  After each step every live disk
# holds what it should (TYPE file: of two trees, and a process that copies is killed,
# too); at the end there are as many images as the model says, and
# they take the room that it says.  LIVE: how many disks there are at most.  $T is a
# folder for files; with TYPE file the current directory is the SR's, with the others
# disks are attached to be written and read.  Prints what it did; status 0: all is true.
set -eEu -o pipefail
trap 'echo "failed: line $LINENO: $BASH_COMMAND" >&2' ERR

type=$1 steps=$2 depth=$3 most=${LIVE:-10}
RANDOM=$4
size=${MIB:-16} block=4096		# MiB of a new disk; sectors of a block
m=$T/model pieces=3 rest=0.0
# A guest of the lab has one processor, and a process costs it 30 ms.
[ "$type" = file ] || pieces=1 rest=0.
mkdir "$m"
# The tree: images by number.  Of each what it stands on, and its blocks; of each disk its image.
declare -A up=() has=() top=() mib=()
nodes=0 made=0 live=() did=()

uuid() { printf -v new 'bbbbbbbb-0000-4000-8000-%012d' $((made += 1)); }

# image PARENT: a new one.
image() { up[$((++nodes))]=$1 has[$nodes]=' '; }

# --- the collector ------------------------------------------------------------------

collector() {
	local pid s i one
	while [ ! -e "$T/stop" ]; do
		s=0
		# A sanitizer that looks for leaks does so in a process of its own, which is not one to be killed.
		ASAN_OPTIONS=detect_leaks=0 sm gc run S >>"$T/gc" 2>&1 & pid=$!
		case $((RANDOM % 6)) in
		0 | 1)	sleep 0.0$((RANDOM % 9 + 1))
			kill -9 $pid 2>/dev/null || true ;;
		2 | 3)	for ((i = 0; i < 5000; i++)); do
				one=
				read -rd ' ' one 2>/dev/null <"/proc/$pid/task/$pid/children" || true
				[ -n "$one" ] || continue
				! kill -9 "$one" 2>/dev/null || echo "killed one of it" >>"$T/gc"
				break
			done ;;
		esac
		wait $pid 2>/dev/null || s=$?
		# 7: one of them could not be merged now, for instance since it was attached meanwhile.
		case $s in 0 | 7 | 137) ;; *) echo "a collector ended with $s" >>"$T/bad" ;; esac
		sleep "$rest$((RANDOM % 9 + 1))"
	done
}

# --- what a disk holds ----------------------------------------------------------------

# open DISK: its device or socket in $at, close lets go of it.
open() {
	if [ "$type" != file ]; then
		at=$(sm vdi attach "$1" ${2:+--read-only})
		return
	fi
	at=$T/socket
	rm -f "$at"
	sm vdi serve "$1" --socket "$at" & server=$!
	until [ -S "$at" ]; do kill -0 $server; done
}

close() {
	if [ "$type" != file ]; then
		sm vdi detach "$1"
	else
		kill "$server"
		wait "$server"
	fi
}

# write DISK: random bytes, a few sectors or many, at some places, there and in the model.
write() {
	local i from n b args=()

	open "$1"
	for ((i = 0; i < pieces; i++)); do
		from=$((RANDOM * 32768 + RANDOM)) n=$((RANDOM % 4 ? RANDOM % 64 + 1 : RANDOM % 2048 + 1))
		from=$((from % (mib[$1] * 2048 - n)))
		head -c $((n * 512)) /dev/urandom >"$T/piece$i"
		dd if="$T/piece$i" of="$m/$1" bs=512 seek=$from conv=notrunc status=none
		if [ "$type" != file ]; then
			dd if="$T/piece$i" of="$at" bs=512 seek=$from oflag=direct conv=notrunc status=none
		else
			args+=(-c "write -s $T/piece$i $((from * 512)) $((n * 512))")
		fi
		for ((b = from / block; b <= (from + n - 1) / block; b++)); do
			[[ ${has[${top[$1]}]} == *" $b "* ]] || has[${top[$1]}]+="$b "
		done
	done
	[ "$type" != file ] || qemu-io -f raw "${args[@]}" "nbd+unix:///?socket=$at" >/dev/null
	close "$1"
}

# Names change while we look, as for anybody who has not got the SR's lock: then once more.
same() {
	local i

	if [ "$type" != file ]; then
		open "$1" read
		cmp "$at" "$m/$1"
		close "$1"
		return
	fi
	for ((i = 0; ; i++)); do
		! sm image convert -O raw "$1.vhd" "$T/now" 2>"$T/said" || break
		[ $i -lt 50 ] || { cat "$T/said" >&2; return 1; }
	done
	cmp "$T/now" "$m/$1"
}

all_same() {
	local v

	for v in "${live[@]}"; do
		same "$v" || { echo "disk $v is not what it was, after: ${did[*]}" >&2; return 1; }
	done
}

# --- verbs -----------------------------------------------------------------------------

# split VERB DISK
split() {
	local base=${top[$2]} b

	uuid
	sm vdi "$1" "$2" "$1 $made" --uuid "$new" >/dev/null
	mib[$new]=${mib[$2]}
	cp --sparse=always "$m/$2" "$m/$new" 2>/dev/null || cp "$m/$2" "$m/$new"
	# A disk that has written nothing since its last snapshot shares what that stands on.
	if [ "${has[$base]}" = ' ' ] && [ "${up[$base]}" != 0 ]; then
		base=${up[$base]}
	else
		image "$base"; top[$2]=$nodes
	fi
	image "$base"; top[$new]=$nodes
	live+=("$new")
}

delete() {
	local i

	sm vdi delete "$1"
	rm "$m/$1"
	unset "up[${top[$1]}]" "has[${top[$1]}]" "top[$1]"
	for i in "${!live[@]}"; do [ "${live[i]}" != "$1" ] || unset "live[$i]"; done
	live=("${live[@]}")
}

# What is there stays, and behind it are zeros: also what a larger disk has there that this one once was.
grow() {
	mib[$1]=$((mib[$1] + 2))
	sm vdi resize "$1" "${mib[$1]}M" >/dev/null
	truncate -s "${mib[$1]}M" "$m/$1"
}

step() {
	local v=${live[RANDOM % ${#live[@]}]} w

	# One that has been written is as good as any, snapshots stay as they are.
	case $((RANDOM % 12)) in
	0 | 1 | 2)
		for w in "${live[@]}"; do [[ ${writes[$w]-} != 1 ]] || v=$w; ((RANDOM % 2)) || break; done
		did+=("write $v"); write "$v" ;;
	3 | 4 | 5) [ ${#live[@]} -lt "$most" ] || { did+=(skip); return 0; }
		did+=("snapshot $v"); split snapshot "$v" ;;
	6) [ ${#live[@]} -lt "$most" ] || { did+=(skip); return 0; }
		did+=("clone $v"); split clone "$v"; writes[$new]=1 ;;
	10 | 11)
		for w in "${live[@]}"; do [[ ${writes[$w]-} != 1 ]] || v=$w; ((RANDOM % 2)) || break; done
		[[ ${writes[$v]-} = 1 && ${mib[$v]} -lt $((size * 2)) ]] || { did+=(skip); return 0; }
		did+=("grow $v"); grow "$v" ;;
	*) [[ "$disk $other" != *"$v"* ]] || { did+=(skip); return 0; }
		did+=("delete $v"); delete "$v" ;;
	esac
}

# --- the model ---------------------------------------------------------------------------

# What a collector is to leave: an inner image with one child is that child as well.
collect() {
	local n c b again=1
	declare -A kids visible

	for n in "${top[@]}"; do visible[$n]=1; done
	while [ $again = 1 ]; do
		again=0 kids=()
		for n in "${!up[@]}"; do kids[${up[$n]}]="${kids[${up[$n]}]-} $n"; done
		for n in "${!up[@]}"; do
			c=${kids[$n]-}
			c=${c# }
			if [ -n "${visible[$n]-}" ] || [[ $c == *" "* ]]; then continue; fi
			if [ -n "$c" ]; then
				for b in ${has[$n]}; do [[ ${has[$c]} == *" $b "* ]] || has[$c]+="$b "; done
				up[$c]=${up[$n]}
			fi
			unset "up[$n]" "has[$n]"
			again=1
			break
		done
	done
}

blocks() { local n all=0 b; for n in "${!has[@]}"; do read -ra b <<<"${has[$n]}"; all=$((all + ${#b[@]})); done; echo $all; }

allocated() { sm image info "$1" --json | sed -n 's/.*"allocated_blocks": *\([0-9]*\).*/\1/p'; }

# judge: nothing is left to be done, and the SR is as large as the model says.
judge_it() {
	local is=0 f

	sm gc run S >/dev/null
	sm gc plan S | grep >/dev/null "nothing to do"
	sm sr check S >/dev/null
	collect
	is=$(sm vdi tree S --json | grep -o '"uuid"' | wc -l)
	[ "$is" -eq ${#up[@]} ] || { echo "$is images, not ${#up[@]}" >&2; sm vdi tree S >&2; return 1; }
	all_same
	case $type in lvm | thin) return ;; esac
	is=0
	for f in *.vhd; do is=$((is + $(allocated "$f"))); done
	[ $is -eq "$(blocks)" ] || { echo "$is blocks, not $(blocks)" >&2; return 1; }
	# No byte more than those blocks need: bitmaps, and what aligns them.
	for f in *.vhd; do
		[ "$(stat -c %s "$f")" -le $((20480 + $(allocated "$f") * ((2 << 20) + 4096))) ]
	done
}

# MiB of an LV: that of a disk of so many MiB which has all its space; that of the one that is left, for its data.
full() { echo $((($1 * 1024 + 4228 + $1 * 2 + 4095) / 4096 * 4)); }
data() { echo $((($(blocks) * 2052 + 4228 + ${mib[$disk]} * 2 + 4095) / 4096 * 4)); }
used() { sm sr show S --json | grep -o '"used": *[0-9]*' | grep -o '[0-9]*$'; }

uuid
disk=$new
declare -A writes=([$disk]=1)
sm vdi create disk --sr S --size "${size}M" --format vhd --uuid "$disk" >/dev/null
truncate -s "${size}M" "$m/$disk"
mib[$disk]=$size
image 0; top[$disk]=$nodes
live=("$disk")
empty=$(used) other=
if [ "$type" = file ]; then
	uuid
	other=$new
	writes[$other]=1
	sm vdi create other --sr S --size "${size}M" --format vhd --uuid "$other" >/dev/null
	truncate -s "${size}M" "$m/$other"
	mib[$other]=$size
	image 0; top[$other]=$nodes
	live+=("$other")
fi
for ((i = 0; i < depth; i++)); do
	w=$disk
	[ -z "$other" ] || ((i % 4)) || w=$other
	write "$w"
	split snapshot "$w"
done
all_same
# Every other level goes, and the collector begins.
: >"$T/gc"
collector & gc=$!
trap 'touch "$T/stop"; wait $gc' EXIT
for v in "${live[@]}"; do
	[[ "$disk $other" == *"$v"* ]] || [ ${#live[@]} -le "$most" ] || { did+=("delete $v"); delete "$v"; }
done
all_same
for ((i = 0; i < steps; i++)); do
	step
	all_same
done
touch "$T/stop"
wait $gc
trap - EXIT
[ ! -s "$T/bad" ] || { cat "$T/bad" "$T/gc" >&2; exit 1; }
judge_it
for v in "${live[@]}"; do [ "$v" = "$disk" ] || delete "$v"; done
judge_it
case $type in
lvm) [ "$(used)" -eq $((empty + ($(full ${mib[$disk]}) - $(full $size)) * 1048576)) ] ;;
thin) [ "$(used)" -le $((empty + $(data) * 1048576)) ] ;;
esac || { echo "$(used) bytes are used, $empty were" >&2; exit 1; }
echo "${#did[@]} steps, $(grep -c merged "$T/gc" || true) merges while they were done, $(grep -c killed "$T/gc" || true) processes killed that copied"
