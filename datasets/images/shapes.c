// "shapes": an embedded set of ten classes, 32 x 32 pixels, drawn from a seed.
//
// An image strews copies of one figure over a ground. The figure is the class; distance, thickness, lean, both colours, a
// gradient of the ground's colour and noise are drawn for each image, and place, tilt and size for each copy. So pixels and
// colours do not tell the class, while a crop, a mirror image and a gray copy still do.
//
// Two things are the same everywhere, because two views of an image share them and nothing in a usual recipe changes them:
// the figure is brighter than the ground, and it stands about upright. Left free, BYOL learns them first: with either of
// them free, a narrow network trained in PyTorch was still at chance after 200 to 300 steps.

#include "datasets/images/images.h"

#include <math.h>

#include "base/memory.h"
#include "base/random.h"

enum { SIDE = 32, AREA = SIDE * SIDE, CLASSES = 10, DEFAULT_TRAIN = 4096, DEFAULT_TEST = 1024, CELLS = 8 };

// How far (x, y) lies outside the figure (below 0: inside), in a cell of side 1 around the origin, y downwards.
// `thickness` in [0, 1] goes from thin to thick.
typedef double (*figure)(double x, double y, double thickness);

static double box(double x, double y, double half_width, double half_height) {
    return fmax(fabs(x) - half_width, fabs(y) - half_height);
}
static double disc(double x, double y, double thickness) { return sqrt(x * x + y * y) - 0.28 - 0.1 * thickness; }
static double ring(double x, double y, double thickness) { return fabs(sqrt(x * x + y * y) - 0.34) - 0.06 - 0.05 * thickness; }
static double square(double x, double y, double thickness) { return box(x, y, 0.26 + 0.1 * thickness, 0.26 + 0.1 * thickness); }
static double frame(double x, double y, double thickness) { return fabs(box(x, y, 0.34, 0.34)) - 0.05 - 0.05 * thickness; }
static double plus(double x, double y, double thickness) {
    double arm = 0.07 + 0.06 * thickness;
    return fmin(box(x, y, 0.42, arm), box(x, y, arm, 0.42));
}
static double saltire(double x, double y, double thickness) { return plus(M_SQRT1_2 * (x + y), M_SQRT1_2 * (x - y), thickness); }
static double triangle(double x, double y, double thickness) {
    return fmax(y - 0.33, 0.89 * fabs(x) - 0.45 * y - 0.21 - 0.06 * thickness);
}
static double diamond(double x, double y, double thickness) {
    return fabs(M_SQRT1_2 * (fabs(x) + fabs(y)) - 0.28) - 0.05 - 0.05 * thickness;
}
static double level_bar(double x, double y, double thickness) { return box(x, y, 0.44, 0.12 + 0.1 * thickness); }
static double upright_bar(double x, double y, double thickness) { return level_bar(y, x, thickness); }

static const figure figures[CLASSES] = {disc, ring, square, frame, plus, saltire, triangle, diamond, level_bar, upright_bar};

// A colour of a luminance between `low` and `high`, every such colour equally likely, then paled: at full saturation a random
// network answers to little but colour.
static void draw_colour(bl_random *random, double low, double high, double colour[3]) {
    double luminance;
    do {
        for (int c = 0; c < 3; ++c) colour[c] = bl_random_uniform(random);
        luminance = 0.2989 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2];
    } while (luminance < low || luminance > high);
    for (int c = 0; c < 3; ++c) colour[c] = luminance + 0.7 * (colour[c] - luminance);
}

typedef struct placement {
    double right, down, tilt, size; // of a figure in its cell
} placement;

static void draw_places(bl_random *random, double rows[CELLS], placement places[CELLS][CELLS]) {
    for (int j = 0; j < CELLS; ++j) {
        rows[j] = bl_random_uniform(random);
        for (int i = 0; i < CELLS; ++i) {
            placement *place = &places[j][i];
            place->right = bl_random_between(random, -0.12, 0.12);
            place->down = bl_random_between(random, -0.12, 0.12);
            place->tilt = bl_random_between(random, -0.2, 0.2);
            place->size = bl_random_between(random, 0.7, 1);
        }
    }
}

static void draw_image(bl_random *random, figure outside, uint8_t *pixels) {
    double paint[3], ground[2][3]; // the ground goes from one colour to another across the image
    draw_colour(random, 0.7, 0.95, paint);
    for (int e = 0; e < 2; ++e) draw_colour(random, 0.15, 0.4, ground[e]);
    double direction = bl_random_between(random, 0, 2 * M_PI), step_x = cos(direction) / SIDE, step_y = sin(direction) / SIDE;
    double period = bl_random_between(random, 8, 11), lean = bl_random_between(random, -0.15, 0.15);
    double across = cos(lean) / period, along = sin(lean) / period, shift = CELLS + bl_random_uniform(random);
    double thickness = bl_random_between(random, 0.25, 0.75), noise = bl_random_between(random, 0, 0.04);
    double rows[CELLS]; // how far each row of cells is pushed to the right
    placement places[CELLS][CELLS];
    draw_places(random, rows, places);

    for (int p = 0; p < AREA; ++p) {
        double x = p % SIDE - 0.5 * (SIDE - 1), y = p / SIDE - 0.5 * (SIDE - 1);
        double v = y * across - x * along + shift; // above 0, so that (int) rounds down
        int j = (int)v % CELLS;
        double u = x * across + y * along + CELLS + rows[j];
        const placement *place = &places[j][(int)u % CELLS];
        double a = (u - floor(u) - 0.5 - place->right) / place->size, b = (v - floor(v) - 0.5 - place->down) / place->size;
        double distance = outside(a + place->tilt * b, b - place->tilt * a, thickness) * place->size * period; // in pixels
        double cover = fmin(fmax(0.5 - distance, 0), 1); // of the pixel by the figure
        double shade = 0.5 + x * step_x + y * step_y;
        for (int c = 0; c < 3; ++c) {
            double behind = ground[0][c] + shade * (ground[1][c] - ground[0][c]);
            double value = behind + cover * (paint[c] - behind) + bl_random_between(random, -noise, noise);
            pixels[3 * p + c] = (uint8_t)(255 * fmin(fmax(value, 0), 1) + 0.5);
        }
    }
}

static int draw_set(uint64_t seed, const char *stream, int count, bl_images *images) {
    *images = (bl_images){.size = SIDE, .classes = CLASSES, .count = count};
    images->pixels = bl_alloc((size_t)count * AREA * 3);
    images->labels = bl_alloc((size_t)count);
    if (!images->pixels || !images->labels) return BL_FAILED;
    for (int i = 0; i < count; ++i) {
        bl_random random = bl_random_stream(seed, stream, (uint32_t)i, 0, 0);
        images->labels[i] = (uint8_t)(i % CLASSES);
        draw_image(&random, figures[i % CLASSES], images->pixels + (size_t)i * AREA * 3);
    }
    return BL_OK;
}

int bl_shapes_load(const bl_images_options *options, bl_images *train, bl_images *test) {
    if (draw_set(options->seed, "shapes train", options->train > 0 ? options->train : DEFAULT_TRAIN, train)) return BL_FAILED;
    return draw_set(options->seed, "shapes test", options->test > 0 ? options->test : DEFAULT_TEST, test);
}
