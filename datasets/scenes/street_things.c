// What stands and moves in a drawn street. Most colours are drawn from ranges that several classes share.

#include "datasets/scenes/street_things.h"

static double between(bl_street *street, double low, double high) { return bl_street_between(street, low, high); }
static bool chance(bl_street *street, double p) { return bl_street_chance(street, p); }
static bool inside_disc(double u, double v, double x, double y, double radius) {
    return (u - x) * (u - x) + (v - y) * (v - y) < radius * radius;
}
static bl_colour grey(double value) { return (bl_colour){value, value, value}; }

// Any colour, mostly dull.
static bl_colour any_colour(bl_street *street) {
    double base = between(street, 0.08, 0.75), spread = chance(street, 0.3) ? 0.35 : 0.08;
    bl_colour colour = bl_street_colour(street, grey(base - spread), grey(base + spread));
    if (colour.r < 0.02) colour.r = 0.02;
    if (colour.g < 0.02) colour.g = 0.02;
    if (colour.b < 0.02) colour.b = 0.02;
    return colour;
}

// ---- trees ----

static bool show_tree(const bl_street *street, const bl_surface *surface, double u, double v, bl_colour *colour, uint8_t *label) {
    (void)label;
    double x = (u - surface->width / 2) / (surface->width / 2), y = (v - surface->cell) / (surface->height - surface->cell);
    double coarse = bl_street_grain(street, 2.2 * u + surface->seed, 2.2 * v), fine = bl_street_grain(street, 9 * u + surface->seed, 9 * v);
    double from_centre = x * x + (2 * y - 1) * (2 * y - 1);
    if (from_centre < 1 + 0.35 * coarse + 0.35 * fine) {
        *colour = bl_shade(*colour, 0.75 + 0.3 * fine + 0.25 * coarse + 0.3 * (y - 0.5) - 0.15 * x);
        return true;
    }
    if (v > surface->cell * 1.3 || u - surface->width / 2 > surface->thickness || surface->width / 2 - u > surface->thickness) return false;
    *colour = bl_shade(surface->other, 1 + 0.4 * fine);
    return true;
}

void bl_street_tree(bl_street *street, double x, double z) {
    double wide = between(street, 2.2, 5), tall = between(street, 4, 9), dry = chance(street, 0.25) ? between(street, 0.3, 1) : 0;
    bl_colour leaf = bl_street_colour(street, (bl_colour){0.12, 0.22, 0.08}, (bl_colour){0.28, 0.42, 0.2});
    double trunk = chance(street, 0.2) ? 0.1 : between(street, 1.5, 2.6), thick = between(street, 0.08, 0.22);
    bl_surface tree = {.show = show_tree, .label = VEGETATION, .width = wide, .height = tall, .facing = street->sun[2],
                       .paint = bl_mix(leaf, (bl_colour){0.5, 0.36, 0.18}, dry), .other = {0.25, 0.2, 0.16},
                       .cell = trunk, .thickness = thick, .seed = between(street, 0, GRAIN)};
    bl_street_shadow(street, x - wide / 2, z - wide / 3, wide, wide, 0.75);
    bl_street_across(street, &tree, x - wide / 2, 0, z);
}

// ---- people ----

// thickness: how far the legs are apart; cell: height of the hip.
static bool show_person(const bl_street *street, const bl_surface *surface, double u, double v, bl_colour *colour, uint8_t *label) {
    (void)label;
    double middle = surface->width / 2, off = u > middle ? u - middle : middle - u, tall = surface->height;
    double fine = 1 + 0.2 * bl_street_grain(street, 14 * u + surface->seed, 14 * v);
    if (inside_disc(u, v, middle, tall - 0.13, 0.125)) {
        *colour = v > tall - 0.09 ? (bl_colour){0.15, 0.11, 0.08} : (bl_colour){0.62, 0.46, 0.37};
        return true;
    }
    if (v > tall - 0.27) return false;
    if (v > surface->cell) { // torso and arms
        *colour = bl_shade(*colour, fine);
        return off < 0.15 + 0.1 * (tall - 0.27 - v < 0.15 ? (tall - 0.27 - v) / 0.15 : 1);
    }
    double spread = surface->thickness * (surface->cell - v) / surface->cell;
    *colour = bl_shade(surface->other, fine);
    return off < 0.11 + spread && off > spread - 0.06;
}

