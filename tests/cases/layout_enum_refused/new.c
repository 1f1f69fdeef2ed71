enum state { IDLE, STARTING, BUSY };
static volatile enum state state = BUSY;
long answer(long x) { return state == BUSY ? x : -x; }
