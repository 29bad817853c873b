// "streets": an embedded set of labelled street scenes, drawn from a seed at any size.
//
// A road between two rows of houses, parks and side streets under a sky, with what stands and moves there. Sixteen of the 19 classes
// occur; camera, light, haze, widths, colours and textures differ from scene to scene. Road and pavement, walls and sky, cars and
// houses share their colours, so that a pixel alone does not tell its class, and things hide one another.

#include "datasets/scenes/streets.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "base/digest.h"
#include "datasets/scenes/street_things.h"

enum { SUPERSAMPLING = 2 };
static const double horizon_distance = 130; // metres: the skyline

typedef void (*thing_drawer)(bl_street *street, double x, double z);
typedef struct thing {
    thing_drawer draw;
    double x, z;
} thing;

// What lies along one side, from near to far.
typedef enum plot_kind { HOUSE, PARK, SIDE_STREET } plot_kind;
typedef struct street_plot {
    plot_kind kind;
    double begin, end;
} street_plot;
enum { PLOTS = 29 }; // of at least 5 m, from at most 12 m behind the camera to the skyline
typedef struct kerb {
    double road, wall; // metres from the middle: where the road ends, where the houses begin
    bool grass;        // the outer part of the pavement is grass
    street_plot plots[PLOTS];
    int plot_count;
} kerb;

typedef struct street_plan {
    kerb sides[2];     // left, right
    bl_colour asphalt, paving, lawn;
    double middle;     // x of the road's middle, seen from the camera
    double paving_cell;
    bool marked;
} street_plan;

static double between(bl_street *street, double low, double high) { return bl_street_between(street, low, high); }
static bool chance(bl_street *street, double p) { return bl_street_chance(street, p); }

static void draw_light(bl_street *street, bool overcast) {
    double bright = between(street, 0.6, 1.25), warm = between(street, -0.1, 0.1);
    const double tint[3] = {1 + warm, 1, 1 - warm};
    for (int c = 0; c < 3; ++c) {
        street->light[c] = bright * tint[c];
        street->haze[c] = bright * (overcast ? 0.72 : 0.65 + 0.06 * c);
    }
    street->visibility = between(street, 120, 600);
    for (int f = 0; f < 3; ++f) street->sun[f] = overcast ? between(street, 0.85, 1) : between(street, 0.5, 1.1);
}

static void draw_camera(bl_street *street) {
    int width = street->canvas->width, height = street->canvas->height;
    street->focal = between(street, 0.75, 1.1) * width;
    street->centre = between(street, 0.4, 0.6) * width;
    street->horizon = between(street, 0.38, 0.52) * height;
    street->camera = between(street, 1.2, 1.7);
    for (int j = 0; j < GRAIN; ++j)
        for (int i = 0; i < GRAIN; ++i) street->grain[j][i] = (float)between(street, -1, 1);
}

static void plan_side(bl_street *street, kerb *side) {
    double z = between(street, -12, 0);
    side->road = between(street, 2.8, 5);
    side->wall = side->road + between(street, 2, 8);
    side->grass = chance(street, 0.35);
    for (side->plot_count = 0; z < horizon_distance; ++side->plot_count) {
        plot_kind kind = chance(street, 0.15) ? SIDE_STREET : chance(street, 0.3) ? PARK : HOUSE;
        double length = kind == SIDE_STREET ? between(street, 5, 9) : between(street, 7, 20);
        side->plots[side->plot_count] = (street_plot){kind, z, z + length};
        z += length;
    }
}

static void plan(bl_street *street, street_plan *layout) {
    for (int s = 0; s < 2; ++s) plan_side(street, &layout->sides[s]);
    layout->middle = between(street, -2.2, 2.2);
    double dark = between(street, 0.22, 0.42), pale = dark + between(street, -0.03, 0.2);
    layout->asphalt = bl_street_colour(street, (bl_colour){dark, 0.96 * dark, 0.95 * dark}, (bl_colour){dark, 1.04 * dark, 1.08 * dark});
    layout->paving = bl_street_colour(street, (bl_colour){pale, pale, 0.85 * pale}, (bl_colour){1.15 * pale, pale, 1.03 * pale});
    layout->lawn = bl_street_colour(street, (bl_colour){0.2, 0.3, 0.12}, (bl_colour){0.38, 0.42, 0.22});
    layout->paving_cell = between(street, 0.4, 1.5);
    layout->marked = chance(street, 0.75);
}

// ---- sky, skyline, ground ----

