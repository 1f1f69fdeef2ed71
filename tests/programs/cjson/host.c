/* A small service over a library: each line on a connection is `POINTER TAB DOCUMENT`, answered by the
 * line that the JSON pointer finds in the document, or by `none`. Eight threads, one for each connection; the port is argv[1]. */
#include <cJSON.h>
#include <cJSON_Utils.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int listener;

static char *find(char *line) {
    char *tab = strchr(line, '\t'), *text = NULL;
    if (!tab)
        return NULL;
    *tab = 0;
    cJSON *document = cJSON_Parse(tab + 1);
    cJSON *value = cJSONUtils_GetPointerCaseSensitive(document, line);
    if (value)
        text = cJSON_PrintUnformatted(value);
    cJSON_Delete(document);
    return text;
}

static void *serve(void *unused) {
    for (;;) {
        char line[65536];
        int connection = accept(listener, NULL, NULL);
        FILE *in = fdopen(connection, "r");
        if (!in)
            continue;
        while (fgets(line, sizeof line, in)) {
            char *text = find(line);
            dprintf(connection, "%s\n", text ? text : "none");
            free(text);
        }
        fclose(in);
    }
    return unused;
}

int main(int count, char **arguments) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons(count > 1 ? atoi(arguments[1]) : 0);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64)) {
        perror("listen");
        return 1;
    }
    for (int i = 0; i < 8; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve, NULL))
            return 1;
    }
    pause();
}
