// svg_rig.h - a figure as a reader sees it: the words, lines, areas and markers of an SVG with their places in pixels, and what the
// axes make of those. Of SVG it knows what a plot needs: paths of M and L, polygons, `use` of a defined marker, text inside a group
// that is moved and perhaps turned.

#ifndef BL_TESTS_SVG_RIG_H
#define BL_TESTS_SVG_RIG_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

typedef enum svg_kind { SVG_TEXT, SVG_LINE, SVG_AREA, SVG_MARKER } svg_kind;

typedef struct svg_point {
    double x, y;
} svg_point;

typedef struct svg_item {
    svg_kind kind;
    char text[96];     // of a text; of a marker the name of its shape
    char anchor;       // of a text: 's'tart, 'm'iddle or 'e'nd lies at its point
    bool is_turned;    // by a quarter
    bool is_dashed;
    unsigned colour;   // red, green, blue
    const svg_point *points;
    int count;         // of points; 1 of a text or a marker
} svg_item;

typedef struct svg_figure {
    double width, height;
    svg_item items[2000];
    svg_point points[20000];
    int count, point_count;
} svg_figure;

// ---- reading ----

static inline const char *svg_attribute(const char *tag, const char *name, char value[256]) {
    const char *end = strchr(tag, '>');
    char before[64];
    for (int form = 0; form < 2; form++) { // both are written
        snprintf(before, sizeof before, form ? " %s = " : " %s=", name);
        const char *at = strstr(tag, before);
        if (!at || at > end) continue;
        at += strlen(before);
        const size_t size = strcspn(at + 1, (char[]){*at, '\0'});
        snprintf(value, 256, "%.*s", (int)(size < 255 ? size : 255), at + 1);
        return at + 1;
    }
    *value = '\0';
    return NULL;
}

static inline unsigned svg_colour(const char *text) {
    unsigned red = 0, green = 0, blue = 0;
    return sscanf(text, "rgb(%u,%u,%u)", &red, &green, &blue) == 3 ? red << 16 | green << 8 | blue : 0;
}

static inline svg_item *svg_add(svg_figure *figure, svg_kind kind, const char *colour) {
    assert_in_range(figure->count, 0, 1999);
    svg_item *item = &figure->items[figure->count++];
    *item = (svg_item){.kind = kind, .colour = svg_colour(colour), .points = figure->points + figure->point_count};
    return item;
}

static inline void svg_add_point(svg_figure *figure, svg_item *item, double x, double y) {
    assert_in_range(figure->point_count, 0, 19999);
    figure->points[figure->point_count++] = (svg_point){x, y};
    item->count++;
}

// A path's parts are lines of their own.
static inline void svg_add_path(svg_figure *figure, const char *tag) {
    char colour[256], dashes[256], ignored[256];
    svg_item *item = NULL;
    const char *at = svg_attribute(tag, "d", ignored);
    svg_attribute(tag, "stroke", colour);
    svg_attribute(tag, "stroke-dasharray", dashes);
    for (double x, y; at && *at && !strchr("'\"", *at); at++) {
        if (*at != 'M' && *at != 'L') continue;
        assert_int_equal(sscanf(at + 1, "%lf,%lf", &x, &y), 2);
        if (*at == 'M') item = svg_add(figure, SVG_LINE, colour);
        assert_non_null(item);
        item->is_dashed = *dashes;
        svg_add_point(figure, item, x, y);
    }
}

static inline void svg_add_area(svg_figure *figure, const char *tag) {
    char colour[256], ignored[256];
    const char *at = svg_attribute(tag, "points", ignored);
    svg_attribute(tag, "fill", colour);
    svg_item *item = svg_add(figure, SVG_AREA, colour);
    for (double x, y; at && sscanf(at, "%lf,%lf", &x, &y) == 2; at += strspn(at, " ")) {
        svg_add_point(figure, item, x, y);
        at += strcspn(at, " '\"");
    }
}

static inline void svg_add_marker(svg_figure *figure, const char *tag) {
    char colour[256], shape[256], transform[256];
    double x, y, scale = 1;
    svg_attribute(tag, "color", colour);
    svg_attribute(tag, "xlink:href", shape);
    svg_attribute(tag, "transform", transform);
    if (sscanf(transform, "translate(%lf,%lf) scale(%lf)", &x, &y, &scale) < 2 || scale < .5) return; // too small to be seen
    svg_item *item = svg_add(figure, SVG_MARKER, colour);
    snprintf(item->text, sizeof item->text, "%.90s", shape);
    svg_add_point(figure, item, x, y);
}

