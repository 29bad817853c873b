#include "datasets/scenes/street.h"

static const double nearest = 0.5; // metres: what is closer to the camera is not seen

bl_colour bl_street_colour(bl_street *street, bl_colour from, bl_colour to) {
    bl_colour colour;
    colour.r = bl_street_between(street, from.r, to.r);
    colour.g = bl_street_between(street, from.g, to.g);
    colour.b = bl_street_between(street, from.b, to.b);
    return colour;
}

double bl_street_grain(const bl_street *street, double u, double v) {
    int a = (int)u - (u < 0), b = (int)v - (v < 0); // rounded down; GRAIN is a power of two
    unsigned i = (unsigned)a % GRAIN, j = (unsigned)b % GRAIN, next_i = (i + 1) % GRAIN, next_j = (j + 1) % GRAIN;
    double s = u - a, t = v - b;
    double top = street->grain[j][i] + s * (street->grain[j][next_i] - street->grain[j][i]);
    double bottom = street->grain[next_j][i] + s * (street->grain[next_j][next_i] - street->grain[next_j][i]);
    return top + t * (bottom - top);
}

static uint8_t to_byte(double value) { return value <= 0 ? 0 : value >= 1 ? 255 : (uint8_t)(255 * value + 0.5); }

void bl_street_put(bl_street *street, int x, int y, double depth, uint8_t label, bl_colour colour) {
    size_t at = (size_t)y * street->canvas->width + x;
    street->canvas->labels[at] = label;
    if (colour.r < 0) return;
    double lost = depth / (depth + street->visibility);
    const double parts[3] = {colour.r, colour.g, colour.b};
    for (int c = 0; c < 3; ++c) {
        double lit = parts[c] * street->light[c];
        street->canvas->pixels[3 * at + c] = to_byte(lit + lost * (street->haze[c] - lit));
    }
}

// The pixels whose centres lie in [from, to), within 0 .. limit-1.
static int first_pixel(double from, int limit) { return from <= 0.5 ? 0 : from >= limit ? limit : (int)(from + 0.5); }

static void show(bl_street *street, const bl_surface *surface, int px, int py, double depth, double u, double v) {
    bl_colour colour = surface->paint;
    uint8_t label = surface->label;
    if (!surface->show(street, surface, u, v, &colour, &label)) return;
    bl_street_put(street, px, py, depth, label, colour.r < 0 ? colour : bl_shade(colour, surface->facing));
}

void bl_street_across(bl_street *street, const bl_surface *surface, double x, double y, double z) {
    if (z < nearest) return;
    double metre = street->focal / z; // pixels
    double left = street->centre + x * metre, bottom = street->horizon + (street->camera - y) * metre;
    int end_x = first_pixel(left + surface->width * metre, street->canvas->width), end_y = first_pixel(bottom, street->canvas->height);
    for (int py = first_pixel(bottom - surface->height * metre, street->canvas->height); py < end_y; ++py)
        for (int px = first_pixel(left, street->canvas->width); px < end_x; ++px)
            show(street, surface, px, py, z, (px + 0.5 - left) / metre, (bottom - py - 0.5) / metre);
}

void bl_street_along(bl_street *street, const bl_surface *surface, double x, double y, double z) {
    double begin = z < nearest ? nearest : z, end = z + surface->width;
    if (end <= begin || (x < 0.01 && x > -0.01)) return;
    double edges[2] = {street->centre + x * street->focal / begin, street->centre + x * street->focal / end};
    bool right = x > 0;
    int last = first_pixel(edges[!right], street->canvas->width);
    for (int px = first_pixel(edges[right], street->canvas->width); px < last; ++px) {
        double depth = x * street->focal / (px + 0.5 - street->centre), metre = street->focal / depth;
        double bottom = street->horizon + (street->camera - y) * metre;
        int end_y = first_pixel(bottom, street->canvas->height);
        for (int py = first_pixel(bottom - surface->height * metre, street->canvas->height); py < end_y; ++py)
            show(street, surface, px, py, depth, depth - z, (bottom - py - 0.5) / metre);
    }
}

void bl_street_shadow(bl_street *street, double x, double z, double width, double length, double by) {
    if (z < nearest) z = nearest;
    int end_y = first_pixel(street->horizon + street->camera * street->focal / z, street->canvas->height);
    for (int py = first_pixel(street->horizon + street->camera * street->focal / (z + length), street->canvas->height); py < end_y; ++py) {
        double depth = street->camera * street->focal / (py + 0.5 - street->horizon), metre = street->focal / depth;
        int end_x = first_pixel(street->centre + (x + width) * metre, street->canvas->width);
        for (int px = first_pixel(street->centre + x * metre, street->canvas->width); px < end_x; ++px) {
            size_t at = (size_t)py * street->canvas->width + px;
            if (street->canvas->labels[at] > SIDEWALK) continue;
            for (int c = 0; c < 3; ++c) street->canvas->pixels[3 * at + c] = (uint8_t)(street->canvas->pixels[3 * at + c] * by);
        }
    }
}
