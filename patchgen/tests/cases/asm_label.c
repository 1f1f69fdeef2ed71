//#Refused: assembly code defines `inside`
int f(int x)
{
    __asm__ volatile(".globl inside\ninside: nop");
#ifdef NEW
    x++;
#endif
    return x * 3;
}
