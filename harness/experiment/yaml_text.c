#include "experiment/yaml_text.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static const char *const one_document = "leave the line out: a text is one document";

// ---- before the parse ----

bool bl_yaml_may_hold(uint32_t c) {
    if (c < 0x20) return c == '\t' || c == '\n' || c == '\r';
    const bool is_control = c >= 0x7f && c < 0xa0, ends_a_line = c == 0x2028 || c == 0x2029;
    return !is_control && !ends_a_line && c != 0xfeff && c != 0xfffe && c != 0xffff;
}

// Looks like a space, and indents nothing.
static bool is_false_space(uint32_t c) {
    return c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200b) || c == 0x202f || c == 0x205f || c == 0x2060 || c == 0x3000;
}

static int refuse_bytes(bl_spot spot, const char *text, size_t bytes, size_t at) {
    const unsigned char *head = (const unsigned char *)text;
    const bool is_wide = bytes > 1 && ((head[0] == 0xff && head[1] == 0xfe) || (head[0] == 0xfe && head[1] == 0xff) || !head[0] || !head[1]);
    if (is_wide && at < 2) return bl_refuse(spot, "save it as UTF-8", "not UTF-8, but UTF-16 or no text at all");
    if (!head[at]) return bl_refuse(spot, "leave it out", "a zero byte: no text has one");
    return bl_refuse(spot, "save it as UTF-8", "not UTF-8: byte 0x%02X", head[at]);
}

static int refuse_character(bl_spot spot, uint32_t c) {
    if (c == '\r') return bl_refuse(spot, "end lines by LF, or by CR LF", "a carriage return that ends no line");
    if (c == 0xfeff) return bl_refuse(spot, "leave it out", "a byte order mark (U+FEFF)");
    char advice[80];
    snprintf(advice, sizeof advice, "leave it out, or write it as \"\\u%04X\" between double quotes", c);
    return bl_refuse(spot, advice, "a character that YAML does not let stand there (U+%04X)", c);
}

typedef struct document { // as far as its lines have been seen
    bool has_begun, has_content;
} document;

static bool is_marker(const char *line, size_t bytes, const char *marker) {
    return bytes >= 3 && !memcmp(line, marker, 3) && (bytes == 3 || strchr(" \t\r\n", line[3]));
}

static int check_line(document *seen, bl_spot spot, const char *line, size_t bytes) {
    if (is_marker(line, bytes, "...")) return bl_refuse(spot, one_document, "`...` ends a document");
    if (*line == '%')
        return bl_refuse(spot, "leave the line out, or write a text that begins so between quotes",
                         "a line that begins with %%: directives are not read");
    size_t at = 0;
    if (is_marker(line, bytes, "---")) {
        if (seen->has_begun || seen->has_content) return bl_refuse(spot, one_document, "`---` begins a second document");
        seen->has_begun = true;
        at = 3;
    }
    while (at < bytes && (line[at] == ' ' || line[at] == '\t')) at++;
    seen->has_content |= at < bytes && !strchr("#\r\n", line[at]);
    uint32_t first = 0;
    if (!bl_utf8_next(line + at, bytes - at, &first) || !is_false_space(first)) return BL_OK;
    spot.column += (int)at;
    return bl_refuse(spot, "write spaces", "a character that only looks like a space (U+%04X)", first);
}

static int check(const bl_source *source, const char *text, size_t bytes, bool is_json) {
    bl_spot spot = {source, 1, 1};
    document seen = {0};
    for (size_t at = 0; at < bytes;) {
        uint32_t c = 0;
        if (!is_json && spot.column == 1 && check_line(&seen, spot, text + at, bytes - at)) return BL_FAILED;
        const int length = bl_utf8_next(text + at, bytes - at, &c);
        if (!length || !c) return refuse_bytes(spot, text, bytes, at);
        const bool ends_nothing = c == '\r' && !(at + 1 < bytes && text[at + 1] == '\n');
        const bool may_stand = is_json ? c >= ' ' || strchr("\t\n\r", (int)c) : bl_yaml_may_hold(c) && !ends_nothing;
        if (!may_stand || (!at && c == 0xfeff)) return refuse_character(spot, c);
        at += (size_t)length;
        spot = c == '\n' ? (bl_spot){source, spot.line + 1, 1} : (bl_spot){source, spot.line, spot.column + 1};
    }
    return BL_OK;
}

