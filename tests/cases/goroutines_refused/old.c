// The note that the Go linker leaves: there are stacks that only the Go runtime knows.
//#ExpectBefore: 41
//#ApplyRefuses: has goroutines
//#Forms: none
__asm__(".pushsection .note.go.buildid, \"a\", @note\n"
        ".balign 4\n"
        ".long 4, 4, 4\n"
        ".ascii \"Go\\0\\0\"\n"
        ".ascii \"abcd\"\n"
        ".popsection");
long answer(long x) { return x + 1; }
