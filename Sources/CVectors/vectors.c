#include "vectors.h"

#include "level.h"

#include <string.h>

static size_t beyond_plain(
    const float *values, size_t from, size_t count, float least, int smallest, int32_t first, int32_t *positions,
    float *found, size_t kept)
{
    // Written at every step, kept where it belongs: without a branch to mispredict.
    for (size_t i = from; i < count; i++) {
        positions[kept] = first + (int32_t)i;
        found[kept] = values[i];
        kept += smallest ? values[i] <= least : values[i] >= least;
    }
    return kept;
}

static size_t split_plain(
    const float *values, size_t from, size_t count, float least, float above, int32_t first, uint32_t *bits,
    int32_t *positions, float *found, size_t kept)
{
    for (size_t word = from; word < count; word += 32) {
        const size_t end = count - word < 32 ? count : word + 32;
        uint32_t set = 0;
        for (size_t i = word; i < end; i++) {
            set |= (uint32_t)(values[i] >= above) << (i - word);
            positions[kept] = first + (int32_t)i;
            found[kept] = values[i];
            kept += values[i] >= least && !(values[i] >= above);
        }
        bits[word / 32] = set;
    }
    return kept;
}

static void add_weighted_plain(
    const float *const *rows, const float *weights, size_t count, size_t from, size_t dimension, float *sum)
{
    for (size_t k = 0; k < count; k++) {
        const float *row = rows[k];
        for (size_t c = from; c < dimension; c++) sum[c] = __builtin_fmaf(weights[k], row[c], sum[c]);
    }
}

#ifdef __x86_64__
#include <immintrin.h>

__attribute__((target("avx512f,avx512vl,popcnt"))) static size_t beyond_avx512(
    const float *values, size_t count, float least, int smallest, int32_t first, int32_t *positions, float *found)
{
    const __m512 limit = _mm512_set1_ps(least);
    const __m512i step = _mm512_set1_epi32(16);
    __m512i position = _mm512_add_epi32(
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), _mm512_set1_epi32(first));
    size_t kept = 0, i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m512 value = _mm512_loadu_ps(values + i);
        const __mmask16 mask = smallest ? _mm512_cmp_ps_mask(value, limit, _CMP_LE_OQ)
                                        : _mm512_cmp_ps_mask(value, limit, _CMP_GE_OQ);
        // Whole vectors are stored, as compressing on the way to memory is slow on some processors.
        _mm512_storeu_si512(positions + kept, _mm512_maskz_compress_epi32(mask, position));
        _mm512_storeu_ps(found + kept, _mm512_maskz_compress_ps(mask, value));
        kept += (size_t)_mm_popcnt_u32(mask);
        position = _mm512_add_epi32(position, step);
    }
    return beyond_plain(values, i, count, least, smallest, first, positions, found, kept);
}

__attribute__((target("avx512f,avx512vl,popcnt"))) static size_t split_avx512(
    const float *values, size_t count, float least, float above, int32_t first, uint32_t *bits, int32_t *positions,
    float *found)
{
    const __m512 limit = _mm512_set1_ps(least), upper = _mm512_set1_ps(above);
    const __m512i step = _mm512_set1_epi32(16);
    __m512i position = _mm512_add_epi32(
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), _mm512_set1_epi32(first));
    size_t kept = 0, i = 0;
    for (; i + 32 <= count; i += 32) {
        uint32_t set = 0;
        for (size_t half = 0; half < 32; half += 16) {
            const __m512 value = _mm512_loadu_ps(values + i + half);
            const __mmask16 high = _mm512_cmp_ps_mask(value, upper, _CMP_GE_OQ);
            const __mmask16 mask = _mm512_cmp_ps_mask(value, limit, _CMP_GE_OQ) & (__mmask16)~high;
            set |= (uint32_t)high << half;
            _mm512_storeu_si512(positions + kept, _mm512_maskz_compress_epi32(mask, position));
            _mm512_storeu_ps(found + kept, _mm512_maskz_compress_ps(mask, value));
            kept += (size_t)_mm_popcnt_u32(mask);
            position = _mm512_add_epi32(position, step);
        }
        bits[i / 32] = set;
    }
    return split_plain(values, i, count, least, above, first, bits, positions, found, kept);
}

__attribute__((target("avx2"))) static size_t split_avx2(
    const float *values, size_t count, float least, float above, int32_t first, uint32_t *bits, int32_t *positions,
    float *found)
{
    const __m256 limit = _mm256_set1_ps(least), upper = _mm256_set1_ps(above);
    size_t kept = 0, i = 0;
    for (; i + 32 <= count; i += 32) {
        uint32_t set = 0;
        for (size_t part = 0; part < 32; part += 8) {
            const __m256 value = _mm256_loadu_ps(values + i + part);
            const unsigned high = (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(value, upper, _CMP_GE_OQ));
            unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(value, limit, _CMP_GE_OQ)) & ~high;
            set |= high << part;
            for (; mask; mask &= mask - 1) {
                const size_t at = i + part + (size_t)__builtin_ctz(mask);
                positions[kept] = first + (int32_t)at;
                found[kept] = values[at];
                kept++;
            }
        }
        bits[i / 32] = set;
    }
    return split_plain(values, i, count, least, above, first, bits, positions, found, kept);
}

