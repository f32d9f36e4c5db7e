#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# turns.sh SEED STEPS SR OUT: change the VG of an SR on /dev/ubda and ubdb, now by
# lvm2, now by us (vgt, and sm where it has the verb), chosen by the seed, and
# write down after each step what we see (OUT/ours), what lvm2 sees (OUT/lvm2) and
# what it should be (OUT/model).  OUT/log says what was done.  Ends with 1 when one
# of our commands fails that must not; lvm2's failures show in what it sees.
#
# tests/lvm_turns.bats runs it in a guest and compares.  A process costs here, so
# lvm2 is one for each step, fed with all that it shall do.

RANDOM=$1 steps=$2 sr=$3 out=$4
vg=VG_XenStorage-$sr all=/dev/ubda,/dev/ubdb,/dev/ubdc unit=4194304
declare -A size perm active tags		# of each LV: extents, w or r, a or -, "a,b"
names=() joined=				# joined: ubdc is in the VG

report="--noheadings --units b --nosuffix --separator |"
looks="vgs $report -o vg_name,vg_uuid,vg_seqno,vg_extent_size,vg_extent_count,vg_free_count,vg_tags $vg
pvs $report -o pv_name,pv_uuid,pv_size,pe_start,pv_pe_count,pv_pe_alloc_count,vg_name
lvs $report --segments -o lv_name,lv_uuid,lv_size,lv_tags,lv_attr,seg_start_pe,seg_size_pe,segtype,seg_pe_ranges $vg
vgck $vg
pvck --dump metadata /dev/ubda"

die() {
	echo "step $n: $*" >>"$out/log"
	exit 1
}

# may CMD…: ours, which may be refused.  must CMD…: which may not.
may() {
	ours="$*"
	"$@" >/tmp/said 2>&1 </dev/null
}
must() { may "$@" || die "failed: $*: $(</tmp/said)"; }