static bl_surface dress(bl_street *street, uint8_t label) {
    bl_surface person = {.show = show_person, .label = label, .width = 0.62, .facing = street->sun[2]};
    person.height = between(street, 1.55, 1.9);
    person.paint = any_colour(street);
    person.other = any_colour(street);
    person.cell = between(street, 0.75, 0.95);
    person.thickness = between(street, 0.02, 0.17);
    person.seed = between(street, 0, GRAIN);
    return person;
}

void bl_street_person(bl_street *street, double x, double z) {
    bl_surface person = dress(street, PERSON);
    if (chance(street, 0.15)) person.height *= 0.65, person.cell *= 0.65; // a child
    bl_street_shadow(street, x - 0.25, z - 0.1, 0.5, 0.4, 0.7);
    bl_street_across(street, &person, x - person.width / 2, 0, z);
}

// Two wheels and a frame, from the side or (kind 1) from behind.
static bool show_bicycle(const bl_street *street, const bl_surface *surface, double u, double v, bl_colour *colour, uint8_t *label) {
    (void)street, (void)label;
    const double radius = 0.34, line = 0.05;
    if (surface->kind) return (u > 0.2 && u < 0.3 && v < 0.75) || (v > 0.85 && v < 0.95);
    for (int wheel = 0; wheel < 2; ++wheel) {
        double centre = wheel ? surface->width - radius : radius;
        if (inside_disc(u, v, centre, radius, radius) && !inside_disc(u, v, centre, radius, radius - line)) {
            *colour = grey(0.08);
            return true;
        }
    }
    double along = (u - radius) / (surface->width - 2 * radius);
    if (along < 0 || along > 1) return false;
    double low = radius + 0.5 * (0.5 - along > 0 ? 0.5 - along : along - 0.5);
    return (v > low - line && v < low + line) || (v > 0.8 && v < 0.8 + 2 * line);
}

void bl_street_cyclist(bl_street *street, double x, double z) {
    bool behind = chance(street, 0.5);
    bl_surface bicycle = {.show = show_bicycle, .label = BICYCLE, .width = behind ? 0.5 : 1.7, .height = 1, .facing = street->sun[2],
                          .paint = any_colour(street), .kind = behind};
    bl_surface rider = dress(street, RIDER);
    rider.cell = 0.35;
    rider.height = 1.15;
    bl_street_shadow(street, x - bicycle.width / 2, z - 0.1, bicycle.width, 0.3, 0.7);
    bl_street_across(street, &bicycle, x - bicycle.width / 2, 0, z);
    if (chance(street, 0.8)) bl_street_across(street, &rider, x - rider.width / 2, 0.6, z); // else it is parked
}

// ---- street furniture ----

static bool show_plain(const bl_street *street, const bl_surface *surface, double u, double v, bl_colour *colour, uint8_t *label) {
    (void)label;
    *colour = bl_shade(*colour, 1 + 0.12 * bl_street_grain(street, 6 * u + surface->seed, 6 * v));
    return true;
}

static void pole(bl_street *street, double x, double z, double width, double height, bl_colour colour) {
    bl_surface post = {.show = show_plain, .label = POLE, .width = width, .height = height, .facing = street->sun[2], .paint = colour,
                       .seed = between(street, 0, GRAIN)};
    bl_street_across(street, &post, x - width / 2, 0, z);
}

