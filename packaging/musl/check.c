/* Compares copy.c with a copy byte by byte: all sizes around each of its cases, all alignments to 16
 * bytes, apart and overlapping both ways, and nothing written outside. Ends with 0 when all is well. */
#define memcpy checked_memcpy
#define memmove checked_memmove
#include "copy.c"
#undef memcpy
#undef memmove
#include <stdio.h>
#include <stdlib.h>

enum { ROOM = 16384, EDGE = 64 };
static unsigned char got[ROOM], want[ROOM];

static void fail(const char *what, size_t to, size_t from, size_t size) {
    printf("%s: %zu bytes from %zu to %zu\n", what, size, from, to);
    exit(1);
}

/* Fills both alike, moves `size` bytes inside each, and compares all of the room. */
static void check(size_t to, size_t from, size_t size) {
    static unsigned seed;
    for (size_t at = 0; at < ROOM; at++) got[at] = want[at] = (unsigned char)((at * 2654435761u + ++seed) >> 13);
    if (to <= from) for (size_t at = 0; at < size; at++) want[to + at] = want[from + at];
    else for (size_t at = size; at-- > 0;) want[to + at] = want[from + at];
    int apart = to + size <= from || from + size <= to;
    void *given = apart ? checked_memcpy(got + to, got + from, size) : checked_memmove(got + to, got + from, size);
    if (given != got + to) fail("not the destination", to, from, size);
    for (size_t at = 0; at < ROOM; at++) if (got[at] != want[at]) fail("differs", to, from, size);
}

int main(void) {
    static const size_t large[] = {500, 511, 512, 513, 1000, 1800, 2047, 4096, 5000};
    for (size_t step = 0; step < 280 + sizeof large / sizeof *large; step++) {
        size_t size = step < 280 ? step : large[step - 280];
        for (size_t align = 0; align < 16; align++) {
            /* Apart, with each alignment of the one to the other. */
            check(EDGE + align, 8192 + 3, size);
            check(8192 + 3, EDGE + align, size);
            /* By 1 to 16 bytes, and by about a block of the loops. */
            check(EDGE + 160, EDGE + 160 + align + 1, size);
            check(EDGE + 160 + align + 1, EDGE + 160, size);
            check(EDGE + 160 + align, EDGE + 160 + 60 + align, size);
            check(EDGE + 160 + 60 + align, EDGE + 160 + align, size);
        }
    }
    return 0;
}
