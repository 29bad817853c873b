// contents.h - what files hold, known again without reading them: digests kept beside device, inode, size and times.
//
// They lie in one file of the user, $XDG_CACHE_HOME/byolab/contents or ~/.cache/byolab/contents, a line a digest, which any number of
// processes add to; it may be deleted at any time. Where it cannot be read or written nothing is known again, and nothing fails. Of a
// file that changed in the last seconds nothing is kept: within a clock's tick it may change again and look the same.

#ifndef BL_BASE_CONTENTS_H
#define BL_BASE_CONTENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h" // BL_CHECK

typedef struct bl_stamp { // two files of one stamp are one file, unchanged
    uint64_t device, inode;
    int64_t bytes, modified, changed; // times in nanoseconds
} bl_stamp;
// Of a regular file, following links; fails where there is none.
BL_CHECK int bl_stamp_of(const char *path, bl_stamp *stamp);
bool bl_stamp_equal(const bl_stamp *a, const bl_stamp *b);

// `what` the digest is of: a word. 64 hexadecimal digits.
bool bl_contents_find(const bl_stamp *stamp, const char *what, char digest[65]);
// For who has read the file at `path`, and had taken its stamp before. Kept unless it changed meanwhile.
void bl_contents_keep(const char *path, const bl_stamp *stamp, const char *what, const char digest[65]);

// SHA-256 of a file's bytes: the word for it, and the digest, found or else computed from the file.
#define BL_CONTENTS_BYTES "bytes"
BL_CHECK int bl_contents_digest(const char *path, char digest[65]);
BL_CHECK int bl_contents_read(const char *path, char digest[65]); // from the file, whatever is known of it

// Forgets what this process has read of the cache: another may have written since.
void bl_contents_forget(void);

#endif
