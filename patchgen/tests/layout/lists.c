// Types that lead to themselves and to each other.
//#Refused: `struct tree` in `old.o`: its layout changed, and live data may have the old one (`--allow-layout` goes on): field `right` was at offset 8, and is at offset 16; field `leaves` was at offset 16, and is at offset 8
struct leaf;
struct tree {
    struct tree *left;
#ifdef NEW
    struct leaf *leaves;
#endif
    struct tree *right;
#ifndef NEW
    struct leaf *leaves;
#endif
};
struct leaf { struct tree *up; struct leaf *next; };
int depth(struct tree *t) { return t ? 1 + depth(t->right) + (t->leaves->up == t) : 0; }
