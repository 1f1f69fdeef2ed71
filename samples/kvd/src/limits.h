/* Sizes of the protocol, in bytes. */
#ifndef KVD_LIMITS_H
#define KVD_LIMITS_H

#define MAX_LINE 1024  /* request line, its end included */
#define MAX_WORD 250   /* key, token, name */
#define MAX_VALUE 4096 /* value, payload of ECHO */
#define INPUT_SIZE (2 * MAX_VALUE)

_Static_assert(INPUT_SIZE >= MAX_LINE + MAX_VALUE + 2, "a whole request must fit into the input buffer");

#endif
