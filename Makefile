# Everything is built in $(O); the source tree is only read.
#
#     make dom0_defconfig && make        make O=out V=1        make help
#
# A directory that holds code holds a Makefile of lists and nothing else:
#     obj-y                 += always.o
#     obj-$(CONFIG_FMT_VHD) += vhd.o
#     obj-$(CONFIG_LVM2)    += lvm2/          (read that directory too)

O       ?= build
override O := $(abspath $O)
srctree := $(abspath $(dir $(lastword $(MAKEFILE_LIST))))
MAKEFLAGS += -rR --no-print-directory

all: $O/bin/smbox

# --- configuration -------------------------------------------------------

kconf = cd $O && srctree=$(srctree) KCONFIG_AUTOCONFIG=auto.conf \
        KCONFIG_AUTOHEADER=autoconf.h KCONFIG_TRISTATE=tristate.conf

%_defconfig:
	@mkdir -p $O/include/config && $(kconf) kconfig-conf --defconfig=$(srctree)/configs/$@ $(srctree)/Kconfig >/dev/null
menuconfig savedefconfig:
	@$(kconf) kconfig-$(if $(filter menu%,$@),mconf,conf --savedefconfig=defconfig) $(srctree)/Kconfig
$O/auto.conf: $O/.config $(wildcard $(srctree)/Kconfig $(srctree)/*/Kconfig)
	@$(kconf) kconfig-conf --silentoldconfig $(srctree)/Kconfig >/dev/null && touch $@

unconfigured := %config help clean distclean
ifneq ($(filter-out $(unconfigured),$(or $(MAKECMDGOALS),all)),)
include $O/auto.conf
endif

# --- what to build -------------------------------------------------------

objs :=
define walk
obj-y :=
include $(srctree)/$1/Makefile
objs += $$(addprefix $O/obj/$1/,$$(filter %.o,$$(obj-y)))
$$(foreach d,$$(filter %/,$$(obj-y)),$$(eval $$(call walk,$1/$$(d:/=))))
endef
$(foreach d,arch lib drivers sm,$(eval $(call walk,$d)))

# --- how to build it -----------------------------------------------------

CC       = $(or $(CONFIG_CC:"%"=%),cc)
CFLAGS  ?= -O2 -g
ccflags  = -std=gnu11 -D_GNU_SOURCE -fno-strict-aliasing -ffunction-sections -fdata-sections \
           -Wall -Wextra -Wno-unused-parameter -Wstrict-prototypes -Wmissing-prototypes \
           -Wvla -Wundef -Wformat=2 -ffile-prefix-map=$(srctree)/= $(if $W,-Werror)
ldflags  = -Wl,--gc-sections $(if $(CONFIG_STATIC),-static)
ifdef SAN
ccflags += -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
ldflags += -fsanitize=$(SAN)
endif
ifdef COV
ccflags += --coverage
ldflags += --coverage
endif

# A change of flags rebuilds what it touches.
$O/.cmd: FORCE
	@echo '$(CC) $(ccflags) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(ccflags) $(CFLAGS)' > $@

# musl brings no kernel headers, and /usr/include as a whole would bring glibc's.
uapi := $O/uapi/.made
$(uapi):
	@mkdir -p $(@D) && for d in linux asm asm-generic mtd rdma scsi; do \
		for h in /usr/include/$$d /usr/include/$$(uname -m)-linux-gnu/$$d; do \
			test -d $$h && ln -sfn $$h $(@D)/$$d; done; done; touch $@

Q    := $(if $(V),,@)
say   = $(if $(V),,@printf '  %-7s %s\n' $1 $(patsubst $O/%,%,$@);)

$O/bin/smbox: $(objs)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ldflags) -o $@ $^
$O/obj/%.o: $(srctree)/%.c $O/auto.conf $O/.cmd | $(uapi)
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ccflags) $(CFLAGS) -I$(srctree) -idirafter $O/uapi -include $O/autoconf.h -MMD -MP -c -o $@ $<

-include $(objs:.o=.d)

# --- checks --------------------------------------------------------------

unit := $(patsubst $(srctree)/%.c,$O/obj/%.o,$(wildcard $(srctree)/tests/unit/*.c))
$O/bin/unit: $(unit) $(filter-out $O/obj/sm/main.o,$(objs))
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ldflags) -o $@ $^

check: unit layers bats
unit: $O/bin/unit
	$(Q)$<
bats: $O/bin/smbox
	$(Q)PATH=$O/bin:$$PATH bats $(srctree)/tests
layers:
	$(Q)sh $(srctree)/tests/layers.sh $(srctree)

help:
	@echo 'Configure: full_ dom0_ rescue_ tiny_ fault_defconfig, menuconfig, savedefconfig'
	@echo 'Build:     all, install, clean; O=DIR V=1 W=1 SAN=address,undefined COV=1'
	@echo 'Check:     check (= unit layers bats), fuzz, lab, size'

clean:
	$(Q)rm -rf $O

FORCE:
.PHONY: FORCE all help clean check unit bats layers menuconfig savedefconfig
.DELETE_ON_ERROR:
