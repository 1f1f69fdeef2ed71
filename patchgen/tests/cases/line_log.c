//#Unchanged:
void log_at(int level, const char *file, int line, const char *text, ...);
#define LOG(text) log_at(1, __FILE__, __LINE__, text, x)
#ifdef NEW
#line 90
#endif
int f(int x)
{
    if (x > 3)
        LOG("big");
    return x;
}
