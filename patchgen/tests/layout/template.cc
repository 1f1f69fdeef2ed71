// Templates, namespaces, scoped enumerations.
//#Refused: `struct box::Box<int>` in `old.o`: its layout changed, and live data may have the old one (`--allow-layout` goes on): field `value` was at offset 0, and is at offset 4; field `kind` was at offset 4, and is at offset 8; field `end` was at offset 8, and is at offset 16; field `tag` at offset 0 is new; it was 16 bytes long, and is 24 bytes
//#Refused: `enum box::Kind` in `old.o`: its layout changed, and live data may have the old one (`--allow-layout` goes on): enumerator `Full` was 1, and is 2
namespace box {
enum class Kind : unsigned char {
    Empty,
#ifdef NEW
    Half,
#endif
    Full
};
template <class T> struct Box {
#ifdef NEW
    T tag;
#endif
    T value;
    Kind kind;
    void *end;
};
}
int get(box::Box<int> *b) { return b->kind == box::Kind::Full ? b->value : 0; }