// The first row that is all ground.
static int first_ground_row(const bl_street *street) {
    return (int)(street->horizon + street->camera * street->focal / (2 * horizon_distance)) + 1;
}

static void draw_sky(bl_street *street, bool overcast) {
    bl_colour zenith = overcast ? (bl_colour){0.62, 0.65, 0.7} : (bl_colour){0.3, 0.48, 0.78};
    bl_colour low = {0.78, 0.8, 0.83}, cloud = {0.88, 0.88, 0.9};
    double cover = overcast ? 0.5 : between(street, -0.6, 0.4), at = between(street, 0, GRAIN);
    int width = street->canvas->width, end = first_ground_row(street);
    for (int y = 0; y < end && y < street->canvas->height; ++y)
        for (int x = 0; x < width; ++x) {
            double up = (street->horizon - y) / street->horizon, far = 6.0 / (0.15 + (up > 0 ? up : 0));
            double u = far * (x - street->centre) / width;
            double thick = cover + 0.7 * bl_street_grain(street, u + at, far) + 0.3 * bl_street_grain(street, 4 * u + at, 4 * far);
            bl_colour colour = bl_mix(low, zenith, up > 0 ? up : 0);
            bl_street_put(street, x, y, 0, SKY, thick > 0 ? bl_mix(colour, cloud, thick < 1 ? thick : 1) : colour);
        }
}

// Beyond the road's end: woods and far houses.
static void draw_skyline(bl_street *street) {
    bool woods = chance(street, 0.5);
    double at = between(street, 0, GRAIN), tall = between(street, 4, 14), metre = street->focal / horizon_distance;
    double ground = street->horizon + street->camera * metre;
    int end = ground < street->canvas->height ? (int)ground : street->canvas->height;
    for (int x = 0; x < street->canvas->width; ++x) {
        double place = (x - street->centre) / metre;
        double rough = woods ? bl_street_grain(street, place / 3 + at, at) : street->grain[0][(int)(place / 11 + at + 2 * GRAIN) % GRAIN];
        double top = street->horizon - tall * (0.8 + 0.5 * rough) * metre;
        for (int y = top > 0 ? (int)top : 0; y < end; ++y) {
            double fine = bl_street_grain(street, place + at, (y - top) / metre);
            bl_colour colour = woods ? (bl_colour){0.2, 0.28, 0.16} : bl_shade((bl_colour){0.5, 0.46, 0.42}, 1 + 0.3 * rough);
            bl_street_put(street, x, y, horizon_distance, woods ? VEGETATION : BUILDING, bl_shade(colour, 1 + 0.25 * fine));
        }
    }
}

static bool beside_side_street(const kerb *side, double z) {
    for (int i = 0; i < side->plot_count; ++i)
        if (side->plots[i].kind == SIDE_STREET && z >= side->plots[i].begin && z < side->plots[i].end) return true;
    return false;
}

static bl_colour road_colour(const bl_street *street, const street_plan *layout, double x, double z) {
    double patch = bl_street_grain(street, x / 2, z / 5), fine = bl_street_grain(street, 11 * x, 11 * z);
    bl_colour colour = bl_shade(layout->asphalt, 1 + 0.16 * patch + 0.12 * fine);
    bool dash = bl_fraction(z / 7) < 0.5 && x > -0.08 && x < 0.08;
    if (layout->marked && dash) colour = bl_mix(colour, (bl_colour){0.75, 0.75, 0.72}, 0.75 + 0.25 * fine);
    return colour;
}

static void draw_ground(bl_street *street, const street_plan *layout) {
    int width = street->canvas->width, height = street->canvas->height;
    double scale = street->camera * street->focal;
    for (int y = first_ground_row(street); y < height; ++y) {
        double z = scale / (y + 0.5 - street->horizon);
        bool side_street[2] = {beside_side_street(&layout->sides[0], z), beside_side_street(&layout->sides[1], z)};
        for (int x = 0; x < width; ++x) {
            double across = (x + 0.5 - street->centre) * z / street->focal - layout->middle, off = across < 0 ? -across : across;
            int s = across > 0;
            const kerb *side = &layout->sides[s];
            double fine = bl_street_grain(street, 8 * across, 8 * z);
            bool joint = bl_fraction(across / layout->paving_cell) < 0.05 || bl_fraction(z / layout->paving_cell) < 0.05;
            if (off < side->road || side_street[s]) {
                bool gutter = off > side->road - 0.15 && off < side->road && !side_street[s];
                bl_street_put(street, x, y, z, ROAD, bl_shade(road_colour(street, layout, across, z), gutter ? 0.8 : 1));
            } else if (off > side->wall || (side->grass && off > 0.55 * side->road + 0.45 * side->wall))
                bl_street_put(street, x, y, z, TERRAIN, bl_shade(layout->lawn, 1 + 0.35 * fine));
            else {
                double kerbstone = off < side->road + 0.2 ? 1.2 : joint ? 0.8 : 1;
                double patch = bl_street_grain(street, across, z / 2);
                bl_street_put(street, x, y, z, SIDEWALK, bl_shade(layout->paving, kerbstone * (1 + 0.1 * patch + 0.1 * fine)));
            }
        }
    }
}

