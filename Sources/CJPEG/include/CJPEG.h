// libjpeg-turbo's own interface, which can decode a part of an image; its TurboJPEG interface cannot (2.1).
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { CJ_MESSAGE = 256 };

// What a decoder is asked for. Rows and columns are those of the image as it is decoded, that is after the shrinking.
typedef struct {
    // 1, 2, 4 or 8: the image is shrunk by so much while it is transformed.
    int shrink;
    int top, height;
    int left, width;
} cj_region;

typedef struct {
    int width, height;
} cj_header;

// Reads the header. Returns 0, or -1 with libjpeg's words in `message`.
int cj_read_header(const uint8_t *bytes, size_t count, cj_header *header, char message[CJ_MESSAGE]);

// Decodes a region as RGB, whatever the file's colours are, into rows `stride` bytes apart.
//
// The pixels are those of the whole image's decoding, bit for bit. Rows above the region are read but not transformed,
// those below are not read at all.
//
// `remark` is told of each warning and decides whether it is a fault of the data, with which decoding fails.
// Returns 0, or -1 with the reason in `message`.
int cj_decode(const uint8_t *bytes, size_t count, cj_region region, uint8_t *pixels, size_t stride,
              int (*is_fault)(const char *remark), char message[CJ_MESSAGE]);
