/* What the program and its library share. */
struct state { int lines, errors; };
int parse(struct state *state, const char *line);
int twice(int number);