pick() { lv=${names[RANDOM % ${#names[@]}]}; }

uuid() {
	printf -v u '%04x%04x-%04x-4%03x-8%03x-%04x%04x%04x' $RANDOM $RANDOM $RANDOM \
		$((RANDOM % 4096)) $((RANDOM % 4096)) $RANDOM $RANDOM $RANDOM
}

forget() {
	local i

	for i in "${!names[@]}"; do
		[ "${names[i]}" != "$1" ] || unset "names[i]"
	done
	names=("${names[@]}")
	unset "size[$1]" "perm[$1]" "active[$1]" "tags[$1]"
}

# sm knows the SR's two devices and refuses a VG with a third one.
by_sm() { [ -z "$joined" ] && ((RANDOM % 3 == 0)); }

# Each: what to do, by us (must …) or by lvm2 (theirs=…), and what it comes to.
create() {
	local n=$((RANDOM % 8 + 1))

	uuid
	lv=LV-$u
	if ((they)); then
		theirs="lvcreate -qq -y -Wn -Zn -an -l $n -n $lv $vg"
	elif by_sm; then
		must sm vdi create "disk $u" --sr "$sr" --format raw --size $((n * 4))M --uuid "$u"
	else
		must vgt $all create "$lv" $((n * unit))
	fi
	names+=("$lv")
	size[$lv]=$n perm[$lv]=w active[$lv]=- tags[$lv]=''
}

remove() {
	if ((they)) || [ "${active[$lv]}" = a ]; then
		theirs="lvremove -qq -y -f $vg/$lv"
	elif by_sm && [ "${perm[$lv]}" = w ]; then
		must sm vdi delete "${lv#LV-}" --sr "$sr"
	else
		must vgt $all remove "$lv"
	fi
	forget "$lv"
}

rename() {
	local new

	uuid
	new=LV-$u
	if ((they)) || [ "${active[$lv]}" = a ]; then
		theirs="lvrename -qq $vg $lv $new"
	else
		must vgt $all rename "$lv" "$new"
	fi
	names+=("$new")
	size[$new]=${size[$lv]} perm[$new]=${perm[$lv]} active[$new]=${active[$lv]} tags[$new]=${tags[$lv]}
	forget "$lv"
}

resize() {
	local n=$((RANDOM % 8 + 1))

	((n != size[$lv])) || n=$((n + 1))
	if ((they)) || [ "${active[$lv]}" = a ]; then
		theirs="lvresize -qq -y -f -l $n $vg/$lv"
	elif ((n > size[$lv])) && [ "${perm[$lv]}" = w ] && by_sm; then
		must sm vdi resize "${lv#LV-}" $((n * 4))M --sr "$sr"
	else
		must vgt $all resize "$lv" $((n * unit))
	fi
	size[$lv]=$n
}

tag() {
	local t=tag$((RANDOM % 4))

	case ,${tags[$lv]}, in *,$t,*) return ;; esac
	if ((they)); then theirs="lvchange -qq --addtag $t $vg/$lv"; else must vgt $all tag "$lv" $t; fi
	tags[$lv]+=${tags[$lv]:+,}$t
}

untag() {
	local t=${tags[$lv]%%,*}

	[ -n "$t" ] || return
	if ((they)); then theirs="lvchange -qq --deltag $t $vg/$lv"; else must vgt $all untag "$lv" "$t"; fi
	tags[$lv]=${tags[$lv]#"$t"}
	tags[$lv]=${tags[$lv]#,}
}

permission() {
	local to=r writable=0

	[ "${perm[$lv]}" = w ] || to=w writable=1
	if ((they)) || [ "${active[$lv]}" = a ]; then
		theirs="lvchange -qq -p ${to/w/rw} $vg/$lv"
	else
		must vgt $all writable "$lv" $writable
	fi
	perm[$lv]=$to
}

activate() {
	if ((they)); then theirs="lvchange -qq -ay $vg/$lv"; else must vgt $all activate "$lv"; fi
	active[$lv]=a
}

deactivate() {
	if ((they)); then theirs="lvchange -qq -an $vg/$lv"; else must vgt $all deactivate "$lv"; fi
	active[$lv]=-
}

# Whether a PV may go, or shrink, depends on what lies on it.
third() {
	if [ -n "$joined" ]; then
		if ((they)); then theirs="vgreduce -qq $vg /dev/ubdc"; else may vgt $all reduce /dev/ubdc; fi
	else
		if ((they)); then theirs="vgextend -qq -y $vg /dev/ubdc"; else must vgt $all extend /dev/ubdc; fi
	fi
}

pvsize() {
	local bytes=$((RANDOM % 2 ? 256 << 20 : (RANDOM % 48 + 16) * unit))

	if ((they)); then
		theirs="pvresize -qq -y --setphysicalvolumesize ${bytes}b /dev/ubdb"
	else
		may vgt $all pvresize /dev/ubdb $bytes
	fi
}

step() {
	local r=$((RANDOM % 40)) op=create

	they=$((RANDOM % 2)) theirs='' ours='' lv=''
	[ ${#names[@]} -eq 0 ] || pick
	case $r in
	[0-7]) op=create ;; 8) op=pvsize ;; 9 | 1[0-1]) op=rename ;; 1[2-7]) op=resize ;;
	18 | 19 | 2[0-1]) op=tag ;; 2[2-4]) op=untag ;; 2[5-7]) op=permission ;;
	28 | 29 | 3[0-1]) op=activate ;; 3[2-5]) op=deactivate ;; 3[67]) op=remove ;;
	*) op=third ;;
	esac
	[ ${#names[@]} -gt 2 ] || [ $op = third ] || op=create
	[ ${#names[@]} -lt 12 ] || [ $op != create ] || op=remove
	$op
	[ -n "$ours$theirs" ] || activate
	echo "step $n: ${theirs:-$ours}" >>"$out/log"
}

note() {
	local lv seen

	printf '#%d\n' "$n" >>"$out/lvm2"
	printf '%s\n' ${theirs:+"$theirs"} "$looks" | judge lvm >>"$out/lvm2" 2>&1
	vgt $all show >/tmp/seen 2>&1 || die "we cannot read it: $(</tmp/seen)"
	seen=$(</tmp/seen)
	echo "$seen" >>"$out/ours"
	[[ $seen == */dev/ubdc* ]] && joined=1 || joined=
	for lv in "${names[@]}"; do
		echo "$n|M|$lv|${size[$lv]}|${perm[$lv]}${active[$lv]}|${tags[$lv]}"
	done >>"$out/model"
}

rm -rf "$out" && mkdir -p "$out" && : >"$out/model"
for ((n = 0; n < steps; n++)); do
	step
	note
done
