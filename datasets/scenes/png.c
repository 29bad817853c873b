#include "datasets/scenes/png.h"

#include <errno.h>
#include <spng.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/contents.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"

// Signature and first chunk; the last chunk and what stands before it: Adler-32 and CRC-32 of the last piece of pixels. A chunk is the
// length of its data, its kind, its data and a CRC-32: the last one has none, and is but its frame.
enum { HEAD = 33, TAIL = 32, FRAME = 12 };

static uint32_t big_endian(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool is_last_chunk(const uint8_t *bytes) { return !memcmp(bytes, "\0\0\0\0IEND\xae\x42\x60\x82", FRAME); }

static bool is_png(const uint8_t *head) { return !memcmp(head, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16); }

// What a file of another kind is by its first bytes; NULL: no idea.
static const char *kind_of(const uint8_t *head) {
    static const struct {
        const char *bytes;
        int at, count;
        const char *kind;
    } known[] = {{"\xff\xd8\xff", 0, 3, "JPEG"}, {"GIF8", 0, 4, "GIF"},     {"BM", 0, 2, "BMP"},  {"II*\0", 0, 4, "TIFF"},
                 {"MM\0*", 0, 4, "TIFF"},        {"WEBP", 8, 4, "WebP"},    {"P6", 0, 2, "PPM"},  {"version https://git-lfs", 0, 23, "Git LFS pointer"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
        if (!memcmp(head + known[i].at, known[i].bytes, (size_t)known[i].count)) return known[i].kind;
    return NULL;
}

static int refuse_kind(const char *path, const uint8_t *head) {
    const char *kind = kind_of(head);
    if (kind) return bl_fail("%s: not a PNG file: it begins as a %s file does", path, kind);
    return bl_fail("%s: not a PNG file", path);
}

static int examine(const char *path, uint64_t bytes, const uint8_t head[HEAD], const uint8_t tail[TAIL], bl_png *png) {
    static const char *const kinds[] = {[0] = "grey", [2] = "RGB", [3] = "palette", [4] = "grey with alpha", [6] = "RGB with alpha"};
    uint32_t width = big_endian(head + 16), height = big_endian(head + 20);
    int depth = head[24], kind = head[25];
    if (!width || !height || width > BL_PNG_SIDE || height > BL_PNG_SIDE)
        return bl_fail("%s: %u x %u pixels: between 1 and %d a side are read", path, width, height, BL_PNG_SIDE);
    if (depth != 8 || (kind != 0 && kind != 2))
        return bl_fail("%s: a%s %d-bit %s PNG: 8-bit RGB (images) and 8-bit grey (label maps) are read", path, depth == 8 ? "n" : "", depth,
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

// ---- ends ----

typedef struct source { // a file's bytes, wherever they are
    const char *path;
    int descriptor;        // read from here
    const uint8_t *memory; // or from here
    uint64_t bytes;
} source;

static int take(const source *from, uint64_t at, int count, uint8_t *into) {
    if (from->memory) {
        memcpy(into, from->memory + at, (size_t)count);
        return BL_OK;
    }
    return pread(from->descriptor, into, (size_t)count, (off_t)at) == count ? BL_OK : bl_fail("%s: cannot read it: %s", from->path, strerror(errno));
}

// Where the last chunk ends: as a rule with the file. What other programs put behind it is no part of the picture: then the way leads
// from chunk to chunk.
static int find_end(const source *from, uint64_t *end) {
    uint8_t chunk[FRAME];
    *end = from->bytes;
    if (take(from, *end - FRAME, FRAME, chunk)) return BL_FAILED;
    if (is_last_chunk(chunk)) return BL_OK;
    for (*end = HEAD; !is_last_chunk(chunk); *end += FRAME + (uint64_t)big_endian(chunk)) {
        if (*end + FRAME > from->bytes) return bl_fail("%s: truncated: it does not end as a PNG file does; fetch it again", from->path);
        if (take(from, *end, FRAME, chunk)) return BL_FAILED;
    }
    return BL_OK;
}

static int look_at(const source *from, bl_png *png) {
    uint8_t head[HEAD], tail[TAIL];
    uint64_t end;
    if (from->bytes < HEAD + TAIL) return bl_fail("%s: %llu bytes are too few for a PNG file", from->path, (unsigned long long)from->bytes);
    if (take(from, 0, HEAD, head)) return BL_FAILED;
    if (!is_png(head)) return refuse_kind(from->path, head);
    if (find_end(from, &end) || take(from, end - TAIL, TAIL, tail)) return BL_FAILED;
    return examine(from->path, from->bytes, head, tail, png);
}

int bl_png_look(const char *path, bl_png *png) {
    int64_t bytes = 0;
    const int descriptor = bl_open_file(path, &bytes);
    if (descriptor < 0) return BL_FAILED;
    const int status = look_at(&(source){path, descriptor, NULL, (uint64_t)bytes}, png);
    close(descriptor);
    return status;
}

// The chunks behind the pixels are read too: the checksum of the last piece of pixels is looked at on the way to them.
static int decode(spng_ctx *context, const bl_png *png, uint8_t *pixels) {
    const int problem = spng_decode_image(context, pixels, (size_t)png->width * png->height * png->channels, SPNG_FMT_PNG, 0);
    return problem ? problem : spng_decode_chunks(context);
}

int bl_png_read(const char *path, const bl_png *png, uint8_t *pixels) {
    int status = BL_FAILED, problem;
    void *file = NULL;
    size_t bytes = 0;
    spng_ctx *context = NULL;
    bl_png now;
    bl_stamp stamp;
    char digest[65];
    if (bl_stamp_of(path, &stamp) || bl_read_file(path, &file, &bytes)) return BL_FAILED;
    if (look_at(&(source){path, -1, file, bytes}, &now)) goto done;
    if (now.fingerprint != png->fingerprint) {
        bl_fail("%s: changed since it was first read: put it back, or begin a new run", path);
        goto done;
    }
    if (!(context = spng_ctx_new(0))) {
        bl_fail("%s: out of memory", path);
        goto done;
    }
    problem = spng_set_png_buffer(context, file, bytes);
    if (!problem) problem = decode(context, png, pixels);
    status = problem ? bl_fail("%s: damaged: %s; fetch it again", path, spng_strerror(problem)) : BL_OK;
    if (!status && !bl_contents_find(&stamp, BL_CONTENTS_BYTES, digest)) {
        bl_digest_hex(file, bytes, digest);
        bl_contents_keep(path, &stamp, BL_CONTENTS_BYTES, digest);
    }
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
