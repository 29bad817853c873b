#include "support.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/digest.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/threads.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

// ---- errors ----

static void failure_keeps_message_and_origin(void **state) {
    (void)state;
    assert_int_equal(bl_fail("line %d: %s", 3, "truncated"), BL_FAILED);
    assert_string_equal(bl_error(), "line 3: truncated");
    assert_non_null(strstr(bl_error_origin(), "test_base.c:"));
}

static void message_can_be_built_from_the_old_one(void **state) {
    (void)state;
    bl_fail("truncated");
    bl_fail("data.bin: %s", bl_error());
    assert_string_equal(bl_error(), "data.bin: truncated");
}

static void message_handed_over_keeps_its_origin(void **state) {
    (void)state;
    assert_int_equal(bl_error_set("truncated", "datasets/loader.c:41"), BL_FAILED);
    assert_string_equal(bl_error(), "truncated");
    assert_string_equal(bl_error_origin(), "datasets/loader.c:41");
}

static void *message_seen_by_another_thread(void *unused) {
    (void)unused;
    return strdup(bl_error());
}

static void message_belongs_to_its_thread(void **state) {
    (void)state;
    bl_fail("mine");
    pthread_t other;
    void *seen = NULL;
    assert_int_equal(pthread_create(&other, NULL, message_seen_by_another_thread, NULL), 0);
    pthread_join(other, &seen);
    assert_string_equal(seen, "");
    assert_string_equal(bl_error(), "mine");
    free(seen);
}

static void overlong_message_is_cut_not_overrun(void **state) {
    (void)state;
    char *text = malloc(100001);
    memset(text, 'x', 100000);
    text[100000] = 0;
    bl_fail("%s", text);
    assert_in_range(strlen(bl_error()), 1000, 99999);
    bl_error_set(text, text);
    assert_in_range(strlen(bl_error()), 1000, 99999);
    free(text);
}

// ---- memory ----

static void allocation_is_zeroed_and_aligned(void **state) {
    (void)state;
    const size_t sizes[] = {0, 1, 63, 64, 65, 100000};
    for (size_t i = 0; i < COUNT(sizes); ++i) {
        unsigned char *bytes = bl_alloc(sizes[i]);
        assert_non_null(bytes);
        assert_int_equal((uintptr_t)bytes % 64, 0);
        for (size_t k = 0; k < sizes[i]; ++k) assert_int_equal(bytes[k], 0);
        bl_free(bytes);
    }
    bl_free(NULL);
}

static void impossible_allocation_fails_with_a_message(void **state) {
    (void)state;
    bl_fail("before");
    assert_null(bl_alloc(SIZE_MAX - 10));
    assert_non_null(strstr(bl_error(), "out of memory"));
}

static void arena_pieces_are_zeroed_aligned_and_apart(void **state) {
    (void)state;
    bl_arena *arena = bl_arena_create();
    unsigned char *pieces[200];
    for (size_t i = 0; i < COUNT(pieces); ++i) {
        size_t bytes = i * i; // the last ones are larger than a chunk
        pieces[i] = bl_arena_take(arena, bytes);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        for (size_t k = 0; k < bytes; ++k) assert_int_equal(pieces[i][k], 0);
        memset(pieces[i], (int)i, bytes);
    }
    for (size_t i = 0; i < COUNT(pieces); ++i)
        for (size_t k = 0; k < i * i; ++k) assert_int_equal(pieces[i][k], i);
    bl_arena_free(arena);
    bl_arena_free(NULL);
}

static void arena_keeps_names(void **state) {
    (void)state;
    bl_arena *arena = bl_arena_create();
    char name[] = "projector";
    char *copy = bl_arena_copy(arena, name);
    char *joined = bl_arena_format(arena, "%s.%d.%s", name, 0, "weight");
    name[0] = 'P';
    assert_string_equal(copy, "projector");
    assert_string_equal(joined, "projector.0.weight");
    bl_arena_free(arena);
}

static void text_grows(void **state) {
    (void)state;
    bl_text text = {0};
    bl_text_add(&text, "%s", "");
    assert_string_equal(text.chars, "");
    for (int i = 0; i < 1000; ++i) bl_text_add(&text, "%03d", i);
    assert_int_equal(text.size, 3000);
    assert_int_equal(strlen(text.chars), 3000);
    assert_string_equal(text.chars + 2997, "999");
    bl_text_free(&text);
    assert_null(text.chars);
}

