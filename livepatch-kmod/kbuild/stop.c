// SPDX-License-Identifier: GPL-2.0
/* Stops the machine and shows every task's stack to the policy. */
#include <linux/cpumask.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/stop_machine.h>
#include <linux/timer.h>
#include <linux/version.h>
#include <asm/unwind.h>
#include "shim.h"

struct lpk_machine {
	void *walk;
	long patch;
	bool on;
	raw_spinlock_t lock;	/* one processor at a time talks to the policy */
	atomic_t walked;	/* processors that have shown their own stack */
};

/* By processor: its idle task, which no list of tasks has, and the task that keeps it stopped. */
static struct task_struct **lpk_idle, **lpk_stopper;
static struct timer_list *lpk_timers;

/* A timer interrupts what its processor runs, which is the idle task when there is nothing else. */
static void lpk_note_idle(struct timer_list *unused)
{
	if (is_idle_task(current))
		WRITE_ONCE(lpk_idle[smp_processor_id()], current);
}

/* Has each processor whose idle task is not known yet look in a moment; returns whether there is one. */
static bool lpk_ask_idle(void)
{
	bool missing = false;
	unsigned int cpu;

	cpus_read_lock();
	for_each_online_cpu(cpu) {
		if (READ_ONCE(lpk_idle[cpu]))
			continue;
		missing = true;
		if (!timer_pending(&lpk_timers[cpu])) {
			lpk_timers[cpu].expires = jiffies + 1;
			add_timer_on(&lpk_timers[cpu], cpu);
		}
	}
	cpus_read_unlock();
	return missing;
}

int lpk_find_idle(void)
{
	unsigned int cpu, tries;

	lpk_idle = kcalloc(nr_cpu_ids, sizeof(*lpk_idle), GFP_KERNEL);
	lpk_stopper = kcalloc(nr_cpu_ids, sizeof(*lpk_stopper), GFP_KERNEL);
	lpk_timers = kcalloc(nr_cpu_ids, sizeof(*lpk_timers), GFP_KERNEL);
	if (!lpk_idle || !lpk_stopper || !lpk_timers) {
		kfree(lpk_timers);
		kfree(lpk_stopper);
		kfree(lpk_idle);
		return -ENOMEM;
	}
	for_each_possible_cpu(cpu)
		timer_setup(&lpk_timers[cpu], lpk_note_idle, TIMER_PINNED);
	/* While we sleep our own processor may be idle. Those that never are are asked again before each stop. */
	for (tries = 0; tries < 25 && lpk_ask_idle(); tries++)
		lpk_pause();
	return 0;
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define timer_delete_sync del_timer_sync
#endif

void lpk_free_idle(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		timer_delete_sync(&lpk_timers[cpu]);
	kfree(lpk_timers);
	kfree(lpk_stopper);
	kfree(lpk_idle);
}

/* As arch_stack_walk_reliable(), which is not exported: a frame that the unwinder cannot vouch for is an objection. */
static void lpk_walk_task(void *walk, struct task_struct *task)
{
	struct unwind_state state;

	lpk_rs_task(walk, task->pid, task->comm);
	for (unwind_start(&state, task, NULL, NULL); !unwind_done(&state) && !unwind_error(&state);
	     unwind_next_frame(&state)) {
		struct pt_regs *regs = unwind_get_entry_regs(&state, NULL);
		unsigned long address;

		if (regs && user_mode(regs))
			return;
		address = unwind_get_return_address(&state);
		if (!address) {
			lpk_rs_object(walk, true);
			return;
		}
		if (!lpk_rs_frame(walk, address))
			return;
	}
	if (unwind_error(&state))
		lpk_rs_object(walk, true);
}

static bool lpk_is_stopper(struct task_struct *task)
{
	unsigned int cpu;

	if (!(task->flags & PF_KTHREAD))
		return false;
	for_each_online_cpu(cpu)
		if (lpk_stopper[cpu] == task)
			return true;
	return false;
}

/*
 * A task that ended stays in the list until its parent takes note, and has no stack: that was freed, and what thread.sp leads to is gone. With the
 * machine stopped nobody can free another.
 */
static bool lpk_has_stack(struct task_struct *task)
{
	return refcount_read(&task->stack_refcount) != 0;
}

static void lpk_walk_all(struct lpk_machine *machine)
{
	struct task_struct *process, *task;
	unsigned int cpu;

	for_each_process_thread(process, task)
		if (lpk_has_stack(task) && !lpk_is_stopper(task))
			lpk_walk_task(machine->walk, task);
	for_each_online_cpu(cpu) {
		if (lpk_idle[cpu])
			lpk_walk_task(machine->walk, lpk_idle[cpu]);
		else {
			lpk_rs_task(machine->walk, 0, "swapper\0\0\0\0\0\0\0\0");
			lpk_rs_object(machine->walk, false);
		}
	}
}

/*
 * Runs on every processor at once, in the task that keeps it stopped. Such a task runs, so only itself can walk its stack; the
 * first processor walks all others when every one has.
 */
static int lpk_stopped(void *data)
{
	struct lpk_machine *machine = data;
	unsigned int cpu = smp_processor_id();

	lpk_stopper[cpu] = current;
	raw_spin_lock(&machine->lock);
	lpk_walk_task(machine->walk, current);
	raw_spin_unlock(&machine->lock);
	atomic_inc(&machine->walked);
	if (cpu != cpumask_first(cpu_online_mask))
		return 0;
	while (atomic_read_acquire(&machine->walked) < num_online_cpus())
		cpu_relax();
	lpk_walk_all(machine);
	if (machine->patch >= 0 && lpk_rs_is_clear(machine->walk))
		lpk_switch(machine->patch, machine->on);
	return 0;
}

int lpk_stop(void *walk, long patch, bool on)
{
	struct lpk_machine machine = { .walk = walk, .patch = patch, .on = on, .walked = ATOMIC_INIT(0) };

	raw_spin_lock_init(&machine.lock);
	lpk_ask_idle();
	/* The idle task of a processor that comes up in between is unknown, which is an objection. */
	return stop_machine(lpk_stopped, &machine, cpu_online_mask);
}
