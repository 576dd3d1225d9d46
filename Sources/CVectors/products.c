#include "vectors.h"

#include "level.h"

// Rows are turned, 32 at a time, so that numbers of one column lie side by side and each goes into a sum of its own: sums of
// products are then never taken apart, and their order is that of the columns however wide the registers are. A group of
// anchors passes over such a block while its sums stay in registers.

enum { block = CV_PRODUCT_ROWS };

typedef float Eight __attribute__((vector_size(32)));

// Eight vectors of eight, rows to columns.
INLINE void transpose_8(Eight r[8])
{
    Eight t[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        t[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = __builtin_shufflevector(t[i], t[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        r[i + 1] = __builtin_shufflevector(t[i], t[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        r[i + 2] = __builtin_shufflevector(t[i + 1], t[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
        r[i + 3] = __builtin_shufflevector(t[i + 1], t[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = __builtin_shufflevector(r[i], r[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        t[i + 4] = __builtin_shufflevector(r[i], r[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
    for (int i = 0; i < 8; i++) r[i] = t[i];
}

// turned[column][row] of up to 32 rows; missing rows become zeros.
INLINE void turn_8(
    const float *const *rows, size_t count, size_t dimension, float *turned)
{
    for (size_t first = 0; first < block; first += 8) {
        size_t column = 0;
        for (; column + 8 <= dimension; column += 8) {
            Eight r[8];
            for (size_t i = 0; i < 8; i++) {
                if (first + i < count) {
                    __builtin_memcpy(&r[i], rows[first + i] + column, sizeof r[i]);
                } else {
                    r[i] = (Eight){0};
                }
            }
            transpose_8(r);
            for (size_t i = 0; i < 8; i++) __builtin_memcpy(turned + (column + i) * block + first, &r[i], sizeof r[i]);
        }
        for (; column < dimension; column++) {
            for (size_t i = 0; i < 8; i++) {
                turned[column * block + first + i] = first + i < count ? rows[first + i][column] : 0;
            }
        }
    }
}

// n anchors with 16 of the block's rows. n is a constant wherever this is compiled.
INLINE void multiply_8(
    const int n, const float *anchors, size_t dimension, const float *turned, float *result, size_t stride)
{
    Eight sums[4][2];
    for (int a = 0; a < n; a++) sums[a][0] = sums[a][1] = (Eight){0};
    for (size_t column = 0; column < dimension; column++) {
        Eight low, high;
        __builtin_memcpy(&low, turned + column * block, sizeof low);
        __builtin_memcpy(&high, turned + column * block + 8, sizeof high);
        for (int a = 0; a < n; a++) {
            const float x = anchors[(size_t)a * dimension + column];
            const Eight anchor = {x, x, x, x, x, x, x, x};
            sums[a][0] = __builtin_elementwise_fma(anchor, low, sums[a][0]);
            sums[a][1] = __builtin_elementwise_fma(anchor, high, sums[a][1]);
        }
    }
    for (int a = 0; a < n; a++) __builtin_memcpy(result + (size_t)a * stride, sums[a], sizeof sums[a]);
}

INLINE void products_8(
    const float *anchors, size_t count, const float *const *rows, size_t rowCount, size_t dimension, float *work,
    float *result, size_t stride)
{
    for (size_t row = 0; row < rowCount; row += block) {
        turn_8(rows + row, rowCount - row, dimension, work);
        for (size_t half = 0; half < block; half += 16) {
            const float *turned = work + half;
            float *place = result + row + half;
            size_t a = 0;
            for (; a + 4 <= count; a += 4) {
                multiply_8(4, anchors + a * dimension, dimension, turned, place + a * stride, stride);
            }
            for (; a < count; a++) {
                multiply_8(1, anchors + a * dimension, dimension, turned, place + a * stride, stride);
            }
        }
    }
}

#ifdef __x86_64__
#include <immintrin.h>

__attribute__((target("avx2,fma"))) static void products_avx2(
    const float *anchors, size_t count, const float *const *rows, size_t rowCount, size_t dimension, float *work,
    float *result, size_t stride)
{
    products_8(anchors, count, rows, rowCount, dimension, work, result, stride);
}

#define AVX512 __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw")))

// Four columns of row, of those that mask names, into every quarter whose lanes `quarters` names.
#define QUARTER(vector, quarters, row) _mm512_mask_broadcast_f32x4(vector, quarters, _mm_loadu_ps(row))

// Four columns of sixteen rows: quarters are put together on the way from memory, and turned by themselves.
AVX512 INLINE void turn_4x16(const float *const *rows, size_t column, float *turned)
{
    __m512 r[4];
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_broadcast_f32x4(_mm_loadu_ps(rows[i] + column));
        r[i] = QUARTER(r[i], 0x00f0, rows[i + 4] + column);
        r[i] = QUARTER(r[i], 0x0f00, rows[i + 8] + column);
        r[i] = QUARTER(r[i], 0xf000, rows[i + 12] + column);
    }
    const __m512 a = _mm512_unpacklo_ps(r[0], r[1]), b = _mm512_unpackhi_ps(r[0], r[1]);
    const __m512 c = _mm512_unpacklo_ps(r[2], r[3]), d = _mm512_unpackhi_ps(r[2], r[3]);
    float *place = turned + column * block;
    _mm512_storeu_ps(place, _mm512_shuffle_ps(a, c, 0x44));
    _mm512_storeu_ps(place + block, _mm512_shuffle_ps(a, c, 0xee));
    _mm512_storeu_ps(place + 2 * block, _mm512_shuffle_ps(b, d, 0x44));
    _mm512_storeu_ps(place + 3 * block, _mm512_shuffle_ps(b, d, 0xee));
}

AVX512 INLINE void turn_16(
    const float *const *rows, size_t count, size_t dimension, float *turned)
{
    for (size_t first = 0; first < block; first += 16) {
        size_t column = 0;
        if (first + 16 <= count) {
            for (; column + 4 <= dimension; column += 4) turn_4x16(rows + first, column, turned + first);
        }
        for (; column < dimension; column++) {
            for (size_t i = first; i < first + 16; i++) turned[column * block + i] = i < count ? rows[i][column] : 0;
        }
    }
}

// A loop whose every turn has registers of its own: what a compiler leaves a loop, for its length, goes through memory.
#define UNROLL _Pragma("clang loop unroll(full)")

// n anchors with the block's rows, while the rows that come next are fetched from memory: too many short ones for the
// processor to see them coming. n is a constant wherever this is compiled, so all sums stay in registers.
AVX512 INLINE void multiply_16(
    const int n, const float *anchors, size_t dimension, const float *turned, const float *const *next,
    size_t nextCount, float *result, size_t stride)
{
    __m512 low[12], high[12];
    UNROLL for (int a = 0; a < n; a++) low[a] = high[a] = _mm512_setzero_ps();
    for (size_t from = 0; from < dimension; from += 16) {
        for (size_t i = 0; i < nextCount; i++) _mm_prefetch((const char *)(next[i] + from), _MM_HINT_T1);
        const size_t end = from + 16 < dimension ? from + 16 : dimension;
        for (size_t column = from; column < end; column++) {
            const __m512 first = _mm512_loadu_ps(turned + column * block);
            const __m512 second = _mm512_loadu_ps(turned + column * block + 16);
            UNROLL for (int a = 0; a < n; a++) {
                const __m512 anchor = _mm512_set1_ps(anchors[(size_t)a * dimension + column]);
                low[a] = _mm512_fmadd_ps(anchor, first, low[a]);
                high[a] = _mm512_fmadd_ps(anchor, second, high[a]);
            }
        }
    }
    UNROLL for (int a = 0; a < n; a++) {
        _mm512_storeu_ps(result + (size_t)a * stride, low[a]);
        _mm512_storeu_ps(result + (size_t)a * stride + 16, high[a]);
    }
}

#define CASE(n)                                                                                              \
    case n:                                                                                                  \
        multiply_16(n, anchors + from * dimension, dimension, work, next, nextCount, place, stride);         \
        break;

AVX512 static void products_avx512(
    const float *anchors, size_t count, const float *const *rows, size_t rowCount, size_t dimension, float *work,
    float *result, size_t stride)
{
    // Groups of at most twelve anchors that differ by one at most: a group of two would wait for its own sums.
    const size_t groups = (count + 11) / 12;
    for (size_t row = 0; row < rowCount; row += block) {
        turn_16(rows + row, rowCount - row, dimension, work);
        const size_t left = rowCount - row > block ? rowCount - row - block : 0;
        const size_t ahead = left < block ? left : block;
        for (size_t group = 0; group < groups; group++) {
            const size_t from = count * group / groups, anchorCount = count * (group + 1) / groups - from;
            const size_t share = ahead * group / groups, nextCount = ahead * (group + 1) / groups - share;
            const float *const *next = rows + row + block + share;
            float *place = result + from * stride + row;
            switch (anchorCount) {
                CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
            }
        }
    }
}
#endif

void cv_products(
    const float *anchors, size_t count, const float *const *rows, size_t rowCount, size_t dimension, float *work,
    float *result, size_t stride)
{
#ifdef __x86_64__
    if (cv_level() == 2)
        return products_avx512(anchors, count, rows, rowCount, dimension, work, result, stride);
    if (cv_level() == 1)
        return products_avx2(anchors, count, rows, rowCount, dimension, work, result, stride);
#endif
    products_8(anchors, count, rows, rowCount, dimension, work, result, stride);
}
