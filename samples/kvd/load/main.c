/* load: the clients of kvd. Makes load and verifies every answer, probes for the bugs, sends lines. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "probe.h"
#include "run.h"

static const char usage_text[] =
    "usage: load [options] run | probe BUG | send LINE...\n"
    "  run                     ask without pause, verify every answer, print the figures at the end;\n"
    "                          exit status 1 when an answer failed or the rate was too low\n"
    "  probe BUG               print `fixed` (exit status 0) or `vulnerable` (1); BUG is echo-length,\n"
    "                          ttl-overflow, token-prefix, oversized-line or token-guessing\n"
    "  send LINE...            send the lines over one connection and print each answer\n"
    "options:\n"
    "  -a, --address ADDRESS   of the server (default 127.0.0.1)\n"
    "  -p, --port PORT         of the server (default 7117)\n"
    "  -t, --token TOKEN       that the server knows (default: $KVD_TOKEN, then the built-in one)\n"
    "  -v, --verbose           probe: show what was asked and what came back\n"
    "  -c, --connections N     run: so many at once (default 32)\n"
    "  -j, --threads N         run: so many threads (default 2)\n"
    "  -s, --seconds N         run: for so long (default 10); 0: until SIGINT or SIGTERM, which end\n"
    "                          a run with figures at any time\n"
    "  -m, --min-rate N        run: fewer requests a second are a failure (default 0)\n"
    "example: load --seconds 5 --min-rate 1000 run\n";

struct options {
    struct server server;
    struct run_options run;
    bool verbose;
};

static _Noreturn void usage(int status)
{
    fputs(usage_text, status == EXIT_SUCCESS ? stdout : stderr);
    exit(status);
}

static unsigned number(const char *text, unsigned least, unsigned most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value < least || value > most) {
        fprintf(stderr, "load: `%s` is not a number from %u to %u\n", text, least, most);
        exit(2);
    }
    return (unsigned)value;
}

static struct options parse_options(int count, char **arguments)
{
    static const struct option long_options[] = {
        {"address", required_argument, NULL, 'a'},  {"port", required_argument, NULL, 'p'},
        {"token", required_argument, NULL, 't'},    {"verbose", no_argument, NULL, 'v'},
        {"connections", required_argument, NULL, 'c'}, {"threads", required_argument, NULL, 'j'},
        {"seconds", required_argument, NULL, 's'},  {"min-rate", required_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
    };
    struct options options = {
        .server = {.address = "127.0.0.1", .port = 7117, .token = getenv("KVD_TOKEN")},
        .run = {.connections = 32, .threads = 2, .seconds = 10},
    };
    int option;
    while ((option = getopt_long(count, arguments, "a:p:t:vc:j:s:m:h", long_options, NULL)) != -1) {
        switch (option) {
        case 'a': options.server.address = optarg; break;
        case 'p': options.server.port = (unsigned short)number(optarg, 1, 65535); break;
        case 't': options.server.token = optarg; break;
        case 'v': options.verbose = true; break;
        case 'c': options.run.connections = number(optarg, 1, 10000); break;
        case 'j': options.run.threads = number(optarg, 1, 64); break;
        case 's': options.run.seconds = number(optarg, 0, 86400); break;
        case 'm': options.run.min_rate = number(optarg, 0, 100000000); break;
        case 'h': usage(EXIT_SUCCESS);
        default: usage(2);
        }
    }
    if (options.server.token == NULL)
        options.server.token = "correct-horse-battery-staple";
    if (options.run.threads > options.run.connections)
        options.run.threads = options.run.connections;
    return options;
}

static int send_lines(const struct server *server, char **lines)
{
    static char reply[REPLY_SIZE];
    int client = client_connect(server);
    for (; *lines != NULL; lines++) {
        if (client < 0 || client_askf(client, reply, "%s\r\n", *lines) <= 0) {
            fprintf(stderr, "load: no answer to `%s`\n", *lines);
            return EXIT_FAILURE;
        }
        fputs(reply, stdout);
    }
    close(client);
    return EXIT_SUCCESS;
}

int main(int count, char **arguments)
{
    struct options options = parse_options(count, arguments);
    char **rest = arguments + optind;
    int left = count - optind;
    if (left == 1 && strcmp(rest[0], "run") == 0)
        return run_load(&options.server, &options.run);
    if (left == 2 && strcmp(rest[0], "probe") == 0) {
        enum verdict verdict = probe(&options.server, rest[1], options.verbose);
        static const char *const names[] = {"fixed", "vulnerable", "no verdict: the server did not answer as any version does"};
        puts(names[verdict]);
        return (int)verdict;
    }
    if (left >= 2 && strcmp(rest[0], "send") == 0)
        return send_lines(&options.server, rest + 1);
    usage(2);
}
