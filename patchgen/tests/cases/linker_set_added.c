//#Refused: `second` in `case.o`: it was added to the linker set `commands`
//#Refusals: 1
struct command { int id; int (*run)(int); };
#define COMMAND static const struct command __attribute__((used, section("commands"), aligned(8)))
extern const struct command __start_commands[], __stop_commands[];
static int one(int x) { return x + 1; }
COMMAND first = { 1, one };
#ifdef NEW
static int two(int x) { return x * 2; }
COMMAND second = { 2, two };
#endif
int look(int id, int x)
{
    for (const struct command *c = __start_commands; c < __stop_commands; c++)
        if (c->id == id) return c->run(x);
#ifdef NEW
    return -2;
#else
    return -1;
#endif
}
