/* As code that is compiled without -fPIC: the linker makes a copy (R_X86_64_COPY). */
static __attribute__((constructor)) void raise_level(void) {
    __asm__ volatile("movq $8, level(%%rip)" ::: "memory");
}