int bl_yaml_check_text(const bl_source *source, const char *text, size_t bytes) { return check(source, text, bytes, false); }

int bl_json_check_text(const bl_source *source, const char *text, size_t bytes) { return check(source, text, bytes, true); }

// ---- after a syntax error ----

enum { MOST_OPEN = 64 };

typedef struct scan { // of the text, as far as brackets and quotes go
    const bl_source *source;
    const char *at, *end;
    int line, column;
    bool begins;                // a value may begin here: what opens there is no part of a text
    char open[MOST_OPEN];
    bl_spot open_at[MOST_OPEN];
    int depth;
    bl_spot quote;              // the last one that went over lines, and where that ended; line 0: none
    int quote_end;
} scan;

static void step(scan *s) {
    if (*s->at == '\n') s->line++, s->column = 0;
    s->column += ((unsigned char)*s->at++ & 0xc0) != 0x80;
}

static void skip_line(scan *s) {
    while (s->at < s->end && *s->at != '\n') step(s);
}

static int indentation(const char *line, const char *end) {
    int count = 0;
    while (line + count < end && line[count] == ' ') count++;
    return line + count < end && !strchr("\r\n", line[count]) ? count : -1; // of an empty line: none
}

// The lines of a | or > text: those that are indented more than the one it began in.
static void skip_block(scan *s, const char *line) {
    const int outer = indentation(line, s->end);
    skip_line(s);
    while (s->at < s->end) {
        const int inner = indentation(s->at + 1, s->end);
        if (s->at + 1 < s->end && inner >= 0 && inner <= outer) return;
        step(s);
        skip_line(s);
    }
}

static int skip_quoted(scan *s) {
    const char quote = *s->at;
    const bl_spot from = {s->source, s->line, s->column};
    for (step(s); s->at < s->end; step(s)) {
        if (*s->at == '\\' && quote == '"' && s->at + 1 < s->end) step(s);
        else if (*s->at == quote && quote == '\'' && s->at + 1 < s->end && s->at[1] == quote) step(s);
        else if (*s->at == quote) break;
    }
    if (s->at >= s->end) return bl_refuse(from, "write the closing one behind the text", "this %c is never closed", quote);
    step(s);
    if (s->line > from.line) s->quote = from, s->quote_end = s->line;
    return BL_OK;
}

static int close_bracket(scan *s) {
    const bl_spot here = {s->source, s->line, s->column};
    const char bracket = *s->at, wanted = bracket == ']' ? '[' : '{';
    if (!s->depth) return bl_refuse(here, "leave it out, or open it", "this %c closes nothing", bracket);
    const bl_spot opened = s->open_at[--s->depth];
    if (s->open[s->depth] == wanted) return BL_OK;
    return bl_refuse(here, s->open[s->depth] == '[' ? "write ]" : "write }", "%c cannot close the %c of line %d, column %d", bracket,
                     s->open[s->depth], opened.line, opened.column);
}

