// SPDX-License-Identifier: GPL-2.0
/* The module: its device, its directory in sysfs, and the modules it may redirect to. What it decides is Rust (../src). */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include "shim.h"

static DEFINE_MUTEX(lpk_lock);

/* --- modules that were loaded since we were --------------------------------------------------------------------------- */

struct lpk_module {
	struct list_head list;
	struct module *module;
};

static LIST_HEAD(lpk_modules);
static DEFINE_MUTEX(lpk_modules_lock);

static void lpk_text(struct module *module, unsigned long *start, unsigned long *end)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	*start = (unsigned long)module->core_layout.base;
	*end = *start + module->core_layout.text_size;
#else
	*start = (unsigned long)module->mem[MOD_TEXT].base;
	*end = *start + module->mem[MOD_TEXT].size;
#endif
}

/* lpk_modules_lock is held */
static struct lpk_module *lpk_module_of(const char *name)
{
	struct lpk_module *one;

	list_for_each_entry(one, &lpk_modules, list)
		if (!strcmp(one->module->name, name))
			return one;
	return NULL;
}

static int lpk_module_coming(struct module *module)
{
	struct lpk_module *one = kmalloc(sizeof(*one), GFP_KERNEL);

	if (!one)
		return 0;	/* it cannot be redirected to, then */
	one->module = module;
	mutex_lock(&lpk_modules_lock);
	list_add(&one->list, &lpk_modules);
	mutex_unlock(&lpk_modules_lock);
	return 0;
}

static void lpk_module_gone(struct module *module)
{
	struct lpk_module *one, *next;
	unsigned long start, end;

	mutex_lock(&lpk_modules_lock);
	list_for_each_entry_safe(one, next, &lpk_modules, list)
		if (one->module == module) {
			list_del(&one->list);
			kfree(one);
		}
	mutex_unlock(&lpk_modules_lock);
	lpk_text(module, &start, &end);
	mutex_lock(&lpk_lock);
	lpk_rs_module_going(start, end);
	mutex_unlock(&lpk_lock);
}

static int lpk_notify(struct notifier_block *block, unsigned long event, void *data)
{
	if (event == MODULE_STATE_COMING)
		lpk_module_coming(data);
	else if (event == MODULE_STATE_GOING)
		lpk_module_gone(data);
	return NOTIFY_OK;
}

static struct notifier_block lpk_notifier = { .notifier_call = lpk_notify };

int lpk_module_text(const char *name, unsigned long *start, unsigned long *end)
{
	struct lpk_module *one;

	mutex_lock(&lpk_modules_lock);
	one = lpk_module_of(name);
	if (one)
		lpk_text(one->module, start, end);
	mutex_unlock(&lpk_modules_lock);
	return one ? 0 : -ENOENT;
}

int lpk_pin(const char *name)
{
	struct lpk_module *one;
	int error = -ENOENT;

	mutex_lock(&lpk_modules_lock);
	one = lpk_module_of(name);
	if (one && one->module->state == MODULE_STATE_LIVE && try_module_get(one->module)) {
		__module_get(THIS_MODULE);
		error = 0;
	}
	mutex_unlock(&lpk_modules_lock);
	return error;
}

void lpk_unpin(const char *name)
{
	struct lpk_module *one;

	mutex_lock(&lpk_modules_lock);
	one = lpk_module_of(name);
	if (one) {
		module_put(one->module);
		module_put(THIS_MODULE);
	}
	mutex_unlock(&lpk_modules_lock);
}

/* --- time ------------------------------------------------------------------------------------------------------------- */

void lpk_settle(void)
{
	synchronize_rcu_tasks();
}

void lpk_pause(void)
{
	msleep(20);
}

u64 lpk_now(void)
{
	return ktime_get_ns() / NSEC_PER_MSEC;
}

void __noreturn lpk_bug(const u8 *text, size_t length)
{
	pr_emerg("%.*s\n", (int)length, text);
	BUG();
}

/* --- the device: a command is written, its report is read from the same file ------------------------------------------ */

struct lpk_file {
	size_t length;
	u8 report[512];
};

