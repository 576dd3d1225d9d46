#include "CJPEG.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

// libjpeg leaves by its error exit, which must not return; it lands where the call began.
typedef struct {
    struct jpeg_error_mgr library;
    jmp_buf landing;
    char *message;
    int (*is_fault)(const char *);
    int scans;
} failure;

static void leave(j_common_ptr info) {
    failure *to = (failure *)info->err;
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    snprintf(to->message, CJ_MESSAGE, "%s", text);
    longjmp(to->landing, 1);
}

// Whether a warning is of bytes before the end marker, all alike and few, with which some cameras fill up a file: no pixel
// needs them. Others, or more of them, are mostly all that damaged pixels show.
static int is_padding(j_common_ptr info) {
    if (info->err->msg_code != JWRN_EXTRANEOUS_DATA || info->err->msg_parm.i[1] != 0xd9) return 0;
    int count = info->err->msg_parm.i[0];
    if (count < 1 || count > 64) return 0;
    const JOCTET *end = ((j_decompress_ptr)info)->src->next_input_byte;
    for (int i = 2; i <= count; i++) {
        if (end[-i] != end[-1]) return 0;
    }
    return 1;
}

// A negative level is a warning: libjpeg would go on and invent the rest.
static void remark(j_common_ptr info, int level) {
    failure *to = (failure *)info->err;
    if (level >= 0 || to->is_fault == NULL || is_padding(info)) return;
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    if (to->is_fault(text)) leave(info);
}

static void be_silent(j_common_ptr info) { (void)info; }

// A small progressive file may ask for thousands of passes over a large image.
static void count_scans(j_common_ptr info) {
    if (!info->is_decompressor) return;
    j_decompress_ptr decoder = (j_decompress_ptr)info;
    if (decoder->input_scan_number > 500) {
        failure *to = (failure *)info->err;
        snprintf(to->message, CJ_MESSAGE, "Progressive JPEG has more than 500 scans");
        longjmp(to->landing, 1);
    }
}

static void begin(struct jpeg_decompress_struct *decoder, failure *to, char *message) {
    memset(decoder, 0, sizeof *decoder);
    decoder->err = jpeg_std_error(&to->library);
    to->library.error_exit = leave;
    to->library.emit_message = remark;
    to->library.output_message = be_silent;
    to->message = message;
    message[0] = 0;
}

// Colours from inks: an ink's paper shows where neither it nor black covers it.
//
// The numbers say how much paper shows, 255 for all of it: Adobe's convention, which all CMYK JPEGs in use follow and
// which Pillow takes for granted too; like Pillow, it rounds what an ink takes away, not what is left.
static void mix_inks(const uint8_t *inks, int count, uint8_t *rgb) {
    for (int i = 0; i < count; i++, inks += 4, rgb += 3) {
        for (int c = 0; c < 3; c++) {
            int covered = (255 - inks[c]) * inks[3] + 128;
            rgb[c] = (uint8_t)(inks[3] - ((covered + (covered >> 8)) >> 8));
        }
    }
}

int cj_read_header(const uint8_t *bytes, size_t count, cj_header *header, char message[CJ_MESSAGE]) {
    struct jpeg_decompress_struct decoder;
    failure to = {0};
    begin(&decoder, &to, message);
    if (setjmp(to.landing)) {
        jpeg_destroy_decompress(&decoder);
        return -1;
    }
    jpeg_create_decompress(&decoder);
    jpeg_mem_src(&decoder, bytes, count);
    jpeg_read_header(&decoder, TRUE);
    header->width = (int)decoder.image_width;
    header->height = (int)decoder.image_height;
    jpeg_destroy_decompress(&decoder);
    return 0;
}

int cj_decode(const uint8_t *bytes, size_t count, cj_region region, uint8_t *pixels, size_t stride,
              int (*is_fault)(const char *remark), char message[CJ_MESSAGE]) {
    struct jpeg_decompress_struct decoder;
    struct jpeg_progress_mgr progress = {0};
    failure to = {0};
    uint8_t *volatile line = NULL;  // changed between setjmp and longjmp
    begin(&decoder, &to, message);
    if (setjmp(to.landing)) {
        jpeg_destroy_decompress(&decoder);
        free(line);
        return -1;
    }
    jpeg_create_decompress(&decoder);
    to.is_fault = is_fault;
    progress.progress_monitor = count_scans;
    decoder.progress = &progress;
    jpeg_mem_src(&decoder, bytes, count);
    jpeg_read_header(&decoder, TRUE);
    int channels = decoder.num_components == 4 ? 4 : 3;
    decoder.out_color_space = channels == 4 ? JCS_CMYK : JCS_RGB;
    decoder.dct_method = JDCT_ISLOW;
    decoder.scale_num = 8 / (unsigned)region.shrink;
    decoder.scale_denom = 8;
    jpeg_start_decompress(&decoder);

    // Chroma is interpolated between neighbours, so the outermost columns and rows of a region would differ from the
    // whole image's: two blocks more on each side are decoded and dropped.
    int whole = (int)decoder.output_width;
    int margin = 2 * decoder.max_h_samp_factor * DCTSIZE;
    JDIMENSION left = (JDIMENSION)(region.left > margin ? region.left - margin : 0);
    int right = region.left + region.width + margin;
    JDIMENSION wide = (JDIMENSION)((right < whole ? right : whole) - (int)left);
    if (left > 0 || (int)wide < whole) jpeg_crop_scanline(&decoder, &left, &wide);
    line = malloc((size_t)decoder.output_width * (size_t)channels);
    if (line == NULL) {
        snprintf(message, CJ_MESSAGE, "no memory for a row of pixels");
        longjmp(to.landing, 1);
    }
    int skipped = region.top - 2 * decoder.max_v_samp_factor * DCTSIZE;
    if (skipped > 0) jpeg_skip_scanlines(&decoder, (JDIMENSION)skipped);
    while ((int)decoder.output_scanline < region.top + region.height) {
        int row = (int)decoder.output_scanline - region.top;
        JSAMPROW target = line;
        if (jpeg_read_scanlines(&decoder, &target, 1) != 1) continue;
        if (row < 0) continue;
        const uint8_t *from = line + (size_t)(region.left - (int)left) * (size_t)channels;
        if (channels == 4) {
            mix_inks(from, region.width, pixels + (size_t)row * stride);
        } else {
            memcpy(pixels + (size_t)row * stride, from, (size_t)region.width * 3);
        }
    }
    free(line);
    line = NULL;
    // The end of a whole image is read too: what is missing there is a fault.
    if (decoder.output_scanline == decoder.output_height) jpeg_finish_decompress(&decoder);
    jpeg_destroy_decompress(&decoder);
    return 0;
}
