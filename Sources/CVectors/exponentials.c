#include "vectors.h"

#include "level.h"

#include <math.h>

#pragma clang fp contract(off)

// Eight numbers at a time, in whatever registers there are: each is computed by itself, products and sums apart, so that
// every processor gives the same bits.
typedef double Eight __attribute__((vector_size(64)));
typedef int64_t EightBits __attribute__((vector_size(64)));

// exp(x) for x <= 0, to a few units of the last place; 0 below -708. Cody and Waite's reduction, x = n log 2 + r with
// |r| <= log(2)/2, then the series of exp(r), whose twelfth term is below 1e-14.
INLINE void exponential(Eight *x)
{
    const double shift = 0x1.8p52;  // what is added to it is rounded to a whole number, in its last bits
    const EightBits defined = *x >= -708.0;
    const Eight bounded = (Eight)((EightBits)*x & defined);
    const Eight shifted = bounded * 0x1.71547652b82fep+0 + shift;
    const Eight n = shifted - shift;
    const Eight r = (bounded - n * 0x1.62e42fee00000p-1) - n * 0x1.a39ef35793c76p-33;
    Eight p = r * (1.0 / 479001600) + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    const Eight power = (Eight)(((EightBits)shifted + 1023) << 52);
    *x = (Eight)((EightBits)(p * power) & defined);
}

INLINE double in_pairs(const Eight *sums)
{
    return (((*sums)[0] + (*sums)[4]) + ((*sums)[2] + (*sums)[6])) +
           (((*sums)[1] + (*sums)[5]) + ((*sums)[3] + (*sums)[7]));
}

// Up to eight numbers from `values` on; beyond them `missing`.
INLINE void take(const float *values, size_t left, double missing, Eight *result)
{
    for (size_t i = 0; i < 8; i++) (*result)[i] = i < left ? (double)values[i] : missing;
}

INLINE void put(const Eight *numbers, float *values, size_t left)
{
    for (size_t i = 0; i < 8; i++) {
        if (i < left) values[i] = (float)(*numbers)[i];
    }
}

INLINE double sum_body(const float *values, size_t count)
{
    Eight sums = {0}, value;
    size_t k = 0;
    for (; k + 8 <= count; k += 8) {
        take(values + k, 8, 0, &value);
        sums += value;
    }
    take(values + k, count - k, 0, &value);
    sums += value;
    return in_pairs(&sums);
}

INLINE void exponentials_of(const float *values, size_t left, float top, double inverse, float *weights, Eight *sums)
{
    Eight x;
    take(values, left, -INFINITY, &x);
    x = (x - (double)top) * inverse;
    exponential(&x);
    *sums += x;
    put(&x, weights, left);
}

INLINE double exponentials_body(const float *values, size_t count, float top, double inverse, float *weights)
{
    Eight sums = {0};
    size_t k = 0;
    for (; k + 8 <= count; k += 8) exponentials_of(values + k, 8, top, inverse, weights + k, &sums);
    if (k < count) exponentials_of(values + k, count - k, top, inverse, weights + k, &sums);
    return in_pairs(&sums);
}

// log(1 + exp(m)) = max(m, 0) + log(1 + exp(-|m|)); the logarithms' arguments are collected as a product.
INLINE void logistic_of(
    const float *values, size_t left, double normaliser, double inverse, double scale, float *weights, Eight *heights,
    Eight *product, Eight *slopes)
{
    Eight m;
    take(values, left, INFINITY, &m);
    m = normaliser - m * inverse;
    const EightBits positive = m > 0.0;
    *heights += (Eight)((EightBits)m & positive);
    Eight e = (Eight)((EightBits)m | INT64_MIN);
    exponential(&e);
    const Eight one = {1, 1, 1, 1, 1, 1, 1, 1};
    const Eight upper = (Eight)(((EightBits)one & positive) | ((EightBits)e & ~positive));
    const Eight sigmoid = upper / (1.0 + e);
    *product *= 1.0 + e;
    *slopes += sigmoid;
    const Eight weight = sigmoid * scale;
    put(&weight, weights, left);
}

INLINE double logistic_body(
    const float *values, size_t count, double normaliser, double inverse, double scale, float *weights, double *slopes)
{
    // A factor is at most 2, so that many of them stay below 2^1024.
    enum { factors = 1000 };
    Eight heights = {0}, total = {0};
    double logarithms = 0;
    size_t k = 0;
    while (k < count) {
        Eight product = {1, 1, 1, 1, 1, 1, 1, 1};
        const size_t end = count - k > 8 * factors ? k + 8 * factors : count;
        for (; k + 8 <= end; k += 8) {
            logistic_of(values + k, 8, normaliser, inverse, scale, weights + k, &heights, &product, &total);
        }
        if (k < end) {
            logistic_of(values + k, end - k, normaliser, inverse, scale, weights + k, &heights, &product, &total);
            k = end;
        }
        for (int i = 0; i < 8; i++) logarithms += log(product[i]);
    }
    *slopes = in_pairs(&total);
    return in_pairs(&heights) + logarithms;
}

// The largest of sign * values, times sign, which is 1 or -1.
INLINE float extreme(const float *values, size_t count, float sign)
{
    float lanes[16];
    for (int i = 0; i < 16; i++) lanes[i] = -INFINITY;
    size_t k = 0;
    for (; k + 16 <= count; k += 16) {
        for (int i = 0; i < 16; i++) {
            const float value = sign * values[k + (size_t)i];
            lanes[i] = value > lanes[i] ? value : lanes[i];
        }
    }
    for (; k < count; k++) lanes[0] = sign * values[k] > lanes[0] ? sign * values[k] : lanes[0];
    for (int i = 1; i < 16; i++) lanes[0] = lanes[i] > lanes[0] ? lanes[i] : lanes[0];
    return sign * lanes[0];
}

INLINE float largest_body(const float *values, size_t count) { return extreme(values, count, 1); }

INLINE float least_body(const float *values, size_t count) { return extreme(values, count, -1); }

EVERYWHERE(double, sum, (const float *values, size_t count), (values, count))
EVERYWHERE(float, largest, (const float *values, size_t count), (values, count))
EVERYWHERE(float, least, (const float *values, size_t count), (values, count))
EVERYWHERE(
    double, exponentials, (const float *values, size_t count, float top, double inverse, float *weights),
    (values, count, top, inverse, weights))
EVERYWHERE(
    double, logistic,
    (const float *values, size_t count, double normaliser, double inverse, double scale, float *weights,
     double *slopes),
    (values, count, normaliser, inverse, scale, weights, slopes))
