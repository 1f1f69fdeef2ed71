// Nothing that matters to live data: a new type, signedness, qualifiers, `void *`, another name for the same.
typedef unsigned int u32;
struct node { struct node *next; };
#ifdef NEW
struct fresh { int a, b, c; };
struct conn { struct node *list; u32 id; unsigned char *name; void *user; long count; };
#else
struct conn { struct node *list; int id; const char *name; struct node *user; long long count; };
#endif
int step(struct conn *c) {
#ifdef NEW
    struct fresh f = {c->id, 2, 3};
    for (struct node *n = c->list; n; n = n->next)
        f.a++;
    return f.a + f.b + f.c + c->name[0] + (int)c->count;
#else
    return c->id + c->name[0] + (int)c->count;
#endif
}
