// A lock class without lockdep is a structure without members.
//#Changed: show
//#Functions: show
#include "kernel.h"
struct lock_class_key { };
extern void init(struct lock_class_key *key);
int show(int x)
{
	static struct lock_class_key __key;
	init(&__key);
	return value(x + CHOOSE(1, 2));
}
