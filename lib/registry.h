/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sets whose members are whatever the configuration linked in.
 *
 * REGISTER(set, object) puts a pointer to the object in the linker section
 * named set; for_each_registered() walks it.  Pointers, because an array of
 * the objects themselves would be at the mercy of the compiler's alignment.
 * The section has no order: whoever shows a set to a person sorts it.
 */
#ifndef LIB_REGISTRY_H
#define LIB_REGISTRY_H

#define REGISTER(set, object)						\
	static const void *const object##_in_##set			\
	__attribute__((used, retain, section(#set))) = &(object)

#define DECLARE_REGISTRY(set, type)					\
	extern const type *const __start_##set[] __attribute__((weak));	\
	extern const type *const __stop_##set[] __attribute__((weak))

#define for_each_registered(set, p)					\
	for (typeof(*__start_##set) *p = __start_##set; p != __stop_##set; p++)

#endif
