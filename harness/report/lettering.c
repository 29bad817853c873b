#include "report/lettering.h"

#include <math.h>
#include <string.h>

// Each glyph's strokes: points as pairs of digits, x then y, a space between strokes; one point alone is a dot. Capitals stand from
// y 0 to the baseline at 6, small letters from 2, and hang to 8.
static const char *const glyphs[] = {
    // ! " # $ % & ' ( ) * + , - . /
    "0004 06", "0002 2022", "1016 3036 0242 0444", "413010010213334445361605 2026", "0010110100 4006 3545463635", "46121120310405162644",
    "0002", "10010617", "00111607", "1014 0123 0321", "2226 0444", "1607", "0434", "06", "3006",
    // 0 to 9
    "102031352616050110", "012026", "01103041420646", "004022324345361605", "36300444", "400002324345361605", "413010010516364543321203",
    "004016", "103041423313020110 133344453616050413", "433414030110304145361605",
    // : ; < = > ? @
    "03 06", "13 1607", "320436", "0343 0545", "023406", "01103041422324 26", "3616050110304144343222132434",
    // A to Z
    "062046 1434", "0006 003041423303 3344453606", "4130100105163645", "00204244260600", "40000646 0333", "400006 0333",
    "41301001051636454323", "0006 4046 0343", "0006", "3035261605", "0006 4004 1346", "000646", "0600234046", "06004640",
    "103041453616050110", "06003041423303", "103041453616050110 2446", "06003041423303 2346", "413010010213334445361605", "0040 2026",
    "000516364540", "002640", "0016325660", "0046 4006", "002340 2326", "00400646",
    // [ \ ] ^ _ `
    "10000717", "0036", "00101707", "022042", "0747", "0011",
    // a to z
    "4332120305163645 4246", "0006 0312324345361605", "4332120305163645", "4332120305163645 4046", "04444332120305163645", "30201116 0232",
    "4332120305163645 4247381807", "0006 0312324346", "0206 00", "121708 10", "0006 3205 1436", "000516", "0206 0312223336 3342526366",
    "0206 0312324346", "123243453616050312", "0208 0312324345361605", "4332120305163645 4248", "0206 031232", "43321203143445361605",
    "10152636 0232", "0205163645 4246", "022642", "0216335662", "0246 4206", "0226 42261808", "02420646",
    // { | } ~
    "20111304151627", "0007", "00111324151607", "04132433",
};
static const char box[] = "0040460600";
enum { FIRST = '!', BETWEEN = 2, SPACE = 4 }; // units between letters, and of a space with that

static const double radius = .42;  // of a stroke, in units
static const uint8_t ink = 0x22;

// The glyph at *text, which moves on by a whole character of UTF-8; NULL: a space.
static const char *next_glyph(const char **text) {
    const unsigned char first = (unsigned char)*(*text)++;
    while (((unsigned char)**text & 0xc0) == 0x80) (*text)++;
    if (first == ' ') return NULL;
    return first < FIRST || first - FIRST >= (int)(sizeof glyphs / sizeof *glyphs) ? box : glyphs[first - FIRST];
}

static int units_of(const char *glyph) {
    int right = 0;
    for (const char *c = glyph; *c; c += *c == ' ' ? 1 : 2)
        if (*c != ' ' && *c - '0' > right) right = *c - '0';
    return right + BETWEEN;
}

double bl_lettering_width(const char *text, double unit) {
    int units = 0;
    while (*text) {
        const char *glyph = next_glyph(&text);
        units += glyph ? units_of(glyph) : SPACE;
    }
    return unit * units;
}

static double distance(double x, double y, double ax, double ay, double bx, double by) {
    const double dx = bx - ax, dy = by - ay, length = dx * dx + dy * dy;
    const double along = length > 0 ? fmin(fmax(((x - ax) * dx + (y - ay) * dy) / length, 0), 1) : 0;
    return hypot(x - ax - along * dx, y - ay - along * dy);
}

// To the nearest stroke, in units.
static double distance_to(const char *glyph, double x, double y) {
    double nearest = INFINITY;
    for (const char *c = glyph; *c; c += c[2] == ' ' ? 3 : 2) {
        const char *end = c[2] && c[2] != ' ' ? c + 2 : c;
        nearest = fmin(nearest, distance(x, y, c[0] - '0', c[1] - '0', end[0] - '0', end[1] - '0'));
    }
    return nearest;
}

static void draw_glyph(const bl_canvas *canvas, double left, double top, double unit, const char *glyph) {
    const int bottom = (int)ceil(top + unit * BL_LETTERING_LINE), right = (int)ceil(left + unit * units_of(glyph));
    for (int y = (int)floor(top - unit); y <= bottom; y++)
        for (int x = (int)floor(left - unit); x <= right; x++) {
            if (x < 0 || y < 0 || x >= canvas->width || y >= canvas->height) continue;
            const double outside = distance_to(glyph, (x + .5 - left) / unit - radius, (y + .5 - top) / unit) - radius;
            const double cover = fmin(fmax(.5 - outside * unit, 0), 1); // part of the pixel, nearly
            uint8_t *pixel = canvas->rgb + 3 * ((int64_t)y * canvas->width + x);
            for (int k = 0; k < 3; k++) pixel[k] = (uint8_t)(pixel[k] + cover * (ink - pixel[k]) + .5);
        }
}

void bl_lettering_draw(const bl_canvas *canvas, double left, double top, double unit, const char *text) {
    while (*text) {
        const char *glyph = next_glyph(&text);
        if (glyph) draw_glyph(canvas, left, top, unit, glyph);
        left += unit * (glyph ? units_of(glyph) : SPACE);
    }
}