// ---- houses and parks ----

// cell: distance of windows; thickness: how much of it is wall; kind: shops below.
static bool show_house(const bl_street *street, const bl_surface *surface, double u, double v, bl_colour *colour, uint8_t *label) {
    (void)label;
    double fine = bl_street_grain(street, 6 * u + surface->seed, 6 * v), stain = bl_street_grain(street, u / 2 + surface->seed, v / 3);
    double column = bl_fraction(u / surface->cell), floor = bl_fraction(v / 3);
    bool ground_floor = v < 3, window = column > surface->thickness && floor > 0.3 && floor < 0.85 && surface->height - v > 0.6;
    *colour = bl_shade(surface->paint, 1 + 0.08 * fine + 0.12 * stain);
    if (ground_floor && surface->kind) {
        *colour = bl_mix(*colour, surface->other, 0.8);
        window = column > 0.12 && floor > 0.15 && floor < 0.8;
    }
    if (window) {
        int at = (int)(u / surface->cell + surface->seed) * 7 + (int)(v / 3) * 13;
        double sky = 0.5 + 0.5 * street->grain[at % GRAIN][3];
        *colour = bl_mix((bl_colour){0.1, 0.1, 0.12}, (bl_colour){0.55, 0.6, 0.68}, 0.7 * sky * sky);
    }
    return true;
}

static bl_surface house_front(bl_street *street, double width) {
    static const bl_colour paints[6] = {{0.62, 0.58, 0.5}, {0.5, 0.3, 0.22}, {0.66, 0.66, 0.66}, {0.4, 0.4, 0.42}, {0.65, 0.55, 0.35}, {0.55, 0.6, 0.55}};
    const bl_colour *paint = &paints[bl_random_below(&street->random, 6)];
    bl_surface front = {.show = show_house, .label = BUILDING, .width = width};
    front.paint = bl_shade(*paint, between(street, 0.6, 1.2));
    front.other = bl_street_colour(street, (bl_colour){0.1, 0.1, 0.1}, (bl_colour){0.7, 0.6, 0.6});
    front.height = between(street, 5, 19);
    front.cell = between(street, 1.6, 3.2);
    front.thickness = between(street, 0.3, 0.65);
    front.seed = between(street, 0, GRAIN);
    front.kind = chance(street, 0.4);
    return front;
}

static void draw_house(bl_street *street, double wall, const street_plot *plot) {
    bl_surface front = house_front(street, plot->end - plot->begin), end = front;
    front.facing = street->sun[wall > 0 ? 0 : 1];
    end.facing = street->sun[2];
    end.width = 14;
    end.thickness = 0.75;
    bl_street_across(street, &end, wall > 0 ? wall : wall - end.width, 0, plot->begin);
    bl_street_along(street, &front, wall, 0, plot->begin);
}

// Bars that one sees through: all of it is fence.
static bool show_fence(const bl_street *street, const bl_surface *surface, double u, double v, bl_colour *colour, uint8_t *label) {
    (void)street, (void)label;
    bool bar = bl_fraction(u / surface->cell) < 0.3 || surface->height - v < 0.12 || v < 0.1;
    if (!bar) colour->r = -1;
    return true;
}

static bool show_wall(const bl_street *street, const bl_surface *surface, double u, double v, bl_colour *colour, uint8_t *label) {
    (void)label;
    bool joint = bl_fraction(v / 0.25) < 0.12;
    *colour = bl_shade(*colour, (joint ? 0.8 : 1) + 0.15 * bl_street_grain(street, 4 * u + surface->seed, 4 * v));
    return true;
}

