// Assembly keeps a table beside its code; what refers into it means the same.
//#Forms: c
//#NoChange
//#ExpectBefore: 47
__asm__(".text\n\t.globl pick\n\t.type pick, @function\n"
        "pick:\n\tleaq .Ltable+8(%rip), %rax\n\tmovq (%rax,%rdi,8), %rax\n\tret\n\t.size pick, .-pick\n"
        "\t.p2align 3\n.Ltable:\n\t.quad 5, 7, 9\n");
long pick(long x);
long answer(long x) { return pick(x - 40) + x; }
