struct flags { unsigned kind : 4, level : 5; };
static volatile struct flags flags = {1, 2};
long answer(long x) { return x + flags.level; }
