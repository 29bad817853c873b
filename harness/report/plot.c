#include "report/plot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

static int take_all(FILE *file, bl_text *text) {
    char piece[4096];
    rewind(file);
    for (size_t bytes; (bytes = fread(piece, 1, sizeof piece - 1, file)) > 0;) {
        piece[bytes] = 0;
        bl_text_add(text, "%s", piece);
    }
    return ferror(file) ? bl_fail("gnuplot: cannot read what it wrote: %s", strerror(errno)) : BL_OK;
}

int bl_plot_draw(const char *folder, const char *script, const char *svg, bool *drawn) {
    // -d: no settings of the user's; C: numbers and messages the same everywhere.
    char *const arguments[] = {"gnuplot", "-d", "-e", "to_stdout = 1", (char *)script, NULL};
    bl_text environment = {0}, picture = {0}, messages = {0}, path = {0};
    int status = BL_FAILED, ended = 0;
    pid_t child = 0;
    FILE *out = tmpfile(), *error = tmpfile();
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    *drawn = false;
    if (!out || !error) {
        bl_fail("gnuplot: no temporary file: %s", strerror(errno));
        goto done;
    }
    posix_spawn_file_actions_addchdir_np(&actions, folder);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fileno(out), 1);
    posix_spawn_file_actions_adddup2(&actions, fileno(error), 2);
    const char *search = getenv("PATH");
    bl_text_add(&environment, "PATH=%s", search ? search : "/usr/bin:/bin");
    char *const variables[] = {environment.chars, "LC_ALL=C", NULL};
    const int started = posix_spawnp(&child, "gnuplot", &actions, NULL, arguments, variables);
    if (started == ENOENT) {
        status = BL_OK;
        goto done;
    }
    if (started) {
        bl_fail("gnuplot: cannot start: %s", strerror(started));
        goto done;
    }
    while (waitpid(child, &ended, 0) < 0 && errno == EINTR) {}
    if (take_all(out, &picture) || take_all(error, &messages)) goto done;
    if (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0 || !picture.size) {
        bl_fail("gnuplot failed on %s/%s: %s", folder, script, messages.chars ? messages.chars : "no message");
        goto done;
    }
    bl_text_add(&path, "%s/%s", folder, svg);
    if (bl_atomic_write(path.chars, picture.chars, picture.size)) goto done;
    *drawn = true;
    status = BL_OK;
done:
    posix_spawn_file_actions_destroy(&actions);
    if (out) fclose(out);
    if (error) fclose(error);
    bl_text_free(&environment);
    bl_text_free(&picture);
    bl_text_free(&messages);
    bl_text_free(&path);
    return status;
}