// ---- digest ----

static void digest_gives_its_published_answers(void **state) {
    (void)state;
    static const struct {
        const char *text, *digest;
    } known[] = { // FIPS 180-4 examples; then lengths around the corner of the padding, by sha256sum
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "d5e285683cd4efc02d021a5c62014694958901005d6f71e89e0989fac77e4072"},
        {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "04c26261370ee7541549d16dee320c723e3fd14671e66a099afe0a377c16888e"},
        {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "75220b47218278e656f2013bb8f0c455a25eaf01e86c64924e9d48d89776d6f2"},
        {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "7ce100971f64e7001e8fe5a51973ecdfe1ced42befe7ee8d5fd6219506b5393c"},
    };
    char hex[65];
    for (size_t i = 0; i < COUNT(known); ++i) {
        bl_digest_hex(known[i].text, strlen(known[i].text), hex);
        assert_string_equal(hex, known[i].digest);
    }
    char *million = malloc(1000000);
    memset(million, 'a', 1000000);
    bl_digest_hex(million, 1000000, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

static void digest_does_not_depend_on_the_pieces(void **state) {
    (void)state;
    unsigned char data[1000], whole[32], pieced[32];
    for (size_t i = 0; i < sizeof data; ++i) data[i] = (unsigned char)(i * 7);
    bl_digest digest;
    bl_digest_begin(&digest);
    bl_digest_add(&digest, data, sizeof data);
    bl_digest_end(&digest, whole);
    for (size_t piece = 1; piece < 200; piece += 3) {
        bl_digest_begin(&digest);
        for (size_t at = 0; at < sizeof data; at += piece)
            bl_digest_add(&digest, data + at, sizeof data - at < piece ? sizeof data - at : piece);
        bl_digest_end(&digest, pieced);
        assert_memory_equal(whole, pieced, sizeof whole);
    }
}

static void digest_is_the_same_by_the_processors_instructions(void **state) {
    (void)state;
    unsigned char blocks[50 * 64];
    uint32_t plain[8], fast[8];
    if (!bl_digest_has_instructions()) skip();
    bl_random random = bl_random_stream(1, "digest", 0, 0, 0);
    for (size_t i = 0; i < sizeof blocks; ++i) blocks[i] = (unsigned char)bl_random_below(&random, 256);
    for (int i = 0; i < 8; ++i) plain[i] = fast[i] = 0x9e3779b9u * (uint32_t)(i + 1);
    bl_digest_compress_plain(plain, blocks, 50);
    bl_digest_compress_fast(fast, blocks, 50);
    assert_memory_equal(plain, fast, sizeof plain);
}

// ---- threads ----

static int count_visit(void *visits, int index) {
    __atomic_fetch_add((int *)visits + index, 1, __ATOMIC_RELAXED);
    return BL_OK;
}

static void every_task_runs_once(void **state) {
    (void)state;
    for (int threads = 1; threads <= 4; ++threads) {
        bl_pool *pool;
        assert_ok(bl_pool_create(&pool, threads));
        assert_int_equal(bl_pool_threads(pool), threads);
        int visits[1000] = {0};
        for (int round = 1; round <= 3; ++round) {
            assert_ok(bl_pool_run(pool, 1000, count_visit, visits));
            for (int i = 0; i < 1000; ++i) assert_int_equal(visits[i], round);
        }
        assert_ok(bl_pool_run(pool, 0, count_visit, visits));
        bl_pool_free(pool);
    }
    bl_pool_free(NULL);
}

static int meet(void *barrier, int index) {
    (void)index;
    pthread_barrier_wait(barrier);
    return BL_OK;
}

static void workers_run_at_the_same_time(void **state) {
    (void)state;
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 3);
    bl_pool *pool;
    assert_ok(bl_pool_create(&pool, 3));
    assert_ok(bl_pool_run(pool, 3, meet, &barrier)); // never returns unless all three meet
    bl_pool_free(pool);
    pthread_barrier_destroy(&barrier);
}

static int fail_at_multiples_of_seven(void *unused, int index) {
    (void)unused;
    return index && index % 7 == 0 ? bl_fail("task %d", index) : BL_OK;
}

