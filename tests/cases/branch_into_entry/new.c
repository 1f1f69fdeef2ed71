__asm__(".section .text.answer, \"ax\"\n.globl answer\n.type answer, @function\nanswer:\n"
        "lea 1(%rdi), %rax\nret\n.size answer, . - answer\n");