void bl_street_lamp(bl_street *street, double x, double z) {
    bl_colour paint = grey(between(street, 0.15, 0.6));
    double tall = between(street, 4.5, 7.5), arm = between(street, 0.6, 1.8);
    pole(street, x, z, between(street, 0.14, 0.26), tall, paint);
    bl_surface across = {.show = show_plain, .label = POLE, .width = arm, .height = 0.14, .facing = street->sun[2], .paint = paint};
    bl_street_across(street, &across, x > 0 ? x - arm : x, tall - 0.14, z); // over the road
}

// kind 0: disc, 1: triangle, 2: rectangle.
static bool show_sign(const bl_street *street, const bl_surface *surface, double u, double v, bl_colour *colour, uint8_t *label) {
    (void)street, (void)label;
    double x = 2 * u / surface->width - 1, y = 2 * v / surface->height - 1, off = x < 0 ? -x : x, rim;
    if (surface->kind == 0) rim = x * x + y * y;
    else if (surface->kind == 1) rim = off > -y ? off + (y + 1) / 2 : -y;
    else rim = off > y ? (off > -y ? off : -y) : y;
    if (rim > 1) return false;
    if (rim < 0.6) *colour = off < 0.25 && y < 0.3 && y > -0.4 ? bl_shade(surface->paint, 0.5) : surface->other;
    return true;
}

void bl_street_sign(bl_street *street, double x, double z) {
    static const bl_colour paints[4] = {{0.65, 0.1, 0.1}, {0.12, 0.22, 0.55}, {0.7, 0.6, 0.12}, {0.7, 0.7, 0.7}};
    int kind = (int)bl_random_below(&street->random, 3), first = (int)bl_random_below(&street->random, 4);
    double side = between(street, 0.6, 1), low = between(street, 1.8, 2.6);
    double tall = side * (kind == 2 ? between(street, 0.7, 1.5) : 1);
    bl_surface sign = {.show = show_sign, .label = TRAFFIC_SIGN, .width = side, .height = tall, .facing = street->sun[2],
                       .paint = paints[first], .other = chance(street, 0.6) ? paints[3] : paints[first], .kind = kind};
    pole(street, x, z, 0.09, low + 0.2, grey(between(street, 0.3, 0.6)));
    bl_street_across(street, &sign, x - side / 2, low, z);
}

static bool show_lights(const bl_street *street, const bl_surface *surface, double u, double v, bl_colour *colour, uint8_t *label) {
    (void)street, (void)label;
    static const bl_colour lamps[3] = {{0.1, 0.9, 0.4}, {1, 0.7, 0.1}, {1, 0.15, 0.1}};
    for (int i = 0; i < 3; ++i)
        if (inside_disc(u, v, surface->width / 2, surface->height * (2 * i + 1) / 6, 0.11))
            *colour = i == surface->kind ? lamps[i] : grey(0.12);
    return true;
}

void bl_street_traffic_light(bl_street *street, double x, double z) {
    double low = between(street, 2.2, 3.2);
    bl_surface lights = {.show = show_lights, .label = TRAFFIC_LIGHT, .width = 0.4, .height = 1.05, .facing = 1, .paint = grey(0.06),
                         .kind = (int)bl_random_below(&street->random, 3)};
    pole(street, x, z, 0.13, low, grey(between(street, 0.12, 0.5)));
    bl_street_across(street, &lights, x - 0.2, low, z);
}

void bl_street_bin(bl_street *street, double x, double z) {
    double wide = between(street, 0.4, 1), tall = between(street, 0.6, 1.2);
    bl_colour paint = any_colour(street);
    bl_surface bin = {.show = show_plain, .label = BL_SCENE_IGNORED, .width = wide, .height = tall, .facing = street->sun[2], .paint = paint,
                      .seed = between(street, 0, GRAIN)};
    bl_street_across(street, &bin, x - bin.width / 2, 0, z);
}

// ---- vehicles: one face across the view, one along the road ----

typedef struct vehicle_kind {
    uint8_t label;
    double width[2], length[2], height[2], belt[2]; // between which they are; belt: where windows begin
    double lean;
    bool windows;
} vehicle_kind;

