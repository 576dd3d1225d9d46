#include "CPixels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// One copy for each generation of vector instructions; the loader of the program picks one for its processor.
#if defined(__x86_64__)
#define EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define EACH_PROCESSOR
#endif

static inline int32_t grey(int32_t r, int32_t g, int32_t b) { return (19595 * r + 38470 * g + 7471 * b + 32768) >> 16; }

static inline int32_t clamp(int32_t value) {
    value = value < 0 ? 0 : value;
    return value > 255 ? 255 : value;
}

static inline int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t most(int32_t a, int32_t b) { return a > b ? a : b; }

static void across(const uint8_t *row, const px_tap *taps, int from, int count, int32_t *red, int32_t *green,
                   int32_t *blue) {
    for (int x = from; x < count; x++) {
        const uint8_t *a = row + taps[x].low, *b = row + taps[x].high;
        int32_t second = taps[x].weight, first = 2048 - second;
        red[x] = a[0] * first + b[0] * second;
        green[x] = a[1] * first + b[1] * second;
        blue[x] = a[2] * first + b[2] * second;
    }
}

#if defined(__x86_64__)
// One pixel: two numbers of 16 bits beside their weights are one multiplication. Reads four bytes where a pixel has three.
__attribute__((target("avx2"), always_inline)) static inline __m128i between(const uint8_t *row, px_tap tap) {
    int32_t low, high;
    __builtin_memcpy(&low, row + tap.low, sizeof low);
    __builtin_memcpy(&high, row + tap.high, sizeof high);
    const __m128i both = _mm_unpacklo_epi8(_mm_cvtsi32_si128(low), _mm_cvtsi32_si128(high));
    return _mm_madd_epi16(_mm_cvtepu8_epi16(both), _mm_set1_epi32((2048 - tap.weight) | tap.weight << 16));
}

__attribute__((target("avx2"))) static int across_avx2(const uint8_t *row, const px_tap *taps, int count, int32_t *red,
                                                       int32_t *green, int32_t *blue) {
    // The row's last pixel is not for this loop. Taps ascend, or descend where images are flipped.
    const int32_t last = count > 0 ? most(taps[0].high, taps[count - 1].high) : 0;
    int x = 0;
    for (; x + 4 <= count; x += 4) {
        if (most(taps[x].high, taps[x + 3].high) >= last) {
            across(row, taps, x, x + 4, red, green, blue);
            continue;
        }
        const __m128i a = between(row, taps[x]), b = between(row, taps[x + 1]);
        const __m128i c = between(row, taps[x + 2]), d = between(row, taps[x + 3]);
        const __m128i ab = _mm_unpacklo_epi32(a, b), cd = _mm_unpacklo_epi32(c, d);
        _mm_storeu_si128((__m128i *)(red + x), _mm_unpacklo_epi64(ab, cd));
        _mm_storeu_si128((__m128i *)(green + x), _mm_unpackhi_epi64(ab, cd));
        _mm_storeu_si128((__m128i *)(blue + x),
                         _mm_unpacklo_epi64(_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d)));
    }
    return x;
}
#endif

void px_across(const uint8_t *restrict row, const px_tap *restrict taps, int count, int32_t *restrict red,
               int32_t *restrict green, int32_t *restrict blue) {
    int done = 0;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) done = across_avx2(row, taps, count, red, green, blue);
#endif
    across(row, taps, done, count, red, green, blue);
}

EACH_PROCESSOR
void px_down(const int32_t *restrict upper, const int32_t *restrict lower, int32_t weight, uint8_t *restrict plane,
             int count) {
    for (int i = 0; i < count; i++) {
        plane[i] = (uint8_t)((upper[i] * (2048 - weight) + lower[i] * weight + (1 << 21)) >> 22);
    }
}

EACH_PROCESSOR
uint64_t px_grey_sum(const uint8_t *restrict red, const uint8_t *restrict green, const uint8_t *restrict blue,
                     int count) {
    uint64_t sum = 0;
    // 2^16 greys fit into 32 bits.
    for (int start = 0; start < count; start += 1 << 16) {
        int end = least(count, start + (1 << 16));
        uint32_t part = 0;
        for (int i = start; i < end; i++) part += (uint32_t)grey(red[i], green[i], blue[i]);
        sum += part;
    }
    return sum;
}

EACH_PROCESSOR
void px_scale(uint8_t *restrict plane, int count, int32_t factor, int32_t offset) {
    for (int i = 0; i < count; i++) plane[i] = (uint8_t)clamp((plane[i] * factor + offset) >> 16);
}

EACH_PROCESSOR
void px_saturate(uint8_t *restrict red, uint8_t *restrict green, uint8_t *restrict blue, int count, int32_t factor) {
    for (int i = 0; i < count; i++) {
        int32_t r = red[i], g = green[i], b = blue[i];
        int32_t base = (65536 - factor) * grey(r, g, b) + 32768;
        red[i] = (uint8_t)clamp((r * factor + base) >> 16);
        green[i] = (uint8_t)clamp((g * factor + base) >> 16);
        blue[i] = (uint8_t)clamp((b * factor + base) >> 16);
    }
}

// Smith's HSV hexcone in closed form: V - delta * clamp(min(k, 4 - k), 0, 1), k = (n + hue) mod 6.
static inline uint8_t channel(int32_t n, int32_t hue, int32_t top, int32_t delta) {
    int32_t k = n + hue;
    k = k >= 6 << 16 ? k - (6 << 16) : k;
    int32_t part = most(0, least(least(k, (4 << 16) - k), 1 << 16));
    return (uint8_t)(top - ((delta * part + 32768) >> 16));
}

EACH_PROCESSOR
void px_shift_hue(uint8_t *restrict red, uint8_t *restrict green, uint8_t *restrict blue, int count, int32_t shift,
                  const uint32_t *restrict reciprocals) {
    const int32_t circle = 6 << 16;
    for (int i = 0; i < count; i++) {
        int32_t r = red[i], g = green[i], b = blue[i];
        int32_t top = most(r, most(g, b)), delta = top - least(r, least(g, b));
        // Hue in sixths, 16 fractional bits: red at 0, green at 2, blue at 4.
        int32_t centre = top == r ? 0 : top == g ? 2 << 16 : 4 << 16;
        int32_t difference = top == r ? g - b : top == g ? b - r : r - g;
        uint32_t size = (uint32_t)(difference < 0 ? -difference : difference);
        int32_t offset = (int32_t)((size * reciprocals[delta] + 128) >> 8);
        int32_t turned = centre + (difference < 0 ? -offset : offset) + shift;
        turned = turned < 0 ? turned + circle : turned;
        turned = turned >= circle ? turned - circle : turned;
        // A grey has no hue: delta is 0, and all three become `top`, which they are.
        red[i] = channel(5 << 16, turned, top, delta);
        green[i] = channel(3 << 16, turned, top, delta);
        blue[i] = channel(1 << 16, turned, top, delta);
    }
}

EACH_PROCESSOR
void px_interleave(const uint8_t *restrict red, const uint8_t *restrict green, const uint8_t *restrict blue, int count,
                   uint8_t *restrict rgb) {
    for (int i = 0; i < count; i++) {
        rgb[3 * i] = red[i];
        rgb[3 * i + 1] = green[i];
        rgb[3 * i + 2] = blue[i];
    }
}