static int scan_brackets(scan *s) {
    const char *line = s->at;
    s->begins = true;
    while (s->at < s->end) {
        const char c = *s->at, before = s->at == line ? '\n' : s->at[-1];
        const bool is_apart = before == ' ' || before == '\t' || before == '\n';
        const bool ends_word = s->at + 1 == s->end || strchr(" \t\r\n", s->at[1]) || (s->depth && strchr("[]{},", s->at[1]));
        if (c == '#' && is_apart) {
            skip_line(s);
            continue;
        }
        if ((c == '"' || c == '\'') && s->begins) {
            if (skip_quoted(s)) return BL_FAILED;
            s->begins = false;
            continue;
        }
        if ((c == '|' || c == '>') && s->begins && !s->depth) {
            skip_block(s, line);
            continue;
        }
        if ((c == '[' || c == '{') && (s->begins || s->depth)) {
            if (s->depth == MOST_OPEN) return BL_OK; // more than we follow
            s->open[s->depth] = c;
            s->open_at[s->depth++] = (bl_spot){s->source, s->line, s->column};
        }
        if ((c == ']' || c == '}') && (s->begins || s->depth || before == ']' || before == '}') && close_bracket(s)) return BL_FAILED;
        const bool opens = c == '\n' || (s->depth && strchr("[{,", c)) || (strchr("-?:", c) && ends_word) || (s->depth && c == ':');
        const bool is_prefix = s->begins && (strchr(" \t\r", c) || c == '&' || c == '!');
        if (is_prefix && !strchr(" \t\r", c))
            while (s->at + 1 < s->end && !strchr(" \t\r\n", s->at[1])) step(s); // an anchor or a tag before what begins
        s->begins = opens || is_prefix;
        step(s);
        if (c == '\n') line = s->at;
    }
    if (!s->depth) return BL_OK;
    const char bracket = s->open[--s->depth];
    return bl_refuse(s->open_at[s->depth], bracket == '[' ? "write ] behind its last value" : "write } behind its last value",
                     "this %c is never closed", bracket);
}

static const char *find_line(const char *text, const char *end, int number) {
    for (int i = 1; i < number && text; i++) {
        text = memchr(text, '\n', (size_t)(end - text));
        text = text ? text + 1 : NULL;
    }
    return text;
}

// "epochs:3": a word, a colon, and no space.
static int check_colon(const bl_source *source, const char *line, const char *end, int number) {
    const char *newline = memchr(line, '\n', (size_t)(end - line)), *stop = newline ? newline : end;
    const char *at = line;
    while (at < stop && strchr(" -{[,", *at)) at++;
    const char *word = at;
    while (at < stop && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.", *at)) at++;
    if (at == word || at + 1 >= stop || *at != ':' || strchr(" \t\r/", at[1])) return BL_OK;
    char advice[100];
    snprintf(advice, sizeof advice, "write `%.*s: `, with a space", at - word < 60 ? (int)(at - word) : 60, word);
    return bl_refuse(((bl_spot){source, number, (int)(at - line) + 1}), advice, "a colon without a space behind it");
}

int bl_yaml_refuse_syntax(const bl_source *source, const char *text, size_t bytes, bl_spot spot, const char *reason) {
    static const struct {
        const char *part, *advice; // of the parser's words
    } hints[] = {
        {"nested block mapping", "write a text that holds a colon between quotes, or the keys below it, indented"},
        {"missing comma", "write a comma between two entries, and a text that holds a colon or a comma between quotes"},
        {"expected ':'", "write `key: value`"},
        {"expected key", "write `key: value`"},
        {"value after mapping", "write `key: value`"},
        {"plain scalar", "write the text between quotes"},
        {"indent", "indent the keys of one map by the same number of spaces"},
        {"document start", "write the keys of one map below each other, none behind a closed one"},
        {"multiline", "indent the keys of one map by the same number of spaces; write a text of more lines between quotes"},
    };
    const char *end = text + bytes, *line = find_line(text, end, spot.line);
    for (const char *at = line; at && at < end && (*at == ' ' || *at == '\t'); at++)
        if (*at == '\t') return bl_refuse(((bl_spot){source, spot.line, (int)(at - line) + 1}), "indent by spaces", "a tab in the indentation");
    scan s = {.source = source, .at = text, .end = end, .line = 1, .column = 1};
    if (scan_brackets(&s)) return BL_FAILED;
    if (s.quote.line && (s.quote_end == spot.line || s.quote.line == spot.line))
        return bl_refuse(s.quote, "close it in its line", "this quote is closed in line %d, and what follows there is none of it", s.quote_end);
    for (int number = spot.line; number >= 1 && number >= spot.line - 1; number--) {
        line = find_line(text, end, number);
        if (line && check_colon(source, line, end, number)) return BL_FAILED;
    }
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (strstr(reason, hints[i].part)) return bl_refuse(spot, hints[i].advice, "%s", reason);
    return bl_refuse(spot, "", "%s", reason);
}
