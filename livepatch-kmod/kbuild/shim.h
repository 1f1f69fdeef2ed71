/* SPDX-License-Identifier: GPL-2.0 */
/* What the C side and the Rust side (src/linux.rs) of the module call of each other. */
#ifndef LPK_SHIM_H
#define LPK_SHIM_H

#include <linux/types.h>

#define LPK_PATCHES 32		/* MAX_PATCHES of src/policy.rs */
#define LPK_SLOTS 512		/* MAX_FUNCTIONS */
#define LPK_COMMAND (64 * 1024)	/* MAX_COMMAND of src/command.rs */

/* Rust, called by C. lpk_lock is held in the first three. */
int lpk_rs_command(const u8 *command, size_t length, u8 *report, size_t *room);
size_t lpk_rs_show(u8 *to, size_t room);
void lpk_rs_module_going(unsigned long start, unsigned long end);
void lpk_rs_task(void *walk, int pid, const char comm[16]);
bool lpk_rs_frame(void *walk, unsigned long address);
void lpk_rs_object(void *walk, bool known);
bool lpk_rs_is_clear(void *walk);

/* C, called by Rust. Each returns 0 or a negative error number, unless it says otherwise. */
int lpk_module_text(const char *name, unsigned long *start, unsigned long *end);
int lpk_pin(const char *name);
void lpk_unpin(const char *name);
bool lpk_is_entry(unsigned long address);
int lpk_hook(size_t slot, size_t patch, unsigned long old, unsigned long new, bool *kprobe);
int lpk_unhook(size_t slot);
int lpk_stop(void *walk, long patch, bool on);
void lpk_settle(void);
void lpk_pause(void);
u64 lpk_now(void);
void __noreturn lpk_bug(const u8 *text, size_t length);

/* Between the C files. */
void lpk_switch(size_t patch, bool on);
int lpk_find_idle(void);
void lpk_free_idle(void);

#endif
