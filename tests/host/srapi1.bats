#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2016,SC2154 # scripts for another shell; stderr comes from bats
#
# SR-API 1.0: the calls of 2007, in both of their forms.  stdout holds results
# and what is wrong with a call; why a call failed is on stderr.

bats_require_minimum_version 1.5.0

SR=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11
VDI=2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21
NEW=0d0e0f10-1111-4222-8333-944455556666

setup() {
	DIR=$BATS_TEST_TMPDIR
	export SM_ROOT=$DIR/root SM_GC=off
	mkdir -p "$DIR/bin" "$SM_ROOT" "$DIR/disks"
	for name in sm FileSR DummySR NFSSR; do
		ln -s "$(realpath "$(command -v "${SM:-sm}")")" "$DIR/bin/$name"
	done
	PATH=$DIR/bin:$PATH
	FILE=(-t file -d "$DIR/disks")
	DUMMY=(-t dummy -d '<dconf/>')
}

# usage LINE ARGUMENT...: the call is refused with this line on stdout.
usage() {
	local line=$1

	shift
	run --separate-stderr "$@"
	echo "$output" "$stderr"
	[ "$status" -eq 1 ]
	[ "$output" = "$line" ]
	[ -z "$stderr" ]
}

# fails CODE ARGUMENT...: nothing on stdout, one line on stderr.
fails() {
	local code=$1

	shift
	run --separate-stderr "$@"
	echo "status $status: $output $stderr"
	[ "$status" -eq "$code" ]
	[ -z "$output" ]
	[ "${#stderr_lines[@]}" -eq 1 ]
}

# works ARGUMENT...: no output at all.
works() {
	run --separate-stderr "$@"
	echo "status $status: $output $stderr"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[ -z "$stderr" ]
}

# --- the call ----------------------------------------------------------------

@test "sm: each thing that is missing, in the order in which it is looked for" {
	usage 'sm: vdi_create: missing the type: -t TYPE' sm vdi_create
	usage 'sm: vdi_create: missing the type: -t TYPE' sm vdi_create -d /x $SR $VDI 1
	usage 'sm: vdi_create: missing the dconf string: -d DCONF' sm vdi_create -t file
	usage 'sm: vdi_create: missing the UUID of the SR' sm vdi_create "${FILE[@]}"
	usage 'sm: vdi_create: missing the UUID of the VDI' sm vdi_create "${FILE[@]}" $SR
	usage 'sm: vdi_zap: missing the UUID of the VDI' sm vdi_zap "${FILE[@]}" $SR
	usage 'sm: sr_zap: missing the UUID of the SR' sm sr_zap "${FILE[@]}"
	usage 'sm: sr_zap: missing the type: -t TYPE' sm sr_zap
	usage 'sm: sr_zap: unknown command' sm sr_zap "${FILE[@]}" $SR
	usage 'sm: vdi_zap: unknown command' sm vdi_zap "${FILE[@]}" $SR $VDI
	usage 'sm: vdi_create: wrong number of arguments: 2 where it takes 3, SR NEWVDI MB' \
		sm vdi_create "${FILE[@]}" $SR $VDI
	usage 'sm: vdi_create: wrong number of arguments: 12 where it takes 3, SR NEWVDI MB' \
		sm vdi_create "${FILE[@]}" $SR $VDI 1 2 3 4 5 6 7 8 9 10
	usage 'sm: sr_create: wrong number of arguments: 2 where it takes 1, SR' \
		sm sr_create "${FILE[@]}" $SR 10
}

@test "a driver: the same, and dconf is the first operand" {
	usage 'FileSR: vdi_create: missing the dconf string' FileSR vdi_create
	usage 'FileSR: vdi_create: missing the UUID of the SR' FileSR vdi_create /x
	usage 'FileSR: vdi_create: missing the UUID of the VDI' FileSR vdi_create /x $SR
	usage 'FileSR: vdi_zap: unknown command' FileSR vdi_zap /x $SR $VDI
	usage 'FileSR: sr_: unknown command' FileSR sr_ /x $SR
	usage 'FileSR: vdi_delete: wrong number of arguments: 3 where it takes 2, SR VDI' \
		FileSR vdi_delete /x $SR $VDI 1
}

@test "commands of the later API are unknown here" {
	for c in sr_probe sr_scan sr_update sr_content_type sr_get_driver_info; do
		usage "sm: $c: unknown command" sm $c "${FILE[@]}" $SR
	done
	for c in vdi_activate vdi_compose vdi_introduce; do
		usage "sm: $c: unknown command" sm $c "${FILE[@]}" $SR $VDI
	done
}

