// How busy others keep the machine: /proc as it might read, and a child that works.

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h" // bl_seconds
#include "base/load.h"
#include "support.h"

static void the_machine_is_all_processors_and_what_is_not_idle(void **state) {
    (void)state;
    bl_load_mark mark = {0};
    // user nice system idle iowait irq softirq steal guest guest_nice
    assert_true(bl_load_parse_machine("cpu  100 20 30 800 50 1 2 7 90 0\n"
                                      "cpu0 50 10 15 400 25 1 1 3 45 0\n"
                                      "cpu1 50 10 15 400 25 0 1 4 45 0\n"
                                      "intr 12345 0 9\n", &mark));
    assert_int_equal(mark.cores, 2);
    assert_true(mark.total == 1010);
    assert_true(mark.busy == 160); // not idle, not waiting for a disk; guests are in user and nice
    assert_false(bl_load_parse_machine("", &mark));
    assert_false(bl_load_parse_machine("cpu  1 2 3\ncpu0 1 2 3\n", &mark));
}

static void a_process_has_a_name_ticks_and_a_priority(void **state) {
    (void)state;
    static const struct {
        const char *text, *name;
        int pid;
        double ticks;
        bool yields;
    } cases[] = {
        {"4729 (byolab) R 1 4729 4729 0 -1 4194304 211 0 7 0 1100 34 0 0 39 19 3 0 884 1092608000 142878 18446744073709551615 1 1 0 0 0 0 0 "
         "4096 16386 0 0 0 17 1 0 5 0 0 0 0 0 0\n", "byolab", 4729, 1134, true},
        {"17 (a) b (c d) S 1 17 17 0 -1 64 0 0 0 0 3 4 0 0 20 0 1 0 9 0 0 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0\n",
         "a) b (c d", 17, 7, false},
    };
    bl_process_time process;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(bl_load_parse_process(cases[i].text, &process));
        assert_int_equal(process.pid, cases[i].pid);
        assert_string_equal(process.name, cases[i].name);
        assert_true(process.ticks == cases[i].ticks);
        assert_true(process.yields == cases[i].yields);
    }
    assert_false(bl_load_parse_process("", &process));
    assert_false(bl_load_parse_process("17 (cut) S 1 17", &process));
}

static void a_load_reads_as_who_makes_it(void **state) {
    (void)state;
    bl_process_time some[] = {{.pid = 123, .name = "byolab", .ticks = 140, .yields = true},
                              {.pid = 5, .name = "cc1", .ticks = 45},
                              {.pid = 1, .name = "init", .ticks = 1}};
    const struct {
        bl_load load;
        bool is_quiet;
        const char *says;
    } cases[] = {
        {{.is_known = true, .cores = 2, .busy = 1.86, .ticks_a_core = 100, .processes = some, .count = 3}, false,
         "loaded: 1.9 of 2 cores busy with byolab (pid 123, idle priority), cc1 (pid 5)"},
        {{.is_known = true, .cores = 2, .busy = 0.6, .ticks_a_core = 100}, false,
         "loaded: 0.6 of 2 cores busy, by processes that ended meanwhile or by the machine's host"},
        {{.is_known = true, .cores = 2, .busy = 0.04, .ticks_a_core = 100, .processes = some + 2, .count = 1}, true, "quiet"},
        {{0}, false, "unknown: no /proc to read here"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_text text = {0};
        assert_int_equal(bl_load_is_quiet(&cases[i].load), cases[i].is_quiet);
        bl_load_describe(&cases[i].load, &text);
        assert_string_equal(text.chars, cases[i].says);
        bl_text_free(&text);
    }
}

// However little of a processor it gets beside what else runs here.
static void a_child_that_works_is_seen_and_this_process_is_not(void **state) {
    (void)state;
    const double end = bl_seconds() + 60;
    bl_load_mark mark;
    bool seen = false;
    const pid_t child = fork();
    if (!child)
        for (;;) continue;
    assert_true(child > 0);
    assert_ok(bl_load_take_mark(&mark));
    if (mark.is_known)
        while (!seen && bl_seconds() < end) {
            bl_load load;
            nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
            assert_ok(bl_load_since(&mark, &load));
            for (int i = 0; i < load.count; i++) {
                assert_int_not_equal(load.processes[i].pid, getpid());
                seen |= load.processes[i].pid == child;
            }
            bl_load_free(&load);
        }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    const bool is_known = mark.is_known;
    bl_load_mark_free(&mark);
    if (!is_known) skip();
    assert_true(seen);
}

// As the kernel shows it: R, S, T (stopped), Z (ended, nobody has asked how); 0: there is no such process.
static char state_of(int pid) {
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    const char *close = strrchr(text, ')');
    return close ? close[2] : 0;
}

static void a_load_stands_still_until_it_is_set_going_and_ends_when_told(void **state) {
    (void)state;
    for (int kind = BL_LOAD_BUSY_LOOPS; kind <= BL_LOAD_SPINNING_THREADS; kind++) {
        bl_load_made made;
        int pids[2];
        assert_ok(bl_load_make(&made, (bl_load_kind)kind, 2));
        assert_int_equal(made.count, 2);
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < 2; i++) assert_int_equal(state_of(pids[i] = made.pids[i]), 'T');
            assert_ok(bl_load_go(&made));
            for (int i = 0; i < 2; i++) assert_int_equal(state_of(made.pids[i]), 'R');
            for (int i = 0; i < 2; i++) assert_int_equal(getpriority(PRIO_PROCESS, (id_t)made.pids[i]) - getpriority(PRIO_PROCESS, 0),
                                                         kind == BL_LOAD_BUSY_LOOPS ? 0 : 10);
            assert_ok(bl_load_halt(&made));
        }
        bl_load_end(&made);
        for (int i = 0; i < 2; i++) assert_int_equal(state_of(pids[i]), 0);
    }
}

// Killed, it could tell nobody.
static void a_load_ends_with_the_process_that_made_it(void **state) {
    (void)state;
    int pipe_ends[2], pids[2];
    assert_int_equal(pipe(pipe_ends), 0);
    const pid_t maker = fork();
    if (!maker) {
        bl_load_made made;
        if (bl_load_make(&made, BL_LOAD_SPINNING_THREADS, 2) || bl_load_go(&made)) _exit(1);
        if (write(pipe_ends[1], made.pids, sizeof pids) != sizeof pids) _exit(1);
        for (;;) pause();
    }
    assert_int_equal(read(pipe_ends[0], pids, sizeof pids), sizeof pids);
    assert_int_equal(state_of(pids[0]), 'R');
    kill(maker, SIGKILL);
    waitpid(maker, NULL, 0);
    for (int i = 0; i < 2; i++) {
        const double end = bl_seconds() + 60;
        while (state_of(pids[i]) && state_of(pids[i]) != 'Z' && bl_seconds() < end) nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        assert_true(bl_seconds() < end);
    }
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machine_is_all_processors_and_what_is_not_idle),
        cmocka_unit_test(a_process_has_a_name_ticks_and_a_priority),
        cmocka_unit_test(a_load_reads_as_who_makes_it),
        cmocka_unit_test(a_child_that_works_is_seen_and_this_process_is_not),
        cmocka_unit_test(a_load_stands_still_until_it_is_set_going_and_ends_when_told),
        cmocka_unit_test(a_load_ends_with_the_process_that_made_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
