#pragma once
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <stdbool.h>
#include <stdlib.h>

// Inflates a zlib stream that lies in parts, as far as there is room. Returns how many bytes there are; *isWhole says whether the
// stream ended with them and its checksum is right, *isSound whether what was seen of it is none but deflate.
static inline size_t ci_inflate(
    const uint8_t *const _Nonnull *_Nonnull parts, const size_t *_Nonnull sizes, size_t count, uint8_t *_Nonnull out,
    size_t room, bool *_Nonnull isSound, bool *_Nonnull isWhole)
{
    *isSound = *isWhole = false;
    // Nearly 100 KB.
    struct inflate_state *state = (struct inflate_state *)malloc(sizeof *state);
    if (!state) return 0;
    isal_inflate_init(state);
    state->crc_flag = ISAL_ZLIB;
    state->next_out = out;
    state->avail_out = (uint32_t)room;
    int status = ISAL_DECOMP_OK;
    for (size_t i = 0; i < count && status == ISAL_DECOMP_OK; i++) {
        if (state->block_state == ISAL_BLOCK_FINISH || state->avail_out == 0) break;
        state->next_in = (uint8_t *)parts[i];
        state->avail_in = (uint32_t)sizes[i];
        status = isal_inflate(state);
    }
    *isSound = status == ISAL_DECOMP_OK;
    *isWhole = *isSound && state->block_state == ISAL_BLOCK_FINISH;
    const size_t written = room - state->avail_out;
    free(state);
    return written;
}
