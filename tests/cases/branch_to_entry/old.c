// The old function loops to its own first instruction, which the jump overwrites.
//#ExpectBefore: 0
//#ExpectOutput: 41
__asm__(".text\n.globl answer\n.type answer, @function\nanswer:\n"
        "sub $1, %rdi\njg answer\nmov %rdi, %rax\nret\n.size answer, . - answer\n");
