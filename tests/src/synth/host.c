static char line[1 << 16];
static u taken;
int main(void) {
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        char *at = line + 1;
        if (line[0] == 's') {
            u sums[UNITS] = {0};
            for (u n = strtoul(at, &at, 10); n; n--, taken++)
                for (u i = 0; i < UNITS; i++)
                    sums[i] = sums[i] * 31 + steps[i](taken * 7 + i);
            for (u i = 0; i < UNITS; i++)
                printf("%lx;", sums[i]);
        } else if (line[0] == 'd') {
            for (u i = 0; i < UNITS; i++) {
                for (u k = 0; states[i](k); k++)
                    printf("%lu ", *states[i](k));
                printf("; ");
            }
            printf("%lu", taken);
        } else {
            for (u i = 0; i < UNITS; i++) {
                for (u k = 0; states[i](k); k++)
                    *states[i](k) = strtoul(at, &at, 10);
                at = strchr(at, ';') + 1;
            }
            taken = strtoul(at, &at, 10);
            printf("ok");
        }
        puts("");
        fflush(stdout);
    }
    return 0;
}
