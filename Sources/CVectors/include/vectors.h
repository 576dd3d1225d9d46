// Loops over rows of numbers with instructions that only some processors have: which are there is looked up once. Every
// processor gives the same bits, for what is summed is summed in an order that does not depend on how many numbers an
// instruction takes.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Lists the values that are at least `least` (at most, where `smallest` is not 0), in their order: their positions, counted
// from `first`, and themselves. Both lists need room for `count` and 16 more.
// Returns how many there are.
size_t cv_beyond(
    const float *_Nonnull values, size_t count, float least, int smallest, int32_t first, int32_t *_Nonnull positions,
    float *_Nonnull found);

// The same of values that are at least `least` and below `above`; of those that are at least `above`, sets a bit each:
// bits[i / 32] has that of values[i]. Writes whole words: (count + 31) / 32 of them.
size_t cv_split(
    const float *_Nonnull values, size_t count, float least, float above, int32_t first, uint32_t *_Nonnull bits,
    int32_t *_Nonnull positions, float *_Nonnull found);

// Counts values into bins that are 1/scale wide from `base` on. The first bin also gets what lies below it, the last what lies
// above. bins is at least 1; counts, of so many, are overwritten.
void cv_histogram(
    const float *_Nonnull values, size_t count, float base, float scale, size_t bins, uint32_t *_Nonnull counts);

// sum[c] += weights[0] * rows[0][c] + weights[1] * rows[1][c] + ..., from left to right, multiplied and added at once.
// dimension is any number; a multiple of 16 is fast.
void cv_add_weighted(
    const float *_Nonnull const *_Nullable rows, const float *_Nonnull weights, size_t count, size_t dimension,
    float *_Nonnull sum);

// Rows that `cv_products` takes at a time.
#define CV_PRODUCT_ROWS 32

// result[a * stride + k] = the product of anchors[a] and rows[k]: one sum, in the order of the columns, each product multiplied
// and added at once.
//
// anchors: [count, dimension]. work: room for CV_PRODUCT_ROWS * dimension numbers.
// stride is at least rowCount rounded up to CV_PRODUCT_ROWS: so many columns are written, those beyond rowCount with 0.
void cv_products(
    const float *_Nonnull anchors, size_t count, const float *_Nonnull const *_Nullable rows, size_t rowCount,
    size_t dimension, float *_Nonnull work, float *_Nonnull result, size_t stride);

// result[k] = the product of anchor and rows[k], which lie anywhere in memory: sixteen sums, the i-th of the columns i, i + 16, ...,
// each product multiplied and added at once; then those in pairs. dimension is any number; a multiple of 16 is fast.
void cv_dots(
    const float *_Nonnull anchor, const float *_Nonnull const *_Nullable rows, size_t count, size_t dimension,
    float *_Nonnull result);

// result[k] = the product of first[k] and second[k], like `cv_dots`.
void cv_pair_dots(
    const float *_Nonnull const *_Nullable first, const float *_Nonnull const *_Nullable second, size_t count,
    size_t dimension, float *_Nonnull result);

// The largest of values; -infinity of none.
float cv_largest(const float *_Nonnull values, size_t count);

// The least of values; infinity of none.
float cv_least(const float *_Nonnull values, size_t count);

// The sum of values in double: eight sums, the i-th of the values i, i + 8, ..., then those in pairs.
double cv_sum(const float *_Nonnull values, size_t count);

// weights[k] = exp((values[k] - top) * inverse), where that exponent is at most 0. Returns their sum, summed like `cv_sum`.
double cv_exponentials(
    const float *_Nonnull values, size_t count, float top, double inverse, float *_Nonnull weights);

// With m = normaliser - values[k] * inverse: weights[k] = sigmoid(m) * scale, *slopes = the sum of sigmoid(m).
// Returns the sum of log(1 + exp(m)).
double cv_logistic(
    const float *_Nonnull values, size_t count, double normaliser, double inverse, double scale,
    float *_Nonnull weights, double *_Nonnull slopes);

// Uses the instructions of a level at most, for tests: 0 those that every processor has, 1 also AVX2 and FMA, 2 also AVX-512.
// Returns the level that is in use.
int cv_limit_level(int level);
