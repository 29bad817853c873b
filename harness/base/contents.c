#include "base/contents.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"

enum { WORD = 16, LINE = 256, LARGEST = 64 << 20, PIECE = 1 << 20 }; // LARGEST: bytes of the cache, beyond which it begins anew
static const int64_t still = 2000000000;                            // nanoseconds: the coarsest clock of a file system in use

typedef struct entry {
    bl_stamp stamp;
    char what[WORD], digest[65];
} entry;

static struct {
    pthread_mutex_t lock;
    bool is_read;
    entry *entries; // of one stamp and word the last one counts
    int count, capacity;
    int *slots;     // open addressing: 1 + an entry's place; 0: free
    int slot_count; // a power of two, at least twice `count`
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

// ---- stamps ----

static int64_t nanoseconds(struct timespec time) { return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec; }

static bl_stamp stamp_of(const struct stat *facts) {
    return (bl_stamp){facts->st_dev, facts->st_ino, facts->st_size, nanoseconds(facts->st_mtim), nanoseconds(facts->st_ctim)};
}

int bl_stamp_of(const char *path, bl_stamp *stamp) {
    struct stat facts;
    if (stat(path, &facts)) return bl_fail("%s: cannot read: %s", path, strerror(errno));
    if (!S_ISREG(facts.st_mode)) return bl_fail("%s: not a regular file", path);
    *stamp = stamp_of(&facts);
    return BL_OK;
}

bool bl_stamp_equal(const bl_stamp *a, const bl_stamp *b) {
    return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes && a->modified == b->modified && a->changed == b->changed;
}

static bool is_still(const bl_stamp *stamp) {
    struct timespec clock;
    clock_gettime(CLOCK_REALTIME, &clock);
    const int64_t now = nanoseconds(clock);
    return now - stamp->modified > still && now - stamp->changed > still;
}

// ---- the table ----

static uint64_t hash_of(const bl_stamp *stamp, const char *what) {
    uint64_t hash = 14695981039346656037u;
    const uint64_t parts[] = {stamp->device, stamp->inode, (uint64_t)stamp->bytes, (uint64_t)stamp->modified, (uint64_t)stamp->changed, (uint8_t)*what};
    for (int i = 0; i < 6; i++) {
        hash = (hash ^ parts[i]) * 1099511628211u;
        hash ^= hash >> 29;
    }
    return hash;
}

// The slot of that stamp and word, or the free one where it would stand.
static int *slot_of(const bl_stamp *stamp, const char *what) {
    for (uint64_t at = hash_of(stamp, what);; at++) {
        int *slot = &cache.slots[at & (uint64_t)(cache.slot_count - 1)];
        const entry *there = *slot ? &cache.entries[*slot - 1] : NULL;
        if (!there || (bl_stamp_equal(&there->stamp, stamp) && !strcmp(there->what, what))) return slot;
    }
}

static int widen(void) {
    const int wanted = cache.slot_count ? 2 * cache.slot_count : 1024;
    int *slots = bl_alloc((size_t)wanted * sizeof *slots);
    if (!slots) return BL_FAILED;
    bl_free(cache.slots);
    cache.slots = slots;
    cache.slot_count = wanted;
    for (int i = 0; i < cache.count; i++) *slot_of(&cache.entries[i].stamp, cache.entries[i].what) = i + 1;
    return BL_OK;
}

static int add(const entry *added) {
    if (2 * (cache.count + 1) > cache.slot_count && widen()) return BL_FAILED;
    int *slot = slot_of(&added->stamp, added->what);
    if (*slot) {
        cache.entries[*slot - 1] = *added;
        return BL_OK;
    }
    if (bl_grow((void **)&cache.entries, cache.count, &cache.capacity, sizeof *cache.entries)) return BL_FAILED;
    cache.entries[cache.count++] = *added;
    *slot = cache.count;
    return BL_OK;
}

// ---- the file ----

// Its path, or false where there is no place for it.
static bool find_place(bl_text *folder, bl_text *file) {
    const char *cache_home = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache_home && *cache_home == '/') bl_text_add(folder, "%s/byolab", cache_home);
    else if (home && *home == '/') bl_text_add(folder, "%s/.cache/byolab", home);
    else return false;
    bl_text_add(file, "%s/contents", folder->chars);
    return true;
}

// A line that a killed process left half is none.
static bool parse(const char *line, entry *out) {
    int end = 0;
    char digest[66];
    if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %15[a-z] %65[0-9a-f]%n", &out->stamp.device, &out->stamp.inode,
               &out->stamp.bytes, &out->stamp.modified, &out->stamp.changed, out->what, digest, &end) != 7 ||
        line[end] || strlen(digest) != 64)
        return false;
    memcpy(out->digest, digest, sizeof out->digest);
    return true;
}

static void read_lines(char *text) {
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        entry read = {0};
        *end = 0;
        if (parse(line, &read) && add(&read)) return;
    }
}

