#include "vectors.h"

#include "level.h"

#pragma clang fp contract(off)

// Compiled for each set of instructions: products and sums apart and sixteen sums side by side, so all give the same bits.
INLINE float mix_body(
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

EVERYWHERE(
    float, mix, (const float *first, const float *second, float weight, size_t dimension, float *row),
    (first, second, weight, dimension, row))
