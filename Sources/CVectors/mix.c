#include "vectors.h"

#include "level.h"

#pragma clang fp contract(off)

// Compiled for each set of instructions: products and sums apart and sixteen sums side by side, so all give the same bits.
__attribute__((always_inline)) static inline float mix_body(
    const float *first, const float *second, float weight, size_t dimension, float *row)
{
    const float rest = 1 - weight;
    for (size_t c = 0; c < dimension; c++) row[c] = weight * first[c] + rest * second[c];
    float sums[16] = {0};
    size_t c = 0;
    for (; c + 16 <= dimension; c += 16) {
        for (size_t i = 0; i < 16; i++) sums[i] += row[c + i] * row[c + i];
    }
    for (; c < dimension; c++) sums[c % 16] += row[c] * row[c];
    for (int half = 8; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) sums[i] += sums[i + half];
    }
    if (sums[0] > 1e-12f) {
        const float factor = 1 / __builtin_sqrtf(sums[0]);
        for (c = 0; c < dimension; c++) row[c] *= factor;
    }
    return sums[0];
}

#ifdef __x86_64__
__attribute__((target("avx512f,avx512dq,avx512vl"))) static float mix_avx512(
    const float *first, const float *second, float weight, size_t dimension, float *row)
{
    return mix_body(first, second, weight, dimension, row);
}

__attribute__((target("avx2"))) static float mix_avx2(
    const float *first, const float *second, float weight, size_t dimension, float *row)
{
    return mix_body(first, second, weight, dimension, row);
}
#endif

float cv_mix(const float *first, const float *second, float weight, size_t dimension, float *row)
{
#ifdef __x86_64__
    if (cv_level() == 2)
        return mix_avx512(first, second, weight, dimension, row);
    if (cv_level() == 1) return mix_avx2(first, second, weight, dimension, row);
#endif
    return mix_body(first, second, weight, dimension, row);
}