// kind 0: from behind, 1: the side; cell: belt; thickness: how far the cabin leans in (0: it stands straight).
static bool show_vehicle(const bl_street *street, const bl_surface *surface, double u, double v, bl_colour *colour, uint8_t *label) {
    (void)label;
    double length = surface->width, above = (v - surface->cell) / (surface->height - surface->cell), edge = u < length - u ? u : length - u;
    bool side = surface->kind == 1, low = v < 0.28;
    if (side)
        for (int wheel = 0; wheel < 2; ++wheel) {
            double centre = wheel ? 0.8 * length : 0.18 * length;
            if (!inside_disc(u, v, centre, 0.33, 0.36)) continue;
            *colour = inside_disc(u, v, centre, 0.33, 0.18) ? grey(0.4) : grey(0.05);
            return true;
        }
    if (low) {
        *colour = grey(0.05);
        return v > 0.18 || (!side && edge < 0.25);
    }
    if (above < 0) {
        *colour = bl_shade(*colour, 0.85 + 0.25 * v / surface->cell + 0.04 * bl_street_grain(street, 5 * u + surface->seed, 5 * v));
        if (!side && edge < 0.28 && v > surface->cell - 0.25) *colour = (bl_colour){0.55, 0.08, 0.07};
        if (!side && v < 0.62 && v > 0.5 && edge > length / 2 - 0.26) *colour = grey(0.7);
        return true;
    }
    double lean = surface->thickness * above, front = side && surface->thickness > 0 ? 0.9 : 0; // a car's bonnet
    double ahead = front + (side ? 1.6 : 1) * lean; // the windscreen is flatter than the rear one
    if (u < lean + 0.05 || length - u < ahead + 0.05) return surface->thickness == 0;
    bool pillar = u < lean + 0.14 || length - u < ahead + 0.14 || above > 0.88 ||
                  (side && bl_fraction(u / surface->width * (surface->thickness > 0 ? 3 : 7)) < 0.1);
    if (!pillar && surface->other.r >= 0) *colour = bl_mix(surface->other, grey(0.6), 0.25 * above);
    return true;
}

static void vehicle(bl_street *street, double x, double z, const vehicle_kind *kind) {
    static const bl_colour glass = {0.1, 0.12, 0.14}, none = {-1, 0, 0};
    double width = between(street, kind->width[0], kind->width[1]), length = between(street, kind->length[0], kind->length[1]);
    double height = between(street, kind->height[0], kind->height[1]), belt = between(street, kind->belt[0], kind->belt[1]);
    bl_colour paint = any_colour(street);
    bl_surface back = {.show = show_vehicle, .label = kind->label, .width = width, .height = height, .facing = street->sun[2], .paint = paint,
                       .other = kind->windows ? glass : none, .cell = belt, .thickness = kind->lean, .seed = between(street, 0, GRAIN)};
    bl_surface side = back;
    double left = x - width / 2;
    side.width = length;
    side.kind = 1;
    side.facing = street->sun[x > 0 ? 0 : 1];
    bl_street_shadow(street, left - 0.1, z - 0.3, width + 0.2, length + 0.4, 0.45);
    bl_street_along(street, &side, x > 0 ? left : left + width, 0, z);
    bl_street_across(street, &back, left, 0, z);
}

void bl_street_car(bl_street *street, double x, double z) {
    static const vehicle_kind car = {CAR, {1.65, 1.9}, {3.7, 4.8}, {1.35, 1.75}, {0.8, 0.95}, 0.28, true};
    vehicle(street, x, z, &car);
}

void bl_street_truck(bl_street *street, double x, double z) {
    static const vehicle_kind truck = {TRUCK, {2.1, 2.5}, {6, 9}, {2.6, 3.6}, {1, 1}, 0, false};
    vehicle(street, x, z, &truck);
}

void bl_street_bus(bl_street *street, double x, double z) {
    static const vehicle_kind bus = {BUS, {2.5, 2.6}, {9, 12}, {2.9, 3.3}, {1.1, 1.4}, 0, true};
    vehicle(street, x, z, &bus);
}
