/* memcpy and memmove of the static build, see docs/decisions/0010.
 *
 * musl copies with `rep movsq`, which is slow where source and destination are not aligned to each
 * other; a row inside a page never is. Here are plain 16-byte loads and stores instead, which every
 * x86-64 has. Up to 128 bytes all is loaded before anything is stored, so it does not matter how the
 * two overlap; above that the direction is chosen so that nothing is overwritten before it is read.
 */
#include <stddef.h>
#include <stdint.h>

typedef long long vector __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t eight __attribute__((aligned(1), may_alias));
typedef uint32_t four __attribute__((aligned(1), may_alias));
typedef uint16_t two __attribute__((aligned(1), may_alias));

/* Copies `size` bytes between one and two times the size of `type`: the first and the last ones. */
#define ENDS(type)                                                   \
    do {                                                             \
        type first = *(const type *)from;                            \
        type last = *(const type *)(from + size - sizeof(type));     \
        *(type *)to = first;                                         \
        *(type *)(to + size - sizeof(type)) = last;                  \
    } while (0)

#define LOAD(at) (*(const vector *)(at))
#define STORE(at, value) (*(vector *)(at) = (value))

static inline void up_to_32(unsigned char *to, const unsigned char *from, size_t size) {
    if (size >= 16) ENDS(vector);
    else if (size >= 8) ENDS(eight);
    else if (size >= 4) ENDS(four);
    else if (size >= 2) ENDS(two);
    else if (size == 1) *to = *from;
}

static inline void up_to_128(unsigned char *to, const unsigned char *from, size_t size) {
    const unsigned char *end = from + size;
    vector a = LOAD(from), b = LOAD(from + 16), y = LOAD(end - 32), z = LOAD(end - 16);
    if (size > 64) {
        vector c = LOAD(from + 32), d = LOAD(from + 48), w = LOAD(end - 64), x = LOAD(end - 48);
        STORE(to + 32, c);
        STORE(to + 48, d);
        STORE(to + size - 64, w);
        STORE(to + size - 48, x);
    }
    STORE(to, a);
    STORE(to + 16, b);
    STORE(to + size - 32, y);
    STORE(to + size - 16, z);
}

/* From the first byte on. The ends are read before the middle may overwrite them. */
static inline void forward(unsigned char *to, const unsigned char *from, size_t size) {
    const unsigned char *rest = from + size - 64;
    vector first = LOAD(from);
    vector w = LOAD(rest), x = LOAD(rest + 16), y = LOAD(rest + 32), z = LOAD(rest + 48);
    unsigned char *last = to + size - 64;
    size_t done = 16 - ((uintptr_t)to & 15);
    for (; to + done < last; done += 64) {
        vector a = LOAD(from + done), b = LOAD(from + done + 16);
        vector c = LOAD(from + done + 32), d = LOAD(from + done + 48);
        STORE(to + done, a);
        STORE(to + done + 16, b);
        STORE(to + done + 32, c);
        STORE(to + done + 48, d);
    }
    STORE(to, first);
    STORE(last, w);
    STORE(last + 16, x);
    STORE(last + 32, y);
    STORE(last + 48, z);
}

/* From the last byte on, for a destination inside the source. */
static inline void backward(unsigned char *to, const unsigned char *from, size_t size) {
    vector w = LOAD(from), x = LOAD(from + 16), y = LOAD(from + 32), z = LOAD(from + 48);
    vector last = LOAD(from + size - 16);
    size_t left = size - ((uintptr_t)(to + size) & 15);
    for (; left > 64; left -= 64) {
        vector a = LOAD(from + left - 16), b = LOAD(from + left - 32);
        vector c = LOAD(from + left - 48), d = LOAD(from + left - 64);
        STORE(to + left - 16, a);
        STORE(to + left - 32, b);
        STORE(to + left - 48, c);
        STORE(to + left - 64, d);
    }
    STORE(to + size - 16, last);
    STORE(to, w);
    STORE(to + 16, x);
    STORE(to + 32, y);
    STORE(to + 48, z);
}

static inline void *copy(void *destination, const void *source, size_t size) {
    unsigned char *to = destination;
    const unsigned char *from = source;
    if (size <= 32) up_to_32(to, from, size);
    else if (size <= 128) up_to_128(to, from, size);
    /* Behind the source, or so far before it that nothing is shared. */
    else if ((uintptr_t)to - (uintptr_t)from >= size) forward(to, from, size);
    else backward(to, from, size);
    return destination;
}

void *memcpy(void *restrict destination, const void *restrict source, size_t size) {
    return copy(destination, source, size);
}

/* musl's own needs an inner label of its memcpy, so both are replaced together. */
void *memmove(void *destination, const void *source, size_t size) {
    return copy(destination, source, size);
}
