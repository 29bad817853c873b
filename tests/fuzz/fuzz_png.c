// A picture. The first byte says whether the checksums of its chunks are made right, so that what is behind them is read too.

#include "datasets/scenes/png.h"
#include "rig.h"

static uint32_t big_endian(const uint8_t *bytes) { return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3]; }

static uint32_t crc_of(const uint8_t *bytes, size_t size) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static void mend(uint8_t *png, size_t size) {
    for (size_t at = 8; at + 12 <= size;) {
        const uint32_t length = big_endian(png + at);
        if (length > size - at - 12) return;
        const uint32_t crc = crc_of(png + at + 4, length + 4);
        for (int i = 0; i < 4; i++) png[at + 8 + length + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += 12 + (size_t)length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { MOST = 1 << 22 }; // pixels: what a larger picture costs is known
    bl_png png;
    if (!size) return 0;
    uint8_t *file = malloc(size);
    memcpy(file, data, size);
    if (*data & 1) mend(file + 1, size - 1);
    const char *path = bl_fuzz_file("input.png", file + 1, size - 1);
    free(file);
    if (!FUZZ(bl_png_look(path, &png))) return 0;
    if (png.width < 1 || png.height < 1 || png.width > BL_PNG_SIDE || png.height > BL_PNG_SIDE || (png.channels != 1 && png.channels != 3)) abort();
    if ((int64_t)png.width * png.height > MOST) return 0;
    uint8_t *pixels = malloc((size_t)png.width * (size_t)png.height * (size_t)png.channels);
    const bool is_read = FUZZ(bl_png_read(path, &png, pixels));
    if (is_read && !FUZZ(bl_png_save("again.png", pixels, png.width, png.height, png.channels))) abort();
    free(pixels);
    return 0;
}
