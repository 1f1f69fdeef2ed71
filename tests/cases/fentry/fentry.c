void __fentry__(void) {}
