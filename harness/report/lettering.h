// lettering.h - short captions in pictures: letters drawn as strokes, at any size.

#ifndef BL_REPORT_LETTERING_H
#define BL_REPORT_LETTERING_H

#include <stdint.h>

typedef struct bl_canvas {
    uint8_t *rgb; // height x width x 3
    int width, height;
} bl_canvas;

// A unit is a sixth of a capital's height; a line takes BL_LETTERING_LINE of them with what hangs below.
enum { BL_LETTERING_LINE = 9 };
double bl_lettering_width(const char *text, double unit); // pixels
// `left` and `top` of the first capital. Beyond the canvas nothing is drawn. What is not ASCII is an empty box.
void bl_lettering_draw(const bl_canvas *canvas, double left, double top, double unit, const char *text);

#endif
