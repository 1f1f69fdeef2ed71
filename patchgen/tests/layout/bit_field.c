// Bit-fields, whose places DWARF has counted in three ways.
//#Refused: field `mode` was at offset 0, bits 1 to 3, and is at offset 0, bits 1 to 4; field `rest` was at offset 0, bits 4 to 8, and is at offset 0, bits 5 to 9
struct flags {
    unsigned on : 1;
#ifdef NEW
    unsigned mode : 4;
#else
    unsigned mode : 3;
#endif
    unsigned rest : 5;
};
unsigned rest(struct flags *f) { return f->rest + f->mode; }