static void read_cache(void) {
    bl_text folder = {0}, path = {0};
    struct stat facts;
    void *text;
    size_t bytes;
    if (cache.is_read) return;
    cache.is_read = true;
    if (find_place(&folder, &path) && !stat(path.chars, &facts) && S_ISREG(facts.st_mode)) {
        if (facts.st_size > LARGEST) unlink(path.chars);
        else if (bl_read_file_within(path.chars, LARGEST, &text, &bytes) == BL_OK) {
            read_lines(text);
            bl_free(text);
        }
    }
    bl_text_free(&folder);
    bl_text_free(&path);
}

// By one call, so that lines of several processes stay whole.
static void write_line(const entry *kept) {
    bl_text folder = {0}, path = {0}, line = {0};
    if (find_place(&folder, &path) && bl_make_folders(folder.chars) == BL_OK) {
        const int file = open(path.chars, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
        bl_text_add(&line, "%" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " %" PRId64 " %s %s\n", kept->stamp.device, kept->stamp.inode,
                    kept->stamp.bytes, kept->stamp.modified, kept->stamp.changed, kept->what, kept->digest);
        const ssize_t written = file >= 0 ? write(file, line.chars, line.size) : 0;
        (void)written; // where nothing is kept, nothing fails
        if (file >= 0) close(file);
    }
    bl_text_free(&folder);
    bl_text_free(&path);
    bl_text_free(&line);
}

// What the cache cannot do is no failure: what was said of one before stays said.
typedef struct said {
    char message[4096], origin[256];
} said;

static void enter(said *before) {
    snprintf(before->message, sizeof before->message, "%s", bl_error());
    snprintf(before->origin, sizeof before->origin, "%s", bl_error_origin());
    pthread_mutex_lock(&cache.lock);
    read_cache();
}

static void leave(const said *before) {
    pthread_mutex_unlock(&cache.lock);
    if (strcmp(bl_error(), before->message) != 0 && bl_error_set(before->message, before->origin)) return;
}

// ---- the door ----

static bool find(const bl_stamp *stamp, const char *what, char digest[65]) {
    const int *slot = cache.slot_count ? slot_of(stamp, what) : NULL;
    if (!slot || !*slot) return false;
    memcpy(digest, cache.entries[*slot - 1].digest, 65);
    return true;
}

bool bl_contents_find(const bl_stamp *stamp, const char *what, char digest[65]) {
    said before;
    enter(&before);
    const bool is_known = find(stamp, what, digest);
    leave(&before);
    return is_known;
}

void bl_contents_keep(const char *path, const bl_stamp *stamp, const char *what, const char digest[65]) {
    struct stat facts;
    said before;
    entry kept = {.stamp = *stamp};
    char known[65];
    if (stat(path, &facts)) return;
    const bl_stamp now = stamp_of(&facts);
    if (!bl_stamp_equal(stamp, &now) || !is_still(stamp)) return;
    snprintf(kept.what, sizeof kept.what, "%s", what);
    memcpy(kept.digest, digest, sizeof kept.digest);
    enter(&before);
    const bool is_known = find(stamp, what, known) && !strcmp(known, digest);
    if (!is_known && add(&kept) == BL_OK) write_line(&kept);
    leave(&before);
}

void bl_contents_forget(void) {
    pthread_mutex_lock(&cache.lock);
    bl_free(cache.entries);
    bl_free(cache.slots);
    cache.entries = NULL;
    cache.slots = NULL;
    cache.count = cache.capacity = cache.slot_count = 0;
    cache.is_read = false;
    pthread_mutex_unlock(&cache.lock);
}

static int digest_of(const char *path, char digest[65]) {
    int64_t bytes = 0;
    uint8_t *piece = NULL;
    bl_digest running;
    ssize_t got;
    const int file = bl_open_file(path, &bytes);
    if (file < 0) return BL_FAILED;
    int status = (piece = bl_alloc(PIECE)) ? BL_OK : BL_FAILED;
    bl_digest_begin(&running);
    while (!status && (got = read(file, piece, PIECE)) != 0) {
        if (got > 0) bl_digest_add(&running, piece, (size_t)got);
        else if (errno != EINTR) status = bl_fail("%s: cannot read: %s", path, strerror(errno));
    }
    bl_digest_end_hex(&running, digest);
    bl_free(piece);
    close(file);
    return status;
}

int bl_contents_read(const char *path, char digest[65]) {
    bl_stamp stamp;
    if (bl_stamp_of(path, &stamp) || digest_of(path, digest)) return BL_FAILED;
    bl_contents_keep(path, &stamp, BL_CONTENTS_BYTES, digest);
    return BL_OK;
}

int bl_contents_digest(const char *path, char digest[65]) {
    bl_stamp stamp;
    if (bl_stamp_of(path, &stamp)) return BL_FAILED;
    return bl_contents_find(&stamp, BL_CONTENTS_BYTES, digest) ? BL_OK : bl_contents_read(path, digest);
}
