#include "run/picture.h"

#include <spng.h>
#include <stdlib.h>

#include "base/file.h"

int bl_png_write(const char *path, const uint8_t *rgb, int width, int height) {
    int status = BL_FAILED, problem = 0;
    void *png = NULL;
    size_t bytes = 0;
    struct spng_ihdr header = {.width = (uint32_t)width, .height = (uint32_t)height, .bit_depth = 8, .color_type = SPNG_COLOR_TYPE_TRUECOLOR};
    spng_ctx *context = spng_ctx_new(SPNG_CTX_ENCODER);
    if (!context) return bl_fail("%s: out of memory", path);
    problem = spng_set_option(context, SPNG_ENCODE_TO_BUFFER, 1);
    if (!problem) problem = spng_set_ihdr(context, &header);
    if (!problem) problem = spng_encode_image(context, rgb, (size_t)width * (size_t)height * 3, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    if (!problem) png = spng_get_png_buffer(context, &bytes, &problem);
    if (!png) {
        bl_fail("%s: cannot encode the picture: %s", path, spng_strerror(problem));
        goto done;
    }
    status = bl_atomic_write(path, png, bytes);
done:
    free(png); // ours once spng gave it
    spng_ctx_free(context);
    return status;
}
