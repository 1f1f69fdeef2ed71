//#Refused: `proceed` in `case.o`: it keeps the address of one of its labels
//#Refusals: 1
// A coroutine of labels: the next call would go on in old code.
static void *resume;
int proceed(int x)
{
    int r = x;
    if (resume) goto *resume;
    resume = &&first;
    return r + 1;
first:
#ifdef NEW
    r += 7;
#endif
    resume = &&second;
    return r + 20;
second:
    resume = &&first;
    return r + 300;
}