static int lpk_open(struct inode *inode, struct file *file)
{
	int error;

	if (!capable(CAP_SYS_MODULE))
		return -EPERM;
	/* Who may not load code of his own may not lead the kernel to any. */
	error = security_locked_down(LOCKDOWN_MODULE_SIGNATURE);
	if (error)
		return error;
	file->private_data = kzalloc(sizeof(struct lpk_file), GFP_KERNEL);
	return file->private_data ? 0 : -ENOMEM;
}

static int lpk_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static ssize_t lpk_write(struct file *file, const char __user *from, size_t length, loff_t *position)
{
	struct lpk_file *state = file->private_data;
	u8 *command;
	int error;

	if (length > LPK_COMMAND)
		return -EFBIG;
	command = memdup_user(from, length);
	if (IS_ERR(command))
		return PTR_ERR(command);
	mutex_lock(&lpk_lock);
	state->length = sizeof(state->report);
	error = lpk_rs_command(command, length, state->report, &state->length);
	mutex_unlock(&lpk_lock);
	kfree(command);
	return error ? error : length;
}

static ssize_t lpk_read(struct file *file, char __user *to, size_t length, loff_t *position)
{
	struct lpk_file *state = file->private_data;
	ssize_t done;

	mutex_lock(&lpk_lock);
	done = simple_read_from_buffer(to, length, position, state->report, state->length);
	mutex_unlock(&lpk_lock);
	return done;
}

static const struct file_operations lpk_operations = {
	.owner = THIS_MODULE,
	.open = lpk_open,
	.read = lpk_read,
	.write = lpk_write,
	.release = lpk_release,
};

static struct miscdevice lpk_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "livepatch_kmod",
	.fops = &lpk_operations,
	.mode = 0600,
};

/* --- /sys/kernel/livepatch_kmod/patches ------------------------------------------------------------------------------- */

static ssize_t patches_read(struct file *file, struct kobject *object, const struct bin_attribute *attribute,
			    char *to, loff_t position, size_t room)
{
	const size_t size = 128 * 1024;
	u8 *text = kvmalloc(size, GFP_KERNEL);
	ssize_t done;
	size_t length;

	if (!text)
		return -ENOMEM;
	mutex_lock(&lpk_lock);
	length = lpk_rs_show(text, size);
	mutex_unlock(&lpk_lock);
	done = memory_read_from_buffer(to, room, &position, text, length);
	kvfree(text);
	return done;
}

/* 6.13 made the attribute constant. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static ssize_t patches_read_mutable(struct file *file, struct kobject *object, struct bin_attribute *attribute,
				    char *to, loff_t position, size_t room)
{
	return patches_read(file, object, attribute, to, position, room);
}
#define patches_read patches_read_mutable
#endif

static struct bin_attribute lpk_patches = {
	.attr = { .name = "patches", .mode = 0400 },
	.read = patches_read,
};

static struct kobject *lpk_object;

static int __init lpk_init(void)
{
	int error = lpk_find_idle();

	if (error)
		return error;
	lpk_object = kobject_create_and_add("livepatch_kmod", kernel_kobj);
	if (!lpk_object) {
		error = -ENOMEM;
		goto no_object;
	}
	error = sysfs_create_bin_file(lpk_object, &lpk_patches);
	if (error)
		goto no_file;
	error = register_module_notifier(&lpk_notifier);
	if (error)
		goto no_file;
	error = misc_register(&lpk_device);
	if (!error)
		return 0;
	unregister_module_notifier(&lpk_notifier);
no_file:
	kobject_put(lpk_object);
no_object:
	lpk_free_idle();
	return error;
}

/* Each patch in force holds a reference to us, so nothing is redirected here. */
static void __exit lpk_exit(void)
{
	struct lpk_module *one, *next;

	misc_deregister(&lpk_device);
	unregister_module_notifier(&lpk_notifier);
	list_for_each_entry_safe(one, next, &lpk_modules, list)
		kfree(one);
	kobject_put(lpk_object);
	lpk_free_idle();
}

module_init(lpk_init);
module_exit(lpk_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("switches functions of the running kernel all at once, for livepatch");
MODULE_VERSION("0.1.0");
