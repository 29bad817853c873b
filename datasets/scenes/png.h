// png.h - 8-bit pictures as PNG files, RGB or grey.
//
// A file is looked at before it is decoded: its head says what it holds, and its last bytes are checksums of its pixels (Adler-32 and
// CRC-32 of the compressed data), so that head, tail and length tell whether a file is whole and still the same without reading it.
// Bytes behind the picture's end are no part of it. Decoding reads every checksum: a file in which one bit changed is refused.

#ifndef BL_DATASETS_PNG_H
#define BL_DATASETS_PNG_H

#include <stdint.h>

#include "base/error.h" // BL_CHECK

typedef struct bl_png {
    int width, height, channels; // 3: RGB, 1: grey
    uint64_t bytes;              // of the file
    uint64_t fingerprint;        // of its length, head and tail
} bl_png;

enum { BL_PNG_SIDE = 1 << 15 }; // at most so many pixels a side

// Opens the file and reads its ends. Fails where it is cut short, no PNG, or neither 8-bit RGB nor 8-bit grey.
BL_CHECK int bl_png_look(const char *path, bl_png *png);
// Decodes into `pixels`: height x width x channels bytes. `png` is what bl_png_look said: a file that changed since is refused.
// What it holds is known from then on (base/contents.h).
BL_CHECK int bl_png_read(const char *path, const bl_png *png, uint8_t *pixels);
BL_CHECK int bl_png_save(const char *path, const uint8_t *pixels, int width, int height, int channels);

#endif
