/* What all parts share: bytes in little-endian memory, and the lengths that protobuf writes. */
#ifndef OTEL_COST_WIRE_H
#define OTEL_COST_WIRE_H

#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "numbers on the wire and in Arrow's columns are little-endian"
#endif

#ifdef _WIN32
#define API __declspec(dllexport)
#else
#define API __attribute__((visibility("default")))
#endif

#define UNUSUAL (-1)
#define LENGTH_BITS 35 /* of a length: five bytes of seven; more is no message that is taken */

typedef const uint8_t *bytes;

static inline uint64_t u64(bytes at) {
    uint64_t value;
    memcpy(&value, at, 8);
    return value;
}

static inline uint32_t u32(bytes at) {
    uint32_t value;
    memcpy(&value, at, 4);
    return value;
}

/* Texts are mostly short, and a call for each takes longer than its bytes: up to 32 are copied in two pieces, which overlap. */
static inline void copy(uint8_t *to, bytes from, int64_t size) {
    if (size > 32) {
        memcpy(to, from, (size_t)size);
    } else if (size >= 16) {
        memcpy(to, from, 16);
        memcpy(to + size - 16, from + size - 16, 16);
    } else if (size >= 8) {
        memcpy(to, from, 8);
        memcpy(to + size - 8, from + size - 8, 8);
    } else if (size >= 4) {
        memcpy(to, from, 4);
        memcpy(to + size - 4, from + size - 4, 4);
    } else if (size > 0) {
        to[0] = from[0];
        to[size / 2] = from[size / 2];
        to[size - 1] = from[size - 1];
    }
}

/* Reads the length at `*at`, which becomes where the body starts; gives where that ends, at `stop` at most, or UNUSUAL. */
static inline int64_t body(bytes data, int64_t *at, int64_t stop) {
    uint64_t size = 0;
    int64_t next = *at;
    for (int shift = 0; next < stop && shift < LENGTH_BITS; shift += 7) {
        uint8_t byte = data[next++];
        size |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            if (size > (uint64_t)(stop - next)) return UNUSUAL;
            *at = next;
            return next + (int64_t)size;
        }
    }
    return UNUSUAL;
}

#endif
