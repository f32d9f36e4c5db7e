# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What lvm.sh, lvhd.sh and nfs.sh have in common.  They say what "before", "run"
# and "after" are of $verb: what it needs, the verb itself under "disturb", and the
# next verbs, which must find all in order and unmake all that was made.
#
# Here are the points, FIRST, FIRST + EVERY and so on, until the verb runs to its end
# undisturbed; and after each, the same for all:
#
#	- as soon as the verb has ended, no lock is held, no file is open, no process is
#	  left, and a verb that was not killed has closed its descriptors;
#	- where it was killed, who comes next is killed, too: the same verb or a scan, at
#	  some call, or with SWEEP_TWICE=N (not 0) at every N-th in a row, until it is through; with
#	  which of the first N it begins is another one at each point, so that all have their turn;
#	- when all is unmade, nothing is mounted, mapped or there that was not there before.
#
# HOW is one of those in disturb.h; kill without it.  Needs at and left in PATH.
set -u

every=${every:-1} first=${first:-1} how=${how:-kill} sr=${sr-} family=${family-} device=${device-} bad=0 twice=0 points=0 verb='' n=0
scratch=$(mktemp -d)
said=$scratch/said held=$scratch/held
export AT_COUNT=$scratch/count AT_OPEN=$scratch/open
! command -v judge >/dev/null || judge true	# what it mounts for itself is no matter
left "${SM_ROOT:-/}" "$device" >"$held"

# Whose locks.
[ -s "${SM_ROOT-}/etc/machine-id" ] || { mkdir -p "${SM_ROOT-}/etc" && echo 6f0c1a523b7e4d0a9a510d2c4b8f7e99 >"${SM_ROOT-}/etc/machine-id"; }

complain() {
	echo "$verb, call $n: $*" | cut -c1-600
	bad=$((bad + 1))
}

# must STATUSES CMD…
must() {
	local want=$1 text status

	shift
	text=$(sm "$@" 2>&1)
	status=$?
	case " $want " in
	*" $status "*) ;;
	*) complain "sm $*: status $status: $text" ;;
	esac
}

disturb() { at "$n" "$family$how" "$@"; }

# every20: is it the turn of another program to have a look?
every20() { [ $((points % 20)) -eq 1 ]; }

# nothing [verb]: that was not there before
nothing() {
	local line

	line=$(left "${SM_ROOT:-/}" "$device" "$held" "$@") || complain "left: $line"
	[ ! -e "$AT_OPEN" ] || { complain "$(cat "$AT_OPEN")"; rm "$AT_OPEN"; }
}

die_twice() {
	local at=$n status=137 step=${SWEEP_TWICE:-0}

	[ "$step" -gt 0 ] && n=$((at % step + 1)) || n=$((at * 7 % 397 + 1))
	while [ $status -eq 137 ]; do
		if [ $((points % 2)) -eq 0 ]; then
			disturb "$(command -v sm)" sr scan "$sr" >/dev/null 2>&1
		else
			run
		fi
		status=$?
		[ $status -ne 137 ] || twice=$((twice + 1))
		nothing verb
		[ "$step" -gt 0 ] || break
		n=$((n + step))
	done
	n=$at
}

# One point; $over when the verb has less calls than that.
point() {
	before
	points=$((points + 1)) over=
	run
	status=$?
	calls=$(cat "$AT_COUNT")
	nothing verb
	if [ "$n" -gt "$calls" ]; then
		over=1
		[ $status -eq 0 ] || complain "it ended with $status: $(cat "$said")"
	else
		tried=$((tried + 1))
		case $how,$status in
		kill,137) die_twice ;;
		kill,0) over=1 ;;	# it had ended, and what it left behind to itself was hit
		kill,*) complain "it was not killed, but ended with $status" ;;
		short,0) ;;
		short,*) complain "half of it is a failure: $(cat "$said")" ;;
		esac
	fi
	after
	nothing
}

# Of some verbs, each point of which takes seconds, one point of so many.
declare -A slow=()

# sweep TYPE PREFIX VERB…
sweep() {
	local type=$1 prefix=$2 did=failed tried bad_before status over calls

	[ "$how" != kill ] || did=killed
	shift 2
	for verb; do
		tried=0 bad_before=$bad
		for ((n = first; ; n += every * ${slow[$verb]:-1})); do
			point
			[ -z "$over" ] || break
			[ $bad -lt 10 ] || break
		done
		echo "# $verb, $how: $calls calls"
		# One at least, of a verb that has less calls than FIRST.
		[ $tried -gt 0 ] || { n=$((first % calls + 1)) && point; }
		echo "# sweep $type $prefix${verb//-/_} $did=$tried bad=$((bad - bad_before))"
	done
	[ $twice -eq 0 ] || echo "# sweep $type who_recovers_from_a_death killed=$twice bad=$bad"
	rm -r "$scratch"
}
