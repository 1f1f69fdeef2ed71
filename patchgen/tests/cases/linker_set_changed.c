//#Refused: `first` in `case.o`: the initial value of a live variable changed
//#Refused: `second` in `case.o`: it was removed from the linker set `commands`
//#Refusals: 2
struct command { int id; int (*run)(int); };
#define COMMAND static const struct command __attribute__((used, section("commands"), aligned(8)))
extern const struct command __start_commands[], __stop_commands[];
static int one(int x) { return x + 1; }
#ifdef NEW
COMMAND first = { 3, one };
#else
COMMAND first = { 1, one };
COMMAND second = { 2, one };
#endif
int look(int id, int x)
{
    for (const struct command *c = __start_commands; c < __stop_commands; c++)
        if (c->id == id) return c->run(x);
    return -1;
}
