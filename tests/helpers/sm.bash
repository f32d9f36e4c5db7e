# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What tests of storage verbs share; load it after helpers/lab.

# fs_disk: a file system on the guest's first disk, mounted at /srv.
fs_disk() {
	guest_ok 'judge mkfs.ext4 -qF /dev/ubda && mount /dev/ubda /srv && rm -rf /srv/lost+found'
}

# jsonof CMD…: run a verb with --json in the guest and leave its document in $doc.
jsonof() {
	grun "$@" --json >/dev/null || {
		echo "status $status of: $*" >&2
		return 1
	}
	doc=$(<"$LAB_OUT")
}

# is FILTER: does the document satisfy this jq expression?
is() {
	jq -e "$1" <<<"$doc" >/dev/null || {
		echo "not true: $1" >&2
		jq . <<<"$doc" >&2
		return 1
	}
}

# fails STATUS PATTERN CMD…: the command ends with that status and one line on
# stderr that matches the pattern.
fails() {
	local want=$1 pattern=$2

	shift 2
	grun "$@" >/dev/null 2>&1 || true
	[ "$status" -eq "$want" ] || {
		echo "status $status, not $want, of: $*" >&2
		echo "$output$stderr" >&2
		return 1
	}
	# shellcheck disable=SC2053 # the right side is a pattern
	[[ $stderr == $pattern ]] || {
		echo "unexpected error: $stderr" >&2
		return 1
	}
	[ "$(wc -l <"$LAB_ERR")" -eq 1 ]
}

# denied [-n GUEST] PATTERN TEXT: exit code 3, and one line like the pattern.
denied() {
	local at=()

	[ "$1" != -n ] || { at=(-n "$2"); shift 2; }
	guest "${at[@]}" "$2 2>&1" || true
	echo "status $status: $output"
	[ "$status" -eq 3 ]
	# shellcheck disable=SC2053 # a pattern
	[[ $output == $1 ]]
}

# confined CMD…: the verb's answer, once the kernel has said that the verb is in its sandbox.  It cannot end before,
# since nobody reads: the pipe is full.  Where the storage may go away, a child does the work.
confined() {
	# shellcheck disable=SC2016 # all of it is the guest's
	guest_ok -t 60 '
		is_in() {
			while read -r key value; do
				[ "$key $value" != "Seccomp: 2" ] || return 0
			done 2>/dev/null <"/proc/$1/status"
			return 1
		}
		rm -f /tmp/answer && mkfifo /tmp/answer && exec 5<>/tmp/answer && head -c 65536 /dev/zero >&5 || exit
		"$@" >&5 &
		pid=$! n=0
		until is_in $pid || { read -r child rest </proc/$pid/task/$pid/children; is_in ${child:-$pid}; }; do
			[ $((n += 1)) -lt 100 ] && kill -0 $pid && sleep 0.02 || { kill $pid; echo "not in the sandbox"; exit 1; }
		done
		head -c 65536 <&5 >/dev/null
		wait $pid || exit
		echo /end >&5
		while IFS= read -r line <&5 && [ "$line" != /end ]; do echo "$line"; done' "$@" >/dev/null
}

# nothing_left: no attachment, mount, loop or mapped device of ours.
nothing_left() {
	guest_ok '! grep -q /run/sr-mount /proc/mounts &&
		! ls /sys/block/loop*/loop/backing_file 2>/dev/null &&
		[ -z "$(ls -A /run/sm/attached /run/sm/sr 2>/dev/null | grep -v :)" ] &&
		[ -z "$(ls /dev/mapper | grep -v control)" ] && ! ls -d /dev/VG_* 2>/dev/null &&
		[ -z "$(find /dev/sm -type l 2>/dev/null)" ]'
}

# hold_open DEVICE: a process that has it open, its number in $pid.
hold_open() {
	# The shell opens it in the child: wait until it has.
	guest_ok "dev=\$(readlink -f $1); sleep 60 <\$dev & until [ \"\$(readlink /proc/\$!/fd/0)\" = \$dev ]; do sleep 0.01; done; echo \$!" >/dev/null
	pid=$output
}

# sweep_put SCRIPT…: sweep/at.c and left.c become commands of the guest, the scripts of the sweeps lie in /tmp.
sweep_put() {
	local f

	"$LAB_SRC/../sweep/build.sh" "$BATS_TEST_TMPDIR" at left || return
	for f in at left; do guest_put "$BATS_TEST_TMPDIR/$f" "/sm/bin/$f"; done
	guest_ok 'chmod 755 /sm/bin/at /sm/bin/left'
	for f in points.sh "$@"; do guest_put "$LAB_SRC/../sweep/$f" "/tmp/$f"; done
}
