// A `typedef` whose size changed, with what it changes.
//#Refused: `typedef length` in `old.o`: its layout changed, and live data may have the old one (`--allow-layout` goes on): it stood for `unsigned int` (4 bytes), and is `
//#Refused: `struct buffer` in `old.o`: its layout changed, and live data may have the old one (`--allow-layout` goes on): field `len` at offset 0 was `length` (4 bytes), and is `length` (8 bytes); field `data` was at offset 4, and is at offset 8; it was 12 bytes long, and is 16 bytes
#ifdef NEW
typedef unsigned long length;
#else
typedef unsigned int length;
#endif
struct buffer { length len; char data[8]; };
int room(struct buffer *b) { return 8 - (int)b->len + b->data[0]; }
