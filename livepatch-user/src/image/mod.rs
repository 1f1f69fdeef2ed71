//! The ELF images that a process maps: build IDs, symbols, GOT and PLT.
