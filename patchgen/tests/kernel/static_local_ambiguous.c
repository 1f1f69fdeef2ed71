// A static local of one function became that of another that ran before: whose state it is cannot be told.
//#Refused: it cannot be told which existing variable it is
#include "kernel.h"
#ifdef NEW
int other(int x)
{
	static int count;
	return value(x + ++count);
}
int show(int x)
{
	return value(x) + 1;
}
#else
int other(int x)
{
	return value(x);
}
int show(int x)
{
	static int count;
	return value(x + ++count);
}
#endif