@test "options: attached or apart, anywhere behind the command, ended by --" {
	works sm sr_create -tfile "-d$DIR/disks" $SR
	fails 16 sm sr_create $SR -t file "-d$DIR/disks"
	fails 16 sm sr_create -t FILE -d "$DIR/disks" -- $SR
	fails 16 sm sr_create -tFileSR $SR -d "$DIR/disks"
	fails 22 sm sr_create "${FILE[@]}" -- -tlvm
	usage "sm: sr_create: unknown option '-x'" sm sr_create "${FILE[@]}" -x $SR
	usage 'sm: sr_create: option -t has no value' sm sr_create -d /x $SR -t
}

@test "other words belong to people" {
	run --separate-stderr sm vdi create
	[ "$status" -eq 2 ]
	[ -z "$output" ]
}

# --- values ------------------------------------------------------------------

@test "an argument that is not good exits with 22" {
	fails 22 sm vdi_create "${DUMMY[@]}" nonsense $VDI 1
	fails 22 sm vdi_create "${DUMMY[@]}" ${SR:0:8} $VDI 1
	fails 22 sm vdi_create "${DUMMY[@]}" $SR '' 1
	fails 22 sm vdi_delete "${DUMMY[@]}" $SR ../../etc/passwd
	for size in '' 0x1 -1 1.5 1G 8796093022208 99999999999999999999999 one; do
		fails 22 sm vdi_create "${DUMMY[@]}" $SR $VDI "$size"
	done
	fails 22 sm vdi_lock "${DUMMY[@]}" $SR $VDI maybe host1
	fails 22 sm sr_create -t nonsense -d /x $SR
	fails 22 sm sr_create -t '' -d /x $SR
}

@test "a dconf that is not good exits with 22" {
	for dconf in '' disks ../disks "$DIR/../disks" '<dconf>' '<dconf><a><b/></a></dconf>' \
		     "<dconf><location>$DIR/disks</location><location>/</location></dconf>" \
		     '<!DOCTYPE a><dconf/>' '<dconf><location>relative</location></dconf>' '<dconf/>'; do
		fails 22 sm sr_create -t file -d "$dconf" $SR
	done
	[ -z "$(ls "$DIR/disks")" ]
}

@test "what no driver can do yet exits with 1" {
	fails 1 sm vdi_clone "${DUMMY[@]}" $SR $VDI $NEW
	fails 1 sm vdi_snapshot "${DUMMY[@]}" $SR $VDI $NEW
	fails 1 sm vdi_lock "${DUMMY[@]}" $SR $VDI TRUE host1:dom3
	fails 1 sm vdi_unlock "${DUMMY[@]}" $SR $VDI FALSE host1:dom3
}

@test "a failure is one line, whatever a name holds" {
	fails 22 sm sr_create "${FILE[@]}" $'a\nb\x1b[31m'
	[[ $stderr != *$'\x1b'* ]]
	usage 'sm: sr_\x0a\x1b[31m: unknown command' sm $'sr_\n\x1b[31m' "${FILE[@]}" $SR
}

# --- what is done --------------------------------------------------------------

@test "the SR is the folder of its uuid below the dconf string" {
	works FileSR sr_create "$DIR/disks/" $SR
	[ -f "$DIR/disks/$SR/.sm/sr" ]
	fails 16 FileSR sr_create "$DIR/disks" $SR
	works FileSR sr_delete "$DIR/disks" $SR
	works FileSR sr_delete "$DIR/disks" $SR
	[ -d "$DIR/disks" ]
}

@test "dconf may be a document of the later keys" {
	works sm sr_create -t file -d "<?xml version='1.0'?>
		<dconf><location>$DIR/disks</location></dconf>" $SR
	[ -f "$DIR/disks/.sm/sr" ]
	works FileSR sr_delete "<config><location>$DIR/disks</location></config>" $SR
}

@test "what is not there: no output and no failure for get_params, 100 for attach" {
	works sm sr_get_params "${FILE[@]}" $SR
	works sm vdi_get_params "${FILE[@]}" $SR $VDI
	fails 100 sm sr_attach "${FILE[@]}" $SR
	works sm sr_create "${FILE[@]}" $SR
	works sm sr_get_params "${FILE[@]}" $SR
	works sm vdi_get_params "${FILE[@]}" $SR $VDI
	works sm sr_detach "${FILE[@]}" $SR
	fails 100 sm vdi_create "${FILE[@]}" $SR $VDI 1
}

@test "the dummy: attach prints the device, and each call may be repeated" {
	works sm sr_create "${DUMMY[@]}" $SR
	works sm vdi_create "${DUMMY[@]}" $SR $VDI 10
	run --separate-stderr sm vdi_attach "${DUMMY[@]}" $SR $VDI
	[ "$status" -eq 0 ]
	[ "$output" = /dev/null ]
	run --separate-stderr DummySR vdi_attach '<dconf/>' $SR $VDI
	[ "$output" = /dev/null ]
	fails 103 sm vdi_delete "${DUMMY[@]}" $SR $VDI
	fails 102 sm sr_detach "${DUMMY[@]}" $SR
	works sm vdi_detach "${DUMMY[@]}" $SR $VDI
	works sm vdi_detach "${DUMMY[@]}" $SR $VDI
	works sm vdi_delete "${DUMMY[@]}" $SR $VDI
	works sm sr_detach "${DUMMY[@]}" $SR
	works sm sr_detach "${DUMMY[@]}" $SR
}

