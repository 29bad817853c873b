// The threads of own kernels: every share is done once, whoever does it, and each region and pass is counted.

#include <stdatomic.h>
#include <time.h>

#include "backends/onednn/team.h"
#include "support.h"

#define THREADS 4
#define SHARES 11

typedef struct work {
    _Atomic int done[SHARES];
    int sums[SHARES]; // not atomic: a pass begins when the one before has ended
    int slow;         // a share that takes long, -1
} work;

static void doze(void) {
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static void do_share(const void *context, int share, int shares) {
    work *w = (work *)context;
    assert_int_equal(shares, SHARES);
    if (share == w->slow) doze(); // the others' patience ends: they sleep and are woken
    atomic_fetch_add(&w->done[share], 1);
    w->sums[share]++;
}

static void pass_within(const void *context, int share, int shares) {
    (void)context, (void)share, (void)shares;
    work own = {.slow = -1};
    bl_cpu_parallel(SHARES, do_share, &own);
    for (int i = 0; i < SHARES; i++) assert_int_equal(own.done[i], 1);
}

static int thousand_passes(void *context) {
    work *w = context;
    for (int pass = 0; pass < 1000; pass++) bl_cpu_parallel(SHARES, do_share, w);
    return BL_OK;
}

static int slow_passes(void *context) {
    work *w = context;
    for (w->slow = 0; w->slow < SHARES; w->slow++) {
        bl_cpu_parallel(SHARES, do_share, w);
        doze(); // with nothing posted
    }
    return BL_OK;
}

static int nested_pass(void *context) {
    bl_cpu_parallel(THREADS, pass_within, context);
    return BL_OK;
}

static int failing(void *context) {
    (void)context;
    return bl_fail("as it was told");
}

static void expect_done(work *w, int times) {
    for (int i = 0; i < SHARES; i++) {
        assert_int_equal(w->done[i], times);
        assert_int_equal(w->sums[i], times);
    }
}

static void expect_waits(const bl_cpu_team *team, int64_t regions, int64_t barriers) {
    const bl_cpu_waits waits = bl_cpu_team_waits(team);
    assert_int_equal(waits.regions, regions);
    assert_int_equal(waits.barriers, barriers);
}

static void each_share_of_each_pass_is_done_once(void **state) {
    (void)state;
    bl_cpu_team *team;
    assert_ok(bl_cpu_team_create(&team, THREADS));
    work quick = {.slow = -1}, slow = {.slow = -1};
    assert_ok(bl_cpu_team_run(team, thousand_passes, &quick));
    expect_done(&quick, 1000);
    expect_waits(team, 1, 1000);
    assert_ok(bl_cpu_team_run(team, slow_passes, &slow));
    expect_done(&slow, SHARES);
    expect_waits(team, 2, 1000 + SHARES);
    bl_cpu_team_free(team);
}

static void one_thread_and_a_pass_outside_of_a_region_wait_for_nobody(void **state) {
    (void)state;
    bl_cpu_team *team;
    assert_ok(bl_cpu_team_create(&team, 1));
    work alone = {.slow = -1};
    assert_ok(bl_cpu_team_run(team, thousand_passes, &alone));
    bl_cpu_parallel(SHARES, do_share, &alone);
    expect_done(&alone, 1001);
    expect_waits(team, 0, 0);
    bl_cpu_team_free(team);
}

static void a_pass_within_a_pass_is_its_callers_alone(void **state) {
    (void)state;
    bl_cpu_team *team;
    assert_ok(bl_cpu_team_create(&team, THREADS));
    assert_ok(bl_cpu_team_run(team, nested_pass, NULL));
    expect_waits(team, 1, 1);
    bl_cpu_team_free(team);
}

static void what_fails_in_a_region_fails(void **state) {
    (void)state;
    bl_cpu_team *team;
    assert_ok(bl_cpu_team_create(&team, THREADS));
    assert_int_equal(bl_cpu_team_run(team, failing, NULL), BL_FAILED);
    assert_string_equal(bl_error(), "as it was told");
    bl_cpu_team_free(team);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_share_of_each_pass_is_done_once),
        cmocka_unit_test(one_thread_and_a_pass_outside_of_a_region_wait_for_nobody),
        cmocka_unit_test(a_pass_within_a_pass_is_its_callers_alone),
        cmocka_unit_test(what_fails_in_a_region_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
