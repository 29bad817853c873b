// street.h - how a drawn street is put onto a canvas: a camera above a flat ground, looking along the road.
//
// Metres: x to the right of the camera, y above the ground, z ahead. What is painted later hides what was painted before, so things
// come from far to near. Only + - * / and sqrt are computed, so that scenes are the same bytes on every machine.

#ifndef BL_DATASETS_STREET_H
#define BL_DATASETS_STREET_H

#include "base/random.h"
#include "datasets/scenes/scene.h"

// Classes by name, as in bl_scene_classes.
enum { ROAD, SIDEWALK, BUILDING, WALL, FENCE, POLE, TRAFFIC_LIGHT, TRAFFIC_SIGN, VEGETATION, TERRAIN, SKY, PERSON, RIDER, CAR, TRUCK, BUS,
       TRAIN, MOTORCYCLE, BICYCLE };
enum { GRAIN = 64 };

typedef struct bl_street {
    bl_random random;
    bl_scene *canvas;
    double focal, centre, horizon; // pixels
    double camera;                 // metres above the ground
    double light[3], haze[3], visibility;
    double sun[3];                 // how bright walls are that face left, right and the camera
    float grain[GRAIN][GRAIN];     // uniform in [-1, 1], repeated
} bl_street;

typedef struct bl_colour {
    double r, g, b;
} bl_colour;

// Draws, one statement each: the order in which C evaluates arguments and initialisers is the compiler's.
static inline double bl_street_between(bl_street *street, double low, double high) { return bl_random_between(&street->random, low, high); }
static inline bool bl_street_chance(bl_street *street, double p) { return bl_random_uniform(&street->random) < p; }
bl_colour bl_street_colour(bl_street *street, bl_colour from, bl_colour to); // each channel between them

// Smooth noise in [-1, 1]; one lattice point a unit.
double bl_street_grain(const bl_street *street, double u, double v);
static inline double bl_fraction(double value) {
    double whole = (double)(int64_t)value;
    return value < whole ? value - whole + 1 : value - whole;
}
static inline bl_colour bl_shade(bl_colour colour, double by) { return (bl_colour){colour.r * by, colour.g * by, colour.b * by}; }
static inline bl_colour bl_mix(bl_colour a, bl_colour b, double t) {
    return (bl_colour){a.r + t * (b.r - a.r), a.g + t * (b.g - a.g), a.b + t * (b.b - a.b)};
}

// One pixel of the canvas, which must hold it.
void bl_street_put(bl_street *street, int x, int y, double depth, uint8_t label, bl_colour colour);

// What a face shows at (u, v) metres from its lower near (or left) corner. False: nothing, what is behind stays. A colour with r below 0
// changes the label alone: one sees through.
typedef struct bl_surface bl_surface;
struct bl_surface {
    bool (*show)(const bl_street *street, const bl_surface *surface, double u, double v, bl_colour *colour, uint8_t *label);
    uint8_t label;
    double width, height;  // metres
    double facing;         // brightness
    bl_colour paint, other;
    double cell, thickness, seed; // sizes of the pattern; where in the grain it lies
    int kind;
};
// Upright rectangles: across the view at z, from x to x + width; and along the road at x, from z to z + width.
void bl_street_across(bl_street *street, const bl_surface *surface, double x, double y, double z);
void bl_street_along(bl_street *street, const bl_surface *surface, double x, double y, double z);
// Darkens the ground from (x, z) to (x + width, z + length).
void bl_street_shadow(bl_street *street, double x, double z, double width, double length, double by);

#endif
