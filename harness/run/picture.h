// picture.h - an 8-bit RGB picture as a PNG file.

#ifndef BL_RUN_PICTURE_H
#define BL_RUN_PICTURE_H

#include <stdint.h>

#include "base/error.h" // BL_CHECK

// rgb: height x width x 3 bytes. Built in memory and written whole.
BL_CHECK int bl_png_write(const char *path, const uint8_t *rgb, int width, int height);

#endif