# in_ns SCRIPT: run it where a bind mount is nobody else's business.
in_ns() {
	unshare -rm mount --bind "$DIR/disks" "$DIR/disks" || skip "nothing can be mounted here"
	unshare -rm bash -euc "SR=$SR VDI=$VDI NEW=$NEW; cd $DIR; $1"
}

@test "a file SR: s-expressions of the SR and its disk" {
	in_ns '
		FileSR sr_create $PWD/disks $SR
		FileSR sr_attach $PWD/disks $SR
		FileSR sr_attach $PWD/disks $SR
		FileSR vdi_create $PWD/disks $SR $VDI 10
		FileSR sr_get_params $PWD/disks $SR >sr
		FileSR vdi_get_params $PWD/disks $SR $VDI >vdi
		FileSR vdi_resize $PWD/disks $SR $VDI 12
		FileSR vdi_resize $PWD/disks $SR $VDI 12
		FileSR vdi_get_params $PWD/disks $SR $VDI >grown
		FileSR vdi_get_params $PWD/disks $SR $NEW >none
		test -f disks/$SR/$VDI.vhd
		sm vdi create raw --sr $SR --type file --dconf location=$PWD/disks/$SR --format raw --size 10M --uuid $NEW
		FileSR vdi_get_params $PWD/disks $SR $NEW >raw
		FileSR vdi_resize $PWD/disks $SR $NEW 12
		stat -c %s disks/$SR/$NEW.raw >size
	'
	run sed -E 's/(physical_utilisation) [0-9]+/\1 N/g' "$DIR/vdi"
	[ "$output" = "(vdi (uuid $VDI) (SR $SR) (label \"\") (description \"\") (VBDs ()) (virtual_size 10485760) (physical_utilisation N) (sector_size 512) (type vhd) (parent \"\") (children ()) (shareable 0) (attached 0) (lock 0) (read_only 0))" ]
	run sed "s/$NEW/$VDI/; s/(label raw)/(label \"\")/" "$DIR/raw"
	[ "$output" = "(vdi (uuid $VDI) (SR $SR) (label \"\") (description \"\") (VBDs ()) (virtual_size 10485760) (physical_utilisation 0) (sector_size 512) (type \"raw file\") (parent \"\") (children ()) (shareable 0) (attached 0) (lock 0) (read_only 0))" ]
	run sed -E 's/(physical_utilisation|size) [0-9]+/\1 N/g' "$DIR/sr"
	[ "$output" = "(sr (uuid $SR) (type FILE) (label \"\") (description \"\") (VDIs ($VDI)) (physical_utilisation N) (virtual_allocation 10485760) (size N) (location $DIR/disks/$SR))" ]
	grep -qF '(virtual_size 12582912)' "$DIR/grown"
	[ ! -s "$DIR/none" ]
	[ "$(cat "$DIR/size")" -eq 12582912 ]
}

@test "a file SR: its exit codes" {
	in_ns '
		code() { local want=$1 got=0; shift; "$@" >out 2>err || got=$?
			[ $got -eq $want ] && [ ! -s out ] || { echo "$* exits with $got, not $want: $(cat err)"; exit 1; }; }
		D=$PWD/disks
		code 0   FileSR sr_create $D $SR
		code 16  FileSR sr_create $D $SR
		code 100 FileSR vdi_create $D $SR $VDI 10
		code 0   FileSR sr_attach $D $SR
		code 0   FileSR vdi_create $D $SR $VDI 10
		code 103 FileSR vdi_create $D $SR $VDI 10
		code 22  FileSR vdi_resize $D $SR $VDI 8
		code 22  FileSR vdi_resize $D $SR $VDI 0
		code 101 FileSR vdi_resize $D $SR $NEW 9
		code 101 FileSR vdi_attach $D $SR $NEW
		code 102 FileSR sr_delete $D $SR
		code 0   FileSR vdi_clone $D $SR $VDI $NEW
		code 103 FileSR vdi_clone $D $SR $VDI $NEW
		code 0   FileSR vdi_delete $D $SR $NEW
		code 0   FileSR vdi_delete $D $SR $VDI
		code 0   FileSR vdi_delete $D $SR $VDI
		code 0   FileSR sr_detach $D $SR
		code 0   FileSR sr_detach $D $SR
		code 0   FileSR sr_delete $D $SR
		code 0   FileSR sr_delete $D $SR
	'
}
