/* A process that puts pointers into its "patch" (some pages of its own) wherever it is told: one letter on
 * standard input each, answered by "." and ended by end of file. The patch's address is kept only disguised. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define KEY 0x5bd1e995a5a5c3c3ul
#define PAGE 4096ul
#define NOINLINE __attribute__((noinline))

static uint64_t hidden;
static uint64_t *slots[64];
static unsigned used;
static char packed[64] __attribute__((aligned(64)));
static volatile char *heap;
static volatile int busy;

/* What data would hold: the address of a function or a variable. */
static inline uint64_t pointer(void) { return (hidden ^ KEY) + 8; }

/* What finished calls leave on a stack: the address after the call instruction that main() writes there. */
static inline uint64_t return_address(void) { return (hidden ^ KEY) + 0x105; }

static char *map(int protection, int flags, int fd)
{
	return mmap(NULL, 4 * PAGE, protection, flags, fd, 0);
}

static NOINLINE void store(void *at)
{
	uint64_t *slot = at;
	*(volatile uint64_t *)slot = pointer();
	slots[used++] = slot;
}

/* As a coroutine's stack holds it. */
static NOINLINE void coroutine(void)
{
	store(malloc(64));
	*slots[used - 1] = return_address();
}

static NOINLINE void protect(int protection)
{
	char *page = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	store(page + 72);
	mprotect(page, 4 * PAGE, protection);
	used--;
}

static NOINLINE void file_copy(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	char *page = map(PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
	close(fd);
	store(page + 80);
	mprotect(page, 4 * PAGE, PROT_READ);
	used--;
}

static NOINLINE void move(void)
{
	char *from = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	char *to = map(PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	*(volatile uint64_t *)(from + 16) = pointer();
	mremap(from, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	slots[used++] = (uint64_t *)(to + 16);
}

/* Return addresses and locals that stay behind below the stack pointer. */
static NOINLINE void deep(int depth)
{
	volatile uint64_t leftover[16];
	for (int i = 0; i < 16; i++)
		leftover[i] = return_address();
	if (depth)
		deep(depth - 1);
	leftover[0] = 0;
}

static void *shallow_thread(void *unused)
{
	(void)unused;
	deep(20);
	for (;;)
		pause();
}

static void *holding_thread(void *unused)
{
	volatile uint64_t local = pointer();
	(void)unused;
	for (;;) {
		pause();
		local++;
	}
}

static void *register_thread(void *unused)
{
	(void)unused;
	__asm__ volatile("mov %0, %%r12\n xor %%eax, %%eax\n1: pause\n jmp 1b" ::"a"(pointer()) : "r12");
	return NULL;
}

static void *vector_thread(void *unused)
{
	(void)unused;
	__asm__ volatile("movq %0, %%xmm7\n xor %%eax, %%eax\n1: pause\n jmp 1b" ::"a"(pointer()) : "xmm7");
	return NULL;
}

static void *busy_thread(void *unused)
{
	(void)unused;
	for (unsigned long i = 0;; i++) {
		heap[i * PAGE % (4ul << 20)] = (char)i;
		if (i % 512 == 0)
			usleep(100);
	}
}

static NOINLINE void start(void *(*body)(void *))
{
	pthread_t thread;
	pthread_create(&thread, NULL, body, NULL);
	usleep(20000);
}

/* What a system call's wrapper leaves behind may lie in the frame of the next one: not what these tests are about. */
static NOINLINE void wipe(void)
{
	volatile char dead[8192];
	for (unsigned i = 0; i < sizeof dead; i++)
		dead[i] = 0;
}

static NOINLINE void handler(void)
{
	struct sigaction action = { .sa_handler = (void (*)(int))pointer() };
	sigaction(SIGUSR1, &action, NULL);
}

static NOINLINE void event(void)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = pointer() };
	epoll_ctl(epoll_create1(0), EPOLL_CTL_ADD, 0, &event);
}

static NOINLINE void timer(void)
{
	timer_t id;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };
	event.sigev_value.sival_ptr = (void *)pointer();
	timer_create(CLOCK_MONOTONIC, &event, &id);
}

static NOINLINE void clear(void)
{
	while (used)
		*slots[--used] = 0;
	memset(packed, 0, sizeof packed);
}

static NOINLINE void fork_child(void)
{
	if (fork() == 0) {
		/* Writes to memory that the parent's search protects, then lives as long as the parent. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		memset((char *)heap, 7, 1 << 20);
		for (;;)
			pause();
	}
}

static NOINLINE void obey(char command)
{
	uint64_t word;
	switch (command) {
	case 'h': store(malloc(64)); break;
	case 'b': store((char *)heap + (40 << 20)); break;
	case 'u': word = pointer(); memcpy(packed + 13, &word, 8); break;
	case 'm': atexit((void (*)(void))pointer()); break;
	case 'r': protect(PROT_READ); break;
	case 'n': protect(PROT_NONE); break;
	case 's': store(map(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1)); break;
	case 'f': file_copy(); break;
	case 'w': store(map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1)); break;
	case 'v': move(); break;
	case 'd': deep(20); break;
	case 'a': coroutine(); break;
	case 't': start(shallow_thread); break;
	case 'l': start(holding_thread); break;
	case 'g': start(register_thread); break;
	case 'x': start(vector_thread); break;
	case 'y': start(busy_thread); break;
	case 'i': handler(); wipe(); break;
	case 'e': event(); wipe(); break;
	case 'p': timer(); wipe(); break;
	case 'k': fork_child(); break;
	case 'c': clear(); break;
	case 'Z': memset(malloc(500ul << 20), 1, 500ul << 20); break;
	case 'z': memset((char *)heap, 1, 64 << 20); break;
	}
}

int main(int argc, char **argv)
{
	char command;
	hidden = (uint64_t)mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ^ KEY;
	*(volatile char *)((hidden ^ KEY) + 0x100) = (char)0xe8;
	mprotect((void *)(hidden ^ KEY), 16 * PAGE, PROT_READ | PROT_EXEC);
	heap = mmap(NULL, 64ul << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = argc > 1 ? atoi(argv[1]) : 0; i > 0; i--) {
		pthread_t thread;
		pthread_create(&thread, NULL, shallow_thread, NULL);
	}
	dprintf(1, "%lx\n", hidden);
	for (;;) {
		/* No pointer is left in a register that the ABI does not preserve. */
		__asm__ volatile("xor %%eax, %%eax\n xor %%ecx, %%ecx\n xor %%edx, %%edx\n xor %%esi, %%esi\n"
				 "xor %%edi, %%edi\n xor %%r8d, %%r8d\n xor %%r9d, %%r9d\n xor %%r10d, %%r10d\n"
				 "xor %%r11d, %%r11d" ::: "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11");
		if (read(0, &command, 1) != 1)
			_exit(0);
		obey(command);
		if (write(1, ".", 1) != 1)
			_exit(1);
	}
}