static void draw_park(bl_street *street, double wall, const street_plot *plot) {
    double length = plot->end - plot->begin, out = wall > 0 ? 1 : -1;
    for (double z = plot->end; z > plot->begin; z -= between(street, 2, 5))
        if (z > 1) bl_street_tree(street, wall + out * between(street, 2.2, 9), z);
    if (chance(street, 0.25)) return;
    bool solid = chance(street, 0.4);
    double value = between(street, 0.12, 0.6);
    bl_surface fence = {.show = solid ? show_wall : show_fence, .label = solid ? WALL : FENCE, .width = length,
                        .facing = street->sun[wall > 0 ? 0 : 1]};
    fence.paint = bl_street_colour(street, (bl_colour){value, 0.85 * value, 0.75 * value}, (bl_colour){value, value, value});
    fence.height = between(street, 0.9, 2.2);
    fence.cell = between(street, 0.15, 0.4);
    fence.seed = between(street, 0, GRAIN);
    bl_street_along(street, &fence, wall, 0, plot->begin);
}

static void draw_side(bl_street *street, const kerb *side, double wall) {
    for (int i = side->plot_count - 1; i >= 0; --i) {
        if (side->plots[i].kind == HOUSE) draw_house(street, wall, &side->plots[i]);
        if (side->plots[i].kind == PARK) draw_park(street, wall, &side->plots[i]);
    }
}

// ---- things ----

// Along each side at most 18 trees, 9 lamps, 4 pieces of furniture, 6 walkers, a rider, 15 parked cars, 2 that drive, 2 on the road:
// what the least gaps of place_things leave room for.
enum { THINGS = 2 * (18 + 9 + 4 + 6 + 1 + 15 + 2 + 2) };
typedef struct street_crowd {
    thing items[THINGS];
    int count;
} street_crowd;

static void place(street_crowd *crowd, thing_drawer draw, double x, double z) {
    crowd->items[crowd->count++] = (thing){draw, x, z};
}

// Between the kerb (0) and the wall (1) of side s.
static double on_pavement(const street_plan *layout, int s, double t) {
    double off = layout->sides[s].road + t * (layout->sides[s].wall - layout->sides[s].road);
    return layout->middle + (s ? off : -off);
}

static double on_road(const street_plan *layout, int s, double t) { return layout->middle + (s ? 1 : -1) * t * layout->sides[s].road; }

static void place_row(bl_street *street, const street_plan *layout, street_crowd *crowd, int s, thing_drawer draw, const double gaps[2],
                      const double across[2]) {
    double gap = between(street, gaps[0], gaps[1]), x = on_pavement(layout, s, between(street, across[0], across[1]));
    for (double z = between(street, 4, 16); z < 90; z += gap * between(street, 0.7, 1.5))
        if (!beside_side_street(&layout->sides[s], z)) place(crowd, draw, x, z);
}

// Up to `most` things somewhere on the pavement, near enough to be seen.
static void strew(bl_street *street, const street_plan *layout, street_crowd *crowd, int s, const thing_drawer *kinds, uint32_t kind_count,
                  uint32_t most, const double across[2]) {
    for (uint32_t i = bl_random_below(&street->random, most + 1); i > 0; --i) {
        thing_drawer draw = kinds[bl_random_below(&street->random, kind_count)];
        double x = on_pavement(layout, s, between(street, across[0], across[1]));
        place(crowd, draw, x, between(street, 4, 32));
    }
}

static void place_things(bl_street *street, const street_plan *layout, street_crowd *crowd) {
    static const thing_drawer furniture[4] = {bl_street_sign, bl_street_traffic_light, bl_street_bin, bl_street_sign};
    static const thing_drawer walker = bl_street_person, rider = bl_street_cyclist;
    static const double tree_gaps[2] = {7, 20}, lamp_gaps[2] = {14, 30}, middle[2] = {0.3, 0.8}, edge[2] = {0.08, 0.3}, all[2] = {0.15, 0.9};
    for (int s = 0; s < 2; ++s) {
        const kerb *side = &layout->sides[s];
        if (chance(street, 0.5)) place_row(street, layout, crowd, s, bl_street_tree, tree_gaps, middle);
        place_row(street, layout, crowd, s, bl_street_lamp, lamp_gaps, edge);
        strew(street, layout, crowd, s, furniture, 4, 4, edge);
        strew(street, layout, crowd, s, &walker, 1, 6, all);
        strew(street, layout, crowd, s, &rider, 1, 1, all);
        bool parking = chance(street, 0.6);
        double gap = between(street, 6, 14), z = between(street, 3, 18);
        for (; parking && z < 80; z += gap * between(street, 0.9, 2))
            if (!beside_side_street(side, z + 2)) place(crowd, bl_street_car, on_road(layout, s, 1) + (s ? -1.1 : 1.1), z);
        for (uint32_t i = bl_random_below(&street->random, 3); i > 0; --i) { // driving
            uint32_t kind = bl_random_below(&street->random, 4);
            place(crowd, kind < 2 ? bl_street_car : kind == 2 ? bl_street_bus : bl_street_truck, on_road(layout, s, 0.42), between(street, 9, 60));
        }
        for (int on_bicycle = 0; on_bicycle < 2; ++on_bicycle) // on the road
            if (chance(street, on_bicycle ? 0.5 : 0.15)) {
                double x = on_road(layout, s, between(street, on_bicycle ? 0.55 : 0, 0.85));
                place(crowd, on_bicycle ? bl_street_cyclist : bl_street_person, x, between(street, 6, 30));
            }
    }
}

