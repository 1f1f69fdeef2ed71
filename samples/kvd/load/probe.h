/* Whether a running server has one of the bugs: by its answers, with no harm done. */
#ifndef LOAD_PROBE_H
#define LOAD_PROBE_H

#include <stdbool.h>

#include "client.h"

enum verdict { PROBE_FIXED, PROBE_VULNERABLE, PROBE_ERROR };

/* `bug` is one of bug_names. `verbose` prints what was asked and what came back. */
enum verdict probe(const struct server *server, const char *bug, bool verbose);

#endif
