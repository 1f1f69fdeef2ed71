#include <new>
long answer(long x) {
    if (x < 0)
        throw x;
    char *room = new (std::nothrow) char[x];
    if (!room)
        return -1;
    for (long i = 0; i < x; i++)
        room[i] = 2;
    char last = room[x - 1];
    delete[] room;
    return x + last;
}
