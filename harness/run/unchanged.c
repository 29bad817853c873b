#include "run/unchanged.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "datasets/dataset.h"
#include "datasets/facts.h"
#include "datasets/file_list.h"
#include "record/identity.h" // bl_identity_check_data

// A folder that is not there, or has nothing in it as where a disk is not mounted: no data, and none that changed.
static bool is_nowhere(const char *root) {
    DIR *folder = opendir(root);
    int count = 0;
    if (!folder) return errno == ENOENT || errno == ENOTDIR;
    while (count < 3 && readdir(folder)) count++; // "." and ".."
    closedir(folder);
    return count < 3;
}

static int compare_images(const bl_cell *cell, const bl_container_reader *finished) {
    char *was;
    bl_text now = {0};
    if (bl_container_get_text(finished, BL_DATA_FILES, &was)) return BL_FAILED;
    const int status = bl_file_list_now(was, cell->data.root, &now) || bl_file_list_compare(was, now.chars ? now.chars : "") ? BL_FAILED : BL_OK;
    bl_free(was);
    bl_text_free(&now);
    return status;
}

static int count_unknown(const bl_dataset *dataset, const bl_container_reader *finished, bl_text *said) {
    char *contents;
    int64_t unknown = 0;
    if (!bl_container_has(finished, BL_DATA_CONTENTS)) {
        bl_text_add(said, "its file has names, lengths and checksums of its data, not the digests of what is in them: an earlier version made it\n");
        return BL_OK;
    }
    if (bl_container_get_text(finished, BL_DATA_CONTENTS, &contents)) return BL_FAILED;
    const int status = bl_dataset_compare_contents(dataset, contents, &unknown);
    if (unknown)
        bl_text_add(said, "of %" PRId64 " data file%s names, lengths and checksums are as they were, and the rest was not read: `byolab data FILE --verify` "
                          "does\n", unknown, bl_plural(unknown));
    bl_free(contents);
    return status;
}

static int compare_opened(const bl_cell *cell, const bl_container_reader *finished, const char *path, bl_text *said) {
    bl_identity identity = {0};
    bl_dataset *dataset;
    if (bl_dataset_open(&dataset, &cell->data)) return BL_FAILED;
    identity.dataset = dataset;
    bl_dataset_digest(dataset, identity.dataset_digest);
    int status = bl_identity_check_data(&identity, finished, path);
    if (!status && bl_dataset_is_decoded(dataset)) status = count_unknown(dataset, finished, said);
    bl_dataset_close(dataset);
    return status;
}

int bl_data_moved(const bl_run_key *key, const bl_container_reader *reader, bl_text *said) {
    const char *root = key->cell->data.root;
    char *was, *now;
    if (!root || !bl_container_has(reader, BL_DATA_ROOT)) return BL_OK;
    if (bl_container_get_text(reader, BL_DATA_ROOT, &was)) return BL_FAILED;
    if ((now = realpath(root, NULL)) && strcmp(was, now) != 0) bl_text_add(said, "its data lie in %s now, and lay in %s\n", now, was);
    free(now);
    bl_free(was);
    return BL_OK;
}

static int compare(const bl_run_key *key, const bl_container_reader *finished, const char *path, bl_text *said) {
    const bl_cell *cell = key->cell;
    const bl_dataset_facts *facts = bl_dataset_facts_of(cell->data.name);
    if (facts->is_drawn) return BL_OK;
    if (!cell->data.root || is_nowhere(cell->data.root)) {
        bl_text_add(said, "its data could not be compared: data.root (%s): nothing is there\n", cell->data.root ? cell->data.root : "not written");
        return BL_OK;
    }
    const bool is_listed = facts->load && bl_container_has(finished, BL_DATA_FILES);
    if (is_listed ? compare_images(cell, finished) : compare_opened(cell, finished, path, said))
        return bl_fail("%s: it is finished, and data.root (%s) does not hold what it was made from: %s\n  another folder (--results) or study holds a "
                       "run of other data", path, cell->data.root, bl_error());
    return bl_data_moved(key, finished, said);
}

int bl_data_unchanged(const bl_run_key *key, const bl_container_reader *finished, const char *path, bl_text *said) {
    bl_text unheard = {0};
    const int status = compare(key, finished, path, said ? said : &unheard);
    bl_text_free(&unheard);
    return status;
}