static inline void svg_add_text(svg_figure *figure, const char *group, const char *text) {
    static const struct {
        const char *name;
        char sign;
    } entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}};
    char transform[256], anchor[256];
    double x, y;
    if (*text == '<' || !group) return; // nothing is written
    svg_attribute(group, "transform", transform);
    svg_attribute(group, "text-anchor", anchor);
    assert_int_equal(sscanf(transform, "translate(%lf,%lf)", &x, &y), 2);
    svg_item *item = svg_add(figure, SVG_TEXT, "");
    item->anchor = *anchor;
    item->is_turned = strstr(transform, "rotate(");
    svg_add_point(figure, item, x, y);
    text += strspn(text, " ");
    for (size_t size = 0; *text && *text != '<' && size < sizeof item->text - 1; text++) {
        char sign = *text;
        for (size_t e = 0; e < sizeof entities / sizeof *entities; e++)
            if (!strncmp(text, entities[e].name, strlen(entities[e].name))) {
                sign = entities[e].sign;
                text += strlen(entities[e].name) - 1;
                break;
            }
        item->text[size++] = sign;
    }
}

// Until it is called again.
static inline const svg_figure *svg_read(const char *text) {
    static svg_figure figure;
    const char *group = NULL, *body = strstr(text, "</defs>");
    char value[256];
    figure.count = figure.point_count = 0;
    const char *root = strstr(text, "<svg");
    assert_non_null(root);
    assert_non_null(body);
    svg_attribute(strstr(root, " width=") - 1, "width", value);
    const char *box = svg_attribute(strstr(root, " viewBox=") - 1, "viewBox", value);
    assert_non_null(box);
    assert_int_equal(sscanf(value, "0 0 %lf %lf", &figure.width, &figure.height), 2);
    for (const char *tag = body; (tag = strchr(tag, '<')); tag++) {
        if (!strncmp(tag, "<g ", 3)) group = tag;
        else if (!strncmp(tag, "<path ", 6)) svg_add_path(&figure, tag);
        else if (!strncmp(tag, "<polygon ", 9)) svg_add_area(&figure, tag);
        else if (!strncmp(tag, "<use ", 5)) svg_add_marker(&figure, tag);
        else if (!strncmp(tag, "<text>", 6)) svg_add_text(&figure, group, tag + 6);
    }
    return &figure;
}

// ---- what can be found ----

static inline const svg_item *svg_find(const svg_figure *figure, const char *text) {
    for (int i = 0; i < figure->count; i++)
        if (figure->items[i].kind == SVG_TEXT && !strcmp(figure->items[i].text, text)) return &figure->items[i];
    return NULL;
}

static inline const svg_item *svg_text(const svg_figure *figure, const char *text) {
    const svg_item *item = svg_find(figure, text);
    if (!item) fail_msg("the figure nowhere says '%s'", text);
    return item;
}

static inline bool svg_number(const svg_item *item, double *value) {
    char *end;
    if (item->kind != SVG_TEXT || item->is_turned) return false;
    *value = strtod(item->text, &end);
    return end != item->text && !*end;
}

// The sample that stands left of a word of the legend.
static inline const svg_item *svg_sample(const svg_figure *figure, const char *word, svg_kind kind) {
    const svg_point *at = svg_text(figure, word)->points;
    for (int i = 0; i < figure->count; i++) {
        const svg_item *item = &figure->items[i];
        bool is_it = item->kind == kind && kind != SVG_TEXT;
        for (int p = 0; p < item->count && is_it; p++)
            is_it = item->points[p].x < at->x && item->points[p].x > at->x - 60 && fabs(item->points[p].y - at->y) < 14;
        if (is_it) return item;
    }
    fail_msg("there is no sample beside '%s'", word);
    return NULL;
}

// ---- axes ----

typedef struct svg_axis { // value = from + pixel * slope
    double from, slope;
    double lowest, highest; // labelled values
    double top, bottom;     // pixels of the labels that are outermost
    int labels;
} svg_axis;