static void first_failed_task_speaks(void **state) {
    (void)state;
    bl_pool *pool;
    assert_ok(bl_pool_create(&pool, 4));
    for (int round = 0; round < 50; ++round) {
        bl_fail("before");
        assert_int_equal(bl_pool_run(pool, 100, fail_at_multiples_of_seven, NULL), BL_FAILED);
        assert_string_equal(bl_error(), "task 7");
        assert_non_null(strstr(bl_error_origin(), "test_base.c:"));
    }
    assert_ok(bl_pool_run(pool, 7, fail_at_multiples_of_seven, NULL)); // and a failure does not stick
    bl_pool_free(pool);
}

typedef struct sequence {
    int values[64], count;
} sequence;

typedef struct numbered {
    sequence *sequence;
    int number;
} numbered;

static int note_number(void *context, int index) {
    const numbered *job = context;
    job->sequence->values[job->sequence->count++] = job->number * 100 + index; // the pool has one thread
    return BL_OK;
}

static void batches_are_served_in_order_of_submission(void **state) {
    (void)state;
    bl_pool *pool;
    assert_ok(bl_pool_create(&pool, 1));
    sequence noted = {0};
    numbered jobs[4];
    bl_batch *batches[4];
    for (int b = 0; b < 4; ++b) assert_ok(bl_batch_create(&batches[b]));
    for (int round = 0; round < 2; ++round) { // a batch that was waited for can be used again
        noted.count = 0;
        for (int b = 0; b < 4; ++b) {
            jobs[b] = (numbered){&noted, b};
            bl_pool_submit(pool, batches[b], 5, note_number, &jobs[b]);
        }
        for (int b = 3; b >= 0; --b) assert_ok(bl_pool_wait(pool, batches[b]));
        assert_int_equal(noted.count, 20);
        for (int i = 0; i < 20; ++i) assert_int_equal(noted.values[i], i / 5 * 100 + i % 5);
    }
    for (int b = 0; b < 4; ++b) bl_batch_free(batches[b]);
    bl_pool_free(pool);
}

static int sleep_a_little(void *finished, int index) {
    (void)index;
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    __atomic_fetch_add((int *)finished, 1, __ATOMIC_RELAXED);
    return BL_OK;
}

static void freeing_a_pool_waits_for_what_runs(void **state) {
    (void)state;
    int finished = 0;
    bl_pool *pool;
    bl_batch *batch;
    assert_ok(bl_pool_create(&pool, 2));
    assert_ok(bl_batch_create(&batch));
    bl_pool_submit(pool, batch, 6, sleep_a_little, &finished);
    bl_pool_free(pool);
    assert_int_equal(finished, 6);
    bl_batch_free(batch);
}

static double processor_seconds(void) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec * 1e-9;
}

static void idle_workers_use_no_processor_time(void **state) {
    (void)state;
    bl_pool *pool;
    int visits[8] = {0};
    assert_ok(bl_pool_create(&pool, 4));
    assert_ok(bl_pool_run(pool, 8, count_visit, visits));
    double before = processor_seconds();
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    assert_true(processor_seconds() - before < 0.02);
    bl_pool_free(pool);
}

static void pool_without_threads_is_refused(void **state) {
    (void)state;
    bl_pool *pool;
    assert_int_equal(bl_pool_create(&pool, 0), BL_FAILED);
    assert_null(pool);
    assert_non_null(strstr(bl_error(), "at least one"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failure_keeps_message_and_origin),
        cmocka_unit_test(message_can_be_built_from_the_old_one),
        cmocka_unit_test(message_handed_over_keeps_its_origin),
        cmocka_unit_test(message_belongs_to_its_thread),
        cmocka_unit_test(overlong_message_is_cut_not_overrun),
        cmocka_unit_test(allocation_is_zeroed_and_aligned),
        cmocka_unit_test(impossible_allocation_fails_with_a_message),
        cmocka_unit_test(arena_pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(arena_keeps_names),
        cmocka_unit_test(text_grows),
        cmocka_unit_test(digest_gives_its_published_answers),
        cmocka_unit_test(digest_does_not_depend_on_the_pieces),
        cmocka_unit_test(digest_is_the_same_by_the_processors_instructions),
        cmocka_unit_test(every_task_runs_once),
        cmocka_unit_test(workers_run_at_the_same_time),
        cmocka_unit_test(first_failed_task_speaks),
        cmocka_unit_test(batches_are_served_in_order_of_submission),
        cmocka_unit_test(freeing_a_pool_waits_for_what_runs),
        cmocka_unit_test(idle_workers_use_no_processor_time),
        cmocka_unit_test(pool_without_threads_is_refused),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
