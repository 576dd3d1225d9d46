#include "vectors.h"

#include "level.h"

// Products of rows that are not worth turning, as no other anchor needs them: each is sixteen sums side by side, then those in
// pairs, so that every processor gives the same bits. Four products at once, so that none waits for its own last addition.

enum { together = 4, ahead = 8 };

typedef float Four __attribute__((vector_size(16)));
typedef float Eight __attribute__((vector_size(32)));
typedef float Sixteen __attribute__((vector_size(64)));

INLINE float in_pairs(const Sixteen *sums)
{
    const Eight eight = __builtin_shufflevector(*sums, *sums, 0, 1, 2, 3, 4, 5, 6, 7) +
                        __builtin_shufflevector(*sums, *sums, 8, 9, 10, 11, 12, 13, 14, 15);
    const Four four = __builtin_shufflevector(eight, eight, 0, 1, 2, 3) + __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
    return (four[0] + four[2]) + (four[1] + four[3]);
}

// n is a constant wherever this is compiled. What is `fetched` comes from anywhere in memory and is needed soon.
INLINE void dots(
    const int n, const float *const *first, const float *const *second, const float *const *fetched, const int fetches,
    size_t dimension, float *result)
{
    Sixteen sums[together];
    for (int i = 0; i < n; i++) sums[i] = (Sixteen){0};
    size_t column = 0;
    for (; column + 16 <= dimension; column += 16) {
        for (int i = 0; i < fetches; i++) __builtin_prefetch(fetched[i] + column);
        for (int i = 0; i < n; i++) {
            Sixteen a, b;
            __builtin_memcpy(&a, first[i] + column, sizeof a);
            __builtin_memcpy(&b, second[i] + column, sizeof b);
            sums[i] = __builtin_elementwise_fma(a, b, sums[i]);
        }
    }
    for (int i = 0; i < n; i++) {
        for (size_t c = column; c < dimension; c++) {
            sums[i][c - column] = __builtin_fmaf(first[i][c], second[i][c], sums[i][c - column]);
        }
        result[i] = in_pairs(&sums[i]);
    }
}

// The row that is needed so many after the k-th, or the last one.
#define LATER(rows, k) rows[(k) + ahead < count ? (k) + ahead : count - 1]

INLINE void dots_body(
    const float *anchor, const float *const *rows, size_t count, size_t dimension, float *result)
{
    const float *const anchors[together] = {anchor, anchor, anchor, anchor};
    size_t k = 0;
    for (; k + together <= count; k += together) {
        const float *fetched[together];
        for (int i = 0; i < together; i++) fetched[i] = LATER(rows, k + i);
        dots(together, anchors, rows + k, fetched, together, dimension, result + k);
    }
    for (; k < count; k++) dots(1, anchors, rows + k, rows, 0, dimension, result + k);
}

INLINE void pair_dots_body(
    const float *const *first, const float *const *second, size_t count, size_t dimension, float *result)
{
    size_t k = 0;
    for (; k + together <= count; k += together) {
        const float *fetched[2 * together];
        for (int i = 0; i < together; i++) {
            fetched[i] = LATER(first, k + i);
            fetched[together + i] = LATER(second, k + i);
        }
        dots(together, first + k, second + k, fetched, 2 * together, dimension, result + k);
    }
    for (; k < count; k++) dots(1, first + k, second + k, first, 0, dimension, result + k);
}

EVERYWHERE(
    void, dots, (const float *anchor, const float *const *rows, size_t count, size_t dimension, float *result),
    (anchor, rows, count, dimension, result))

EVERYWHERE(
    void, pair_dots,
    (const float *const *first, const float *const *second, size_t count, size_t dimension, float *result),
    (first, second, count, dimension, result))
