//#Changed: walk
//#Reference: walk@running
struct node { struct node *next; int (*f)(struct node *); };
int walk(struct node *n)
{
#ifdef NEW
    if (!n) return 0;
#endif
    n->f = walk;
    return 1 + walk(n->next) * 3;
}
