#include "datasets/scenes/png.h"

#include <spng.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"

// Signature and first chunk; the last chunk and what stands before it: Adler-32 and CRC-32 of the last piece of pixels.
enum { HEAD = 33, TAIL = 32, LAST_CHUNK = 12 };

static uint32_t big_endian(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static int examine(const char *path, uint64_t bytes, const uint8_t head[HEAD], const uint8_t tail[TAIL], bl_png *png) {
    static const uint8_t signature[16] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    static const uint8_t last[LAST_CHUNK] = "\0\0\0\0IEND\xae\x42\x60\x82";
    static const char *const kinds[] = {[0] = "grey", [2] = "RGB", [3] = "palette", [4] = "grey with alpha", [6] = "RGB with alpha"};
    if (memcmp(head, signature, sizeof signature)) return bl_fail("%s: not a PNG file", path);
    if (memcmp(tail + TAIL - LAST_CHUNK, last, LAST_CHUNK))
        return bl_fail("%s: truncated: it does not end as a PNG file does; fetch it again", path);
    uint32_t width = big_endian(head + 16), height = big_endian(head + 20);
    int depth = head[24], kind = head[25];
    if (!width || !height || width > BL_PNG_SIDE || height > BL_PNG_SIDE)
        return bl_fail("%s: %u x %u pixels: between 1 and %d a side are read", path, width, height, BL_PNG_SIDE);
    if (depth != 8 || (kind != 0 && kind != 2))
        return bl_fail("%s: a %d-bit %s PNG: 8-bit RGB (images) and 8-bit grey (label maps) are read", path, depth,
                       kind < 7 && kinds[kind] ? kinds[kind] : "unknown");

    unsigned char sum[32];
    bl_digest digest;
    bl_digest_begin(&digest);
    bl_digest_add(&digest, &bytes, sizeof bytes);
    bl_digest_add(&digest, head, HEAD);
    bl_digest_add(&digest, tail, TAIL);
    bl_digest_end(&digest, sum);
    *png = (bl_png){(int)width, (int)height, kind == 2 ? 3 : 1, bytes, (uint64_t)big_endian(sum) << 32 | big_endian(sum + 4)};
    return BL_OK;
}

int bl_png_look(const char *path, bl_png *png) {
    uint8_t head[HEAD], tail[TAIL];
    int64_t bytes = 0;
    int descriptor = bl_open_file(path, &bytes);
    if (descriptor < 0) return BL_FAILED;
    int status = BL_FAILED;
    if (bytes < HEAD + TAIL) bl_fail("%s: %lld bytes are too few for a PNG file", path, (long long)bytes);
    else if (pread(descriptor, head, HEAD, 0) != HEAD || pread(descriptor, tail, TAIL, bytes - TAIL) != TAIL)
        bl_fail("%s: cannot read its ends", path);
    else status = examine(path, (uint64_t)bytes, head, tail, png);
    close(descriptor);
    return status;
}

int bl_png_read(const char *path, const bl_png *png, uint8_t *pixels) {
    int status = BL_FAILED, problem;
    void *file = NULL;
    size_t bytes = 0;
    spng_ctx *context = NULL;
    if (bl_read_file(path, &file, &bytes)) return BL_FAILED;
    bl_png now = {0};
    if (bytes >= HEAD + TAIL && examine(path, bytes, file, (uint8_t *)file + bytes - TAIL, &now)) goto done;
    if (now.fingerprint != png->fingerprint) {
        bl_fail("%s: changed since it was first read: put it back, or begin a new run", path);
        goto done;
    }
    if (!(context = spng_ctx_new(0))) {
        bl_fail("%s: out of memory", path);
        goto done;
    }
    problem = spng_set_png_buffer(context, file, bytes);
    if (!problem)
        problem = spng_decode_image(context, pixels, (size_t)png->width * png->height * png->channels, SPNG_FMT_PNG, 0);
    status = problem ? bl_fail("%s: damaged: %s; fetch it again", path, spng_strerror(problem)) : BL_OK;
done:
    spng_ctx_free(context);
    bl_free(file);
    return status;
}

int bl_png_save(const char *path, const uint8_t *pixels, int width, int height, int channels) {
    int status = BL_FAILED, problem;
    void *png = NULL;
    size_t bytes = 0;
    struct spng_ihdr header = {.width = (uint32_t)width, .height = (uint32_t)height, .bit_depth = 8,
                               .color_type = channels == 3 ? SPNG_COLOR_TYPE_TRUECOLOR : SPNG_COLOR_TYPE_GRAYSCALE};
    spng_ctx *context = spng_ctx_new(SPNG_CTX_ENCODER);
    if (!context) return bl_fail("%s: out of memory", path);
    problem = spng_set_option(context, SPNG_ENCODE_TO_BUFFER, 1);
    if (!problem) problem = spng_set_ihdr(context, &header);
    if (!problem)
        problem = spng_encode_image(context, pixels, (size_t)width * height * channels, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    if (!problem) png = spng_get_png_buffer(context, &bytes, &problem);
    if (png) status = bl_atomic_write(path, png, bytes);
    else bl_fail("%s: cannot encode the picture: %s", path, spng_strerror(problem));
    free(png); // ours once spng gave it
    spng_ctx_free(context);
    return status;
}
