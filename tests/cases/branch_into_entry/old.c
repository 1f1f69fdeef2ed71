// The old function branches into the middle of the bytes that the jump overwrites.
//#ExpectBefore: 0
//#ExpectOutput: 41
__asm__(".text\n.globl answer\n.type answer, @function\nanswer:\n"
        "nop\n1: sub $1, %rdi\njg 1b\nmov %rdi, %rax\nret\n.size answer, . - answer\n");
