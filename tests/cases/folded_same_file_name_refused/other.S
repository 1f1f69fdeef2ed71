        .file "sub/patch.c"
        .section .text.scaled,"ax",@progbits
        .p2align 4
        .type scaled, @function
scaled: lea 1(%rdi,%rdi,2), %rax
        ret
        .size scaled, . - scaled
        .text
        .globl other
        .type other, @function
other:  push %rdi
        call scaled
        pop %rdi
        add %rdi, %rax
        ret
        .size other, . - other
        .section .note.GNU-stack,"",@progbits
