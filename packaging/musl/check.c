/* Compares copy.c with a copy byte by byte: all sizes around each of its cases, all alignments to 16
 * bytes, apart and overlapping both ways, and nothing written outside; and all of it again with source
 * and destination at the edge of memory that may be touched, so that nothing is read outside either.
 * Ends with 0 when all is well. */
#define _DEFAULT_SOURCE
#define memcpy checked_memcpy
#define memmove checked_memmove
#include "copy.c"
#undef memcpy
#undef memmove
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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

/* A multiple of every size of a page. */
enum { PAGES = 65536 };
static char now[80];

static void outside(int signal) {
    (void)signal;
    _exit(write(1, now, strlen(now)) < 0 ? 2 : 1);
}

/* Pages between others that end the program when they are touched. */
static unsigned char *fenced(void) {
    unsigned char *all = mmap(NULL, 3 * PAGES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED || mprotect(all + PAGES, PAGES, PROT_READ | PROT_WRITE)) {
        perror("pages");
        exit(1);
    }
    return all + PAGES;
}

/* Copies between two places, maybe of the same pages, and compares what arrived. Places are told by how
 * far they are into their page. */
static void check_fenced(unsigned char *to, unsigned char *from, size_t size) {
    size_t from_page = (uintptr_t)from % 4096, to_page = (uintptr_t)to % 4096;
    snprintf(now, sizeof now, "touched outside: %zu bytes from %zu to %zu", size, from_page, to_page);
    for (size_t at = 0; at < size; at++) from[at] = want[at] = (unsigned char)((at * 2654435761u + size) >> 13);
    int apart = to + size <= from || from + size <= to;
    void *given = apart ? checked_memcpy(to, from, size) : checked_memmove(to, from, size);
    if (given != to) fail("not the destination", to_page, from_page, size);
    for (size_t at = 0; at < size; at++) if (to[at] != want[at]) fail("differs at an edge", to_page, from_page, size);
}

/* Each at its first and its last bytes, and both in the same pages, next to each other and by blocks. */
static void check_edges(size_t size) {
    static unsigned char *one, *other;
    static const size_t steps[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129};
    if (!one) one = fenced(), other = fenced();
    size_t end = PAGES - size;
    check_fenced(one, other, size);
    check_fenced(one, other + end, size);
    check_fenced(one + end, other, size);
    check_fenced(one + end, other + end, size);
    for (size_t at = 0; at < sizeof steps / sizeof *steps; at++) {
        check_fenced(one, one + steps[at], size);
        check_fenced(one + steps[at], one, size);
        check_fenced(one + end, one + end - steps[at], size);
        check_fenced(one + end - steps[at], one + end, size);
    }
}

int main(void) {
    static const size_t large[] = {500, 511, 512, 513, 1000, 1800, 2047, 4096, 5000};
    signal(SIGSEGV, outside);
    signal(SIGBUS, outside);
    for (size_t step = 0; step <= 300 + sizeof large / sizeof *large; step++) {
        size_t size = step <= 300 ? step : large[step - 301];
        check_edges(size);
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