static void draw_things(bl_street *street, street_crowd *crowd) {
    for (int i = 1; i < crowd->count; ++i) { // far ones first; insertion keeps equals in their order
        thing moved = crowd->items[i];
        int j = i;
        for (; j > 0 && crowd->items[j - 1].z < moved.z; --j) crowd->items[j] = crowd->items[j - 1];
        crowd->items[j] = moved;
    }
    for (int i = 0; i < crowd->count; ++i) crowd->items[i].draw(street, crowd->items[i].x, crowd->items[i].z);
}

// The bonnet of the camera's own car, of no class.
static void draw_bonnet(bl_street *street) {
    int width = street->canvas->width, height = street->canvas->height;
    double top = between(street, 0.9, 0.97) * height, value = between(street, 0.04, 0.3);
    for (int y = (int)top; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            double side = 2.0 * x / width - 1;
            if (y > top + 0.06 * height * side * side * side * side)
                bl_street_put(street, x, y, 0, BL_SCENE_IGNORED, bl_shade((bl_colour){1, 1, 1.05}, value + 0.3 * (y - top) / height));
        }
}

// ---- from canvas to scene ----

// The label that most of a pixel's parts have; the first one where several do.
static uint8_t most_common(const uint8_t labels[SUPERSAMPLING * SUPERSAMPLING]) {
    int best = 0, best_count = 0;
    for (int i = 0; i < SUPERSAMPLING * SUPERSAMPLING; ++i) {
        int count = 0;
        for (int j = 0; j < SUPERSAMPLING * SUPERSAMPLING; ++j) count += labels[j] == labels[i];
        if (count > best_count) best = i, best_count = count;
    }
    return labels[best];
}

// Noise and the darker corners of a lens.
static void develop(bl_street *street, bl_scene *scene) {
    const bl_scene *canvas = street->canvas;
    double noise = between(street, 4, 18), dark = between(street, 0, 0.3);
    for (int y = 0; y < scene->height; ++y)
        for (int x = 0; x < scene->width; ++x) {
            uint8_t labels[SUPERSAMPLING * SUPERSAMPLING];
            int sums[3] = {0};
            for (int i = 0; i < SUPERSAMPLING * SUPERSAMPLING; ++i) {
                size_t at = (size_t)(SUPERSAMPLING * y + i / SUPERSAMPLING) * canvas->width + SUPERSAMPLING * x + i % SUPERSAMPLING;
                labels[i] = canvas->labels[at];
                for (int c = 0; c < 3; ++c) sums[c] += canvas->pixels[3 * at + c];
            }
            size_t to = (size_t)y * scene->width + x;
            uint32_t bits = bl_random_bits(&street->random);
            double right = 2.0 * x / scene->width - 1, down = 2.0 * y / scene->height - 1;
            double shade = 1 - dark * (right * right + down * down) / 2;
            for (int c = 0; c < 3; ++c) {
                double value = shade * sums[c] / (SUPERSAMPLING * SUPERSAMPLING) + noise * ((bits >> 8 * c & 255) / 127.5 - 1);
                scene->pixels[3 * to + c] = value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)(value + 0.5);
            }
            scene->labels[to] = most_common(labels);
        }
}