static inline svg_axis svg_axis_of(const double *pixels, const double *values, int count) {
    svg_axis axis = {.labels = count, .lowest = INFINITY, .highest = -INFINITY, .top = INFINITY, .bottom = -INFINITY};
    assert_true(count >= 2);
    axis.slope = (values[count - 1] - values[0]) / (pixels[count - 1] - pixels[0]);
    axis.from = values[0] - pixels[0] * axis.slope;
    for (int i = 0; i < count; i++) {
        if (!(fabs(axis.from + pixels[i] * axis.slope - values[i]) < .01 * fabs(values[count - 1] - values[0])))
            fail_msg("the axis' label %g stands where %g is", values[i], axis.from + pixels[i] * axis.slope);
        axis.lowest = fmin(axis.lowest, values[i]);
        axis.highest = fmax(axis.highest, values[i]);
        axis.top = fmin(axis.top, pixels[i]);
        axis.bottom = fmax(axis.bottom, pixels[i]);
    }
    return axis;
}

static inline double svg_value(const svg_axis *axis, double pixel) { return axis->from + pixel * axis->slope; }
static inline double svg_pixel(const svg_axis *axis, double value) { return (value - axis->from) / axis->slope; }

// Of the panel whose turned title this is: numbers that end at one place and stand nearer to it than to any other title. Where a number
// belongs is told by the short line beside it.
static inline svg_axis svg_y_axis(const svg_figure *figure, const char *title) {
    const svg_item *own = svg_text(figure, title);
    double pixels[64], values[64], value;
    int count = 0;
    for (int i = 0; i < figure->count && count < 64; i++) {
        const svg_item *label = &figure->items[i];
        if (!svg_number(label, &value) || label->anchor != 'e') continue;
        bool is_ours = true;
        for (int k = 0; k < figure->count; k++)
            is_ours = is_ours && !(figure->items[k].is_turned && &figure->items[k] != own &&
                                   fabs(figure->items[k].points->y - label->points->y) < fabs(own->points->y - label->points->y));
        for (int k = 0; k < figure->count && is_ours; k++) {
            const svg_item *tick = &figure->items[k];
            if (tick->kind != SVG_LINE || tick->count != 2 || tick->points[0].y != tick->points[1].y || fabs(tick->points[0].y - label->points->y) > 8 ||
                fmin(tick->points[0].x, tick->points[1].x) - label->points->x > 20) continue;
            pixels[count] = tick->points[0].y;
            values[count++] = value;
            break;
        }
    }
    if (count < 2) fail_msg("beside '%s' stand %d numbers", title, count);
    return svg_axis_of(pixels, values, count);
}

// Of a figure with one x axis of numbers.
static inline svg_axis svg_x_axis(const svg_figure *figure) {
    double pixels[64], values[64], value;
    int count = 0;
    for (int i = 0; i < figure->count && count < 64; i++)
        if (svg_number(&figure->items[i], &value) && figure->items[i].anchor == 'm') {
            pixels[count] = figure->items[i].points->x;
            values[count++] = value;
        }
    return svg_axis_of(pixels, values, count);
}

// ---- the page ----

typedef struct svg_box {
    double left, right, top, bottom;
} svg_box;

// About as large as a reader's font makes it.
static inline svg_box svg_box_of(const svg_item *text) {
    const double character = 6, height = 11; // pixels
    const double length = character * (double)strlen(text->text), before = text->anchor == 's' ? 0 : text->anchor == 'm' ? length / 2 : length;
    const double x = text->points->x, y = text->points->y;
    if (text->is_turned) return (svg_box){x - height, x, y - length + before, y + before};
    return (svg_box){x - before, x - before + length, y - height, y};
}

// Nothing lies outside it, and no word on another.
static inline void svg_assert_page(const svg_figure *figure) {
    assert_true(figure->count > 0);
    for (int i = 0; i < figure->count; i++) {
        const svg_item *item = &figure->items[i];
        for (int p = 0; p < item->count; p++)
            if (!(item->points[p].x >= 0 && item->points[p].x <= figure->width && item->points[p].y >= 0 && item->points[p].y <= figure->height))
                fail_msg("(%g, %g) lies outside %g x %g: %s", item->points[p].x, item->points[p].y, figure->width, figure->height, item->text);
        if (item->kind != SVG_TEXT) continue;
        const svg_box box = svg_box_of(item);
        if (box.left < 0 || box.right > figure->width || box.top < 0 || box.bottom > figure->height) fail_msg("'%s' reaches over the edge", item->text);
        for (int k = 0; k < i; k++) {
            if (figure->items[k].kind != SVG_TEXT) continue;
            const svg_box other = svg_box_of(&figure->items[k]);
            if (box.left < other.right && other.left < box.right && box.top < other.bottom && other.top < box.bottom)
                fail_msg("'%s' lies on '%s'", item->text, figure->items[k].text);
        }
    }
}

#endif
