// Loops over rows of pixels that a compiler turns into vector instructions, also those that only some processors have.
// Integers throughout: every processor gives the same bytes.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Two neighbours of a resized pixel's centre, as byte offsets into a row of RGB pixels, and the weight of the second
// in units of 1 / 2048.
typedef struct {
    int32_t low, high;
    int32_t weight;
} px_tap;

// Interpolates a row of RGB pixels across, into planes of `count` numbers each, scaled by 2048.
void px_across(const uint8_t *row, const px_tap *taps, int count, int32_t *red, int32_t *green, int32_t *blue);

// Interpolates between two such rows (`weight` of the second, in 1 / 2048) into planes of bytes.
void px_down(const int32_t *upper, const int32_t *lower, int32_t weight, uint8_t *plane, int count);

// Sum of the greys (ITU-R 601, as Pillow rounds it) of a row in planes.
uint64_t px_grey_sum(const uint8_t *red, const uint8_t *green, const uint8_t *blue, int count);

// plane[i] = clamp((plane[i] * factor + offset) >> 16)
void px_scale(uint8_t *plane, int count, int32_t factor, int32_t offset);

// Moves each pixel from its grey by a factor, in units of 1 / 65536.
void px_saturate(uint8_t *red, uint8_t *green, uint8_t *blue, int count, int32_t factor);

// Turns the hue by `shift`, in units of 1 / 65536 of a sixth of the circle, in 0 ..< 6 << 16. `reciprocals[d]` is 2^24 / d.
void px_shift_hue(uint8_t *red, uint8_t *green, uint8_t *blue, int count, int32_t shift, const uint32_t *reciprocals);

// Planes to RGB pixels.
void px_interleave(const uint8_t *red, const uint8_t *green, const uint8_t *blue, int count, uint8_t *rgb);