int bl_streets_draw(uint64_t seed, bl_scene_split split, uint32_t number, int width, int height, bl_scene *scene) {
    static const char *const streams[BL_SCENE_SPLITS] = {"streets train", "streets val", "streets test", "streets train_extra"};
    bl_scene canvas = {0};
    if (bl_scene_reserve(scene, width, height, true) || bl_scene_reserve(&canvas, SUPERSAMPLING * width, SUPERSAMPLING * height, true)) {
        bl_scene_free(&canvas);
        return BL_FAILED;
    }
    bl_street street = {.random = bl_random_stream(seed, streams[split], number, 0, 0), .canvas = &canvas};
    street_plan layout = {0};
    street_crowd crowd = {.count = 0};
    bool overcast = chance(&street, 0.5);
    draw_camera(&street);
    draw_light(&street, overcast);
    plan(&street, &layout);
    draw_sky(&street, overcast);
    draw_skyline(&street);
    draw_ground(&street, &layout);
    draw_side(&street, &layout.sides[0], layout.middle - layout.sides[0].wall);
    draw_side(&street, &layout.sides[1], layout.middle + layout.sides[1].wall);
    place_things(&street, &layout, &crowd);
    draw_things(&street, &crowd);
    if (chance(&street, 0.3)) draw_bonnet(&street);
    develop(&street, scene);
    bl_scene_free(&canvas);
    return BL_OK;
}

// ---- the set ----

static int count_of(const bl_scenes_options *options, bl_scene_split split) {
    return split == BL_SCENE_TRAIN_EXTRA && options->extra > 0 ? options->extra : options->count;
}

static int index_scenes(const bl_scenes_options *options, bl_scene_index *index) {
    if (options->width < 32 || options->height < 32 || options->width > BL_PNG_SIDE || options->height > BL_PNG_SIDE)
        return bl_fail("streets: %d x %d pixels: between 32 and %d a side are drawn", options->width, options->height, BL_PNG_SIDE);
    if (options->count < 1) return bl_fail("streets: %d scenes: write at least 1", options->count);
    for (int s = 0; s < BL_SCENE_SPLITS; ++s)
        for (int i = 0; i < count_of(options, (bl_scene_split)s) && options->splits >> s & 1; ++i) {
            bl_scene_entry entry = {.width = options->width, .height = options->height, .split = (bl_scene_split)s, .number = (uint32_t)i};
            entry.name = bl_arena_format(index->names, "%s/streets/streets_000000_%06d", bl_scene_split_name(entry.split), i);
            if (bl_scene_index_add(index, &entry)) return BL_FAILED;
        }
    return BL_OK;
}

// Two threads may draw the same scene at once: one of the copies, which are alike, is kept.
static int read_or_draw(const bl_scene_index *index, bl_scene_entry *entry, bl_scene *scene) {
    size_t bytes = 4 * (size_t)entry->width * entry->height;
    uint8_t *kept = entry->kept, *none = NULL;
    if (kept) {
        if (bl_scene_reserve(scene, entry->width, entry->height, true)) return BL_FAILED;
        memcpy(scene->pixels, kept, bytes);
        return BL_OK;
    }
    if (bl_streets_draw(index->options.seed, entry->split, entry->number, entry->width, entry->height, scene)) return BL_FAILED;
    if ((int64_t)bytes > BL_STREETS_KEPT / index->count) return BL_OK;
    if (!(kept = bl_alloc(bytes))) return BL_FAILED;
    memcpy(kept, scene->pixels, bytes);
    if (!atomic_compare_exchange_strong(&entry->kept, &none, kept)) bl_free(kept);
    return BL_OK;
}

static int read(const bl_scene_index *index, int64_t at, bl_scene *scene) {
    if (read_or_draw(index, &index->entries[at], scene)) return BL_FAILED;
    if (!index->options.labelled) scene->labels = NULL;
    return BL_OK;
}

// Of drawn scenes the first of each split stands for how they are drawn.
static int list_splits(const bl_scene_index *index, bl_text *list) {
    bl_scene scene = {0};
    for (int i = 0; i < index->count; ++i) {
        const bl_scene_entry *entry = &index->entries[i];
        if (entry->number) continue;
        if (read(index, i, &scene)) {
            bl_scene_free(&scene);
            return BL_FAILED;
        }
        char sum[65];
        bl_digest_hex(scene.pixels, (scene.labels ? 4 : 3) * (size_t)scene.width * scene.height, sum);
        bl_text_add(list, "streets %s: %d scenes of %d x %d, seed %" PRIu64 ", the first %.16s\n", bl_scene_split_name(entry->split),
                    count_of(&index->options, entry->split), entry->width, entry->height, index->options.seed, sum);
    }
    bl_scene_free(&scene);
    return BL_OK;
}

const bl_scene_format bl_streets = {.index = index_scenes, .read = read, .list = list_splits};