__attribute__((target("avx2"))) static size_t beyond_avx2(
    const float *values, size_t count, float least, int smallest, int32_t first, int32_t *positions, float *found)
{
    const __m256 limit = _mm256_set1_ps(least);
    size_t kept = 0, i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m256 value = _mm256_loadu_ps(values + i);
        const __m256 hit =
            smallest ? _mm256_cmp_ps(value, limit, _CMP_LE_OQ) : _mm256_cmp_ps(value, limit, _CMP_GE_OQ);
        for (unsigned mask = (unsigned)_mm256_movemask_ps(hit); mask; mask &= mask - 1) {
            const size_t at = i + (size_t)__builtin_ctz(mask);
            positions[kept] = first + (int32_t)at;
            found[kept] = values[at];
            kept++;
        }
    }
    return beyond_plain(values, i, count, least, smallest, first, positions, found, kept);
}

enum { ahead = 8 };

// 256 numbers of the sum stay in registers while all rows pass; what is left of a row goes 16 at a time.
__attribute__((target("avx512f"))) static void add_weighted_avx512(
    const float *const *rows, const float *weights, size_t count, size_t dimension, float *sum)
{
    size_t c = 0;
    for (; c + 256 <= dimension; c += 256) {
        __m512 total[16];
        for (int i = 0; i < 16; i++) total[i] = _mm512_loadu_ps(sum + c + 16 * i);
        for (size_t k = 0; k < count; k++) {
            const float *row = rows[k] + c;
            const __m512 weight = _mm512_set1_ps(weights[k]);
            // Rows lie anywhere, so the processor does not see the next ones coming.
            if (k + ahead < count) {
                for (int i = 0; i < 16; i++) _mm_prefetch((const char *)(rows[k + ahead] + c + 16 * i), _MM_HINT_T0);
            }
            for (int i = 0; i < 16; i++) total[i] = _mm512_fmadd_ps(weight, _mm512_loadu_ps(row + 16 * i), total[i]);
        }
        for (int i = 0; i < 16; i++) _mm512_storeu_ps(sum + c + 16 * i, total[i]);
    }
    for (; c + 16 <= dimension; c += 16) {
        __m512 total = _mm512_loadu_ps(sum + c);
        for (size_t k = 0; k < count; k++) {
            total = _mm512_fmadd_ps(_mm512_set1_ps(weights[k]), _mm512_loadu_ps(rows[k] + c), total);
        }
        _mm512_storeu_ps(sum + c, total);
    }
    add_weighted_plain(rows, weights, count, c, dimension, sum);
}

__attribute__((target("avx2,fma"))) static void add_weighted_avx2(
    const float *const *rows, const float *weights, size_t count, size_t dimension, float *sum)
{
    size_t c = 0;
    for (; c + 64 <= dimension; c += 64) {
        __m256 total[8];
        for (int i = 0; i < 8; i++) total[i] = _mm256_loadu_ps(sum + c + 8 * i);
        for (size_t k = 0; k < count; k++) {
            const float *row = rows[k] + c;
            const __m256 weight = _mm256_set1_ps(weights[k]);
            for (int i = 0; i < 8; i++) total[i] = _mm256_fmadd_ps(weight, _mm256_loadu_ps(row + 8 * i), total[i]);
        }
        for (int i = 0; i < 8; i++) _mm256_storeu_ps(sum + c + 8 * i, total[i]);
    }
    add_weighted_plain(rows, weights, count, c, dimension, sum);
}
#endif

size_t cv_beyond(
    const float *values, size_t count, float least, int smallest, int32_t first, int32_t *positions, float *found)
{
#ifdef __x86_64__
    if (cv_level() == 2)
        return beyond_avx512(values, count, least, smallest, first, positions, found);
    if (cv_level() == 1) return beyond_avx2(values, count, least, smallest, first, positions, found);
#endif
    return beyond_plain(values, 0, count, least, smallest, first, positions, found, 0);
}

size_t cv_split(
    const float *values, size_t count, float least, float above, int32_t first, uint32_t *bits, int32_t *positions,
    float *found)
{
#ifdef __x86_64__
    if (cv_level() == 2) return split_avx512(values, count, least, above, first, bits, positions, found);
    if (cv_level() == 1) return split_avx2(values, count, least, above, first, bits, positions, found);
#endif
    return split_plain(values, 0, count, least, above, first, bits, positions, found, 0);
}

void cv_histogram(const float *values, size_t count, float base, float scale, size_t bins, uint32_t *counts)
{
    memset(counts, 0, bins * sizeof *counts);
    const float last = (float)(bins - 1);
    for (size_t i = 0; i < count; i++) {
        float bin = (values[i] - base) * scale;
        bin = bin > 0 ? bin : 0;  // also where it is no number
        bin = bin < last ? bin : last;
        counts[(int32_t)bin]++;
    }
}

void cv_add_weighted(const float *const *rows, const float *weights, size_t count, size_t dimension, float *sum)
{
#ifdef __x86_64__
    if (cv_level() == 2) return add_weighted_avx512(rows, weights, count, dimension, sum);
    if (cv_level() == 1)
        return add_weighted_avx2(rows, weights, count, dimension, sum);
#endif
    add_weighted_plain(rows, weights, count, 0, dimension, sum);
}
