// "shapes": an embedded set of ten classes of patterns, 32 x 32 pixels, drawn from a seed.
//
// An image is one figure repeated over a plane. The class is the figure; everything else is drawn for each image alone:
// both colours, a colour gradient across the image, the distance, angle, shift and thickness of the pattern, whether figure or ground
// is the brighter one, and noise. So neither raw pixels nor colours tell the class, a crop of the image still does, and so does its
// mirror image.

#include "datasets/dataset.h"

#include <math.h>
#include <stdbool.h>

#include "base/memory.h"
#include "base/random.h"

enum { SIDE = 32, CLASSES = 10, DEFAULT_TRAIN = 4096, DEFAULT_TEST = 1024, SUBSAMPLES = 3 };

typedef double (*figure)(double x, double y, double thickness);

static double box(double x, double y, double w, double h) { return fmax(fabs(x) - w, fabs(y) - h); }
static double disc(double x, double y, double t) { return hypot(x, y) - 0.28 - 0.1 * t; }
static double ring(double x, double y, double t) { return fabs(hypot(x, y) - 0.34) - 0.06 - 0.05 * t; }
static double square(double x, double y, double t) { return box(x, y, 0.26 + 0.1 * t, 0.26 + 0.1 * t); }
static double frame(double x, double y, double t) { return fabs(box(x, y, 0.34, 0.34)) - 0.05 - 0.05 * t; }
static double plus(double x, double y, double t) { return fmin(box(x, y, 0.42, 0.07 + 0.06 * t), box(x, y, 0.07 + 0.06 * t, 0.42)); }
static double saltire(double x, double y, double t) { return plus(0.7071 * (x + y), 0.7071 * (x - y), t); }
static double triangle(double x, double y, double t) { return fmax(y - 0.33, 0.87 * fabs(x) - 0.44 * (y+.1) - 0.16 - 0.07 * t); }
static double level(double x, double y, double t) { return box(x, y, 0.6, 0.14 + 0.12 * t); }
static double upright(double x, double y, double t) { return box(x, y, 0.14 + 0.12 * t, 0.6); }
static double diamond(double x, double y, double t) { return fabs(fabs(x) + fabs(y) - 0.4) - 0.07 - 0.08 * t; }
static const figure figures[CLASSES] = {disc, ring, square, frame, plus, saltire, triangle, level, upright, diamond};

static double luminance(const double colour[3]) { return 0.2989 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]; }

static void draw_colour(bl_random *random, double low, double high, double colour[3]) {
    do {
        for (int c = 0; c < 3; ++c) colour[c] = bl_random_uniform(random);
    } while (luminance(colour) < low || luminance(colour) > high);
}

static void draw_image(bl_random *random, figure inside, uint8_t *pixels) {
    enum { CELLS = 16 };
    double ground[2][3], cells[CELLS][CELLS][3], noise = bl_random_between(random, 0, 0.1);
    for (int e = 0; e < 2; ++e) draw_colour(random, 0.35, 0.65, ground[e]);
    double period = bl_random_between(random, 7, 12), angle = bl_random_between(random, -0.25, 0.25), thickness = bl_random_uniform(random);
    double direction = bl_random_between(random, 0, 6.283185307179586), shift[2];
    for (int a = 0; a < 2; ++a) shift[a] = CELLS / 2 + bl_random_between(random, -0.5, 0.5);
    for (int i = 0; i < CELLS; ++i)
        for (int j = 0; j < CELLS; ++j) {
            bool bright = bl_random_uniform(random) < 0.5;
            draw_colour(random, bright ? 0.75 : 0.05, bright ? 0.95 : 0.25, cells[i][j]);
        }
    double across = cos(angle) / period, along = sin(angle) / period;
    double gx = cos(direction) / SIDE, gy = sin(direction) / SIDE;
    for (int y = 0; y < SIDE; ++y)
        for (int x = 0; x < SIDE; ++x) {
            double shade = 0.5 + (x - SIDE / 2) * gx + (y - SIDE / 2) * gy, sum[3] = {0};
            for (int s = 0; s < SUBSAMPLES * SUBSAMPLES; ++s) {
                double px = x - SIDE / 2 + (s % SUBSAMPLES + 0.5) / SUBSAMPLES, py = y - SIDE / 2 + (s / SUBSAMPLES + 0.5) / SUBSAMPLES;
                double u = px * across + py * along + shift[0], v = py * across - px * along + shift[1];
                int i = (int)u, j = (int)v;
                bool in = inside(u - i - 0.5, v - j - 0.5, thickness) < 0;
                for (int c = 0; c < 3; ++c) sum[c] += in ? cells[i][j][c] : ground[0][c] + shade * (ground[1][c] - ground[0][c]);
            }
            for (int c = 0; c < 3; ++c) {
                double value = sum[c] / (SUBSAMPLES * SUBSAMPLES) + noise * (bl_random_uniform(random) * 2 - 1);
                *pixels++ = (uint8_t)(255 * fmin(fmax(value, 0), 1) + 0.5);
            }
        }
}

static int draw_set(uint64_t seed, uint32_t set, int count, bl_images *images) {
    *images = (bl_images){.size = SIDE, .classes = CLASSES, .count = count};
    images->pixels = bl_alloc((size_t)count * SIDE * SIDE * 3);
    images->labels = bl_alloc((size_t)count);
    if (!images->pixels || !images->labels) return BL_FAILED;
    for (int i = 0; i < count; ++i) {
        bl_random random = bl_random_stream(seed, "shapes", (uint32_t)i, 0, set);
        images->labels[i] = (uint8_t)(i % CLASSES);
        draw_image(&random, figures[i % CLASSES], images->pixels + (size_t)i * SIDE * SIDE * 3);
    }
    return BL_OK;
}

static int load(const bl_dataset_options *options, bl_images *train, bl_images *test) {
    if (draw_set(options->seed, 0, options->train > 0 ? options->train : DEFAULT_TRAIN, train)) return BL_FAILED;
    return draw_set(options->seed, 1, options->test > 0 ? options->test : DEFAULT_TEST, test);
}

const bl_format bl_format_shapes = {"shapes", load};
