// Loops over rows of numbers with instructions that only some processors have: which are there is looked up once. Every
// processor gives the same bits, for products are added by fused operations in the order of their rows.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Lists the values that are at least `least` (at most, where `smallest` is not 0), in their order: their positions and
// themselves. Both lists need room for `count` and 16 more.
// Returns how many there are.
size_t cv_beyond(
    const float *_Nonnull values, size_t count, float least, int smallest, int32_t *_Nonnull positions,
    float *_Nonnull found);

// sum[c] += weights[0] * rows[positions[0]][c] + weights[1] * rows[positions[1]][c] + ..., from left to right.
// dimension is any number; a multiple of 16 is fast.
void cv_add_weighted(
    const float *_Nonnull const *_Nullable rows, const int32_t *_Nonnull positions, const float *_Nonnull weights,
    size_t count, size_t dimension, float *_Nonnull sum);
