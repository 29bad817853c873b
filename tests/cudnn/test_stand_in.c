// The stand-in for CUDA (tests/stand_in) keeps CUDA's rules: what passes here does not rest on its being kinder than a GPU.

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stand_in/toy.h"
#include "support.h"

#define must(call) assert_int_equal((call), cudaSuccess)
#define COUNT 100

typedef struct device {
    cudaStream_t stream, other;
    float *values; // of the device, COUNT
    float *host;   // pinned, COUNT
} device;

static device open_device(void) {
    device self;
    must(cudaStreamCreateWithFlags(&self.stream, cudaStreamNonBlocking));
    must(cudaStreamCreateWithFlags(&self.other, cudaStreamNonBlocking));
    must(cudaMalloc((void **)&self.values, COUNT * sizeof(float)));
    must(cudaMallocHost((void **)&self.host, COUNT * sizeof(float)));
    for (int i = 0; i < COUNT; i++) self.host[i] = (float)i;
    return self;
}

static void close_device(device *self) {
    must(cudaStreamDestroy(self->stream));
    must(cudaStreamDestroy(self->other));
    must(cudaFree(self->values));
    must(cudaFreeHost(self->host));
    must(cudaGetLastError());
}

static int upload(device *self, cudaStream_t stream) {
    return cudaMemcpyAsync(self->values, self->host, COUNT * sizeof(float), cudaMemcpyHostToDevice, stream);
}

static int download(device *self, cudaStream_t stream) {
    return cudaMemcpyAsync(self->host, self->values, COUNT * sizeof(float), cudaMemcpyDeviceToHost, stream);
}

static float value_at(const device *self, int i) {
    float value;
    must(cudaMemcpy(&value, self->values + i, sizeof value, cudaMemcpyDeviceToHost));
    return value;
}

static void a_stream_runs_late_and_in_order(void **state) {
    (void)state;
    device self = open_device();
    must(upload(&self, self.stream));
    toy_add(self.stream, self.values, 10, COUNT);
    must(cudaMemsetAsync(self.values, 0, 4, self.stream));
    must(download(&self, self.stream));
    self.host[5] = 1000; // too early: the copy has not been made
    assert_float_equal(self.host[7], 7, 0);
    must(cudaStreamSynchronize(self.stream));
    assert_float_equal(self.host[5], 1010, 0);
    assert_float_equal(self.host[7], 17, 0);
    assert_float_equal(self.host[0], 0, 0);
    close_device(&self);
}

static void fresh_memory_is_not_a_number(void **state) {
    (void)state;
    device self = open_device();
    assert_true(isnan(value_at(&self, COUNT - 1)));
    close_device(&self);
}

static void an_event_orders_two_streams(void **state) {
    (void)state;
    device self = open_device();
    cudaEvent_t copied;
    must(cudaEventCreateWithFlags(&copied, cudaEventDisableTiming));
    must(cudaStreamWaitEvent(self.stream, copied, 0)); // never recorded: nothing to wait for
    must(upload(&self, self.other));
    must(cudaEventRecord(copied, self.other));
    toy_add(self.other, self.values, 100, COUNT); // behind the record: not waited for
    must(cudaStreamWaitEvent(self.stream, copied, 0));
    toy_add(self.stream, self.values, 1, COUNT);
    must(cudaStreamSynchronize(self.stream));
    assert_float_equal(value_at(&self, 3), 4, 0);
    must(cudaStreamSynchronize(self.other));
    assert_float_equal(value_at(&self, 3), 104, 0);
    must(cudaEventDestroy(copied));
    close_device(&self);
}

static void streams_without_an_event_are_not_ordered(void **state) {
    (void)state;
    device self = open_device();
    must(upload(&self, self.other));
    toy_add(self.stream, self.values, 1, COUNT);
    must(cudaStreamSynchronize(self.stream));
    assert_true(isnan(value_at(&self, 3)));
    close_device(&self);
}

static void an_event_that_is_asked_again_and_again_is_reached(void **state) {
    (void)state;
    device self = open_device();
    cudaEvent_t start, end;
    must(cudaEventCreate(&start));
    must(cudaEventCreate(&end));
    must(cudaEventRecord(start, self.stream));
    must(upload(&self, self.stream));
    must(cudaEventRecord(end, self.stream));
    float milliseconds = -1;
    assert_int_equal(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorNotReady);
    assert_int_equal(cudaEventQuery(end), cudaErrorNotReady);
    int questions = 0;
    while (cudaEventQuery(end) == cudaErrorNotReady) assert_true(questions++ < 10);
    must(cudaEventElapsedTime(&milliseconds, start, end));
    assert_true(milliseconds > 0);
    assert_int_equal(cudaGetLastError(), cudaErrorNotReady);
    must(cudaEventDestroy(start));
    must(cudaEventDestroy(end));
    close_device(&self);
}

static void a_graph_repeats_what_was_captured(void **state) {
    (void)state;
    device self = open_device();
    must(upload(&self, self.stream));
    float value = 2;
    must(cudaStreamBeginCapture(self.stream, cudaStreamCaptureModeThreadLocal));
    toy_add(self.stream, self.values, value, COUNT);
    must(download(&self, self.stream));
    enum cudaStreamCaptureStatus capturing;
    must(cudaStreamIsCapturing(self.stream, &capturing));
    assert_int_equal(capturing, cudaStreamCaptureStatusActive);
    cudaGraph_t graph;
    must(cudaStreamEndCapture(self.stream, &graph));
    value = 50; // the graph has the value of the capture
    must(cudaStreamSynchronize(self.stream));
    assert_float_equal(value_at(&self, 3), 3, 0); // capturing ran nothing
    cudaGraphExec_t executable;
    must(cudaGraphInstantiate(&executable, graph, 0));
    must(cudaGraphDestroy(graph));
    for (int i = 0; i < 3; i++) must(cudaGraphLaunch(executable, self.stream));
    must(cudaGraphExecDestroy(executable)); // its launches are still to run
    assert_float_equal(self.host[3], 3, 0);
    must(cudaStreamSynchronize(self.stream));
    assert_float_equal(self.host[3], 9, 0);
    close_device(&self);
}

static int capture_malloc(device *self) {
    (void)self;
    void *data;
    return cudaMalloc(&data, 4);
}
static int capture_synchronize(device *self) { return cudaStreamSynchronize(self->stream); }
static int capture_blocking_copy(device *self) { return cudaMemcpy(self->values, self->host, 4, cudaMemcpyHostToDevice); }
static int capture_foreign_wait(device *self) {
    cudaEvent_t outside;
    must(cudaEventCreate(&outside));
    must(cudaEventRecord(outside, self->other));
    const int status = cudaStreamWaitEvent(self->stream, outside, 0);
    must(cudaEventDestroy(outside));
    return status;
}

static void what_is_illegal_in_a_capture_spoils_it(void **state) {
    (void)state;
    static const struct {
        int (*call)(device *);
        cudaError_t error;
    } cases[] = {{capture_malloc, cudaErrorStreamCaptureUnsupported},
                 {capture_synchronize, cudaErrorStreamCaptureUnsupported},
                 {capture_blocking_copy, cudaErrorStreamCaptureUnsupported},
                 {capture_foreign_wait, cudaErrorStreamCaptureIsolation}};
    device self = open_device();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        must(cudaStreamBeginCapture(self.stream, cudaStreamCaptureModeGlobal));
        assert_int_equal(cases[i].call(&self), cases[i].error);
        assert_int_equal(upload(&self, self.stream), cudaErrorStreamCaptureInvalidated);
        cudaGraph_t graph;
        assert_int_equal(cudaStreamEndCapture(self.stream, &graph), cudaErrorStreamCaptureInvalidated);
        assert_null(graph);
        must(upload(&self, self.stream)); // the stream goes on
        assert_int_not_equal(cudaGetLastError(), cudaSuccess);
    }
    close_device(&self);
}

static void an_event_may_be_recorded_and_waited_for_within_a_capture(void **state) {
    (void)state;
    device self = open_device();
    cudaEvent_t event;
    must(cudaEventCreate(&event));
    must(cudaStreamBeginCapture(self.stream, cudaStreamCaptureModeThreadLocal));
    must(cudaEventRecord(event, self.stream));
    must(cudaStreamWaitEvent(self.stream, event, 0));
    cudaGraph_t graph;
    must(cudaStreamEndCapture(self.stream, &graph));
    assert_int_equal(cudaEventQuery(event), cudaErrorCapturedEvent);
    must(cudaGraphDestroy(graph));
    must(cudaEventDestroy(event));
    assert_int_equal(cudaGetLastError(), cudaErrorCapturedEvent);
    close_device(&self);
}

static void wrong_memory_is_refused(void **state) {
    (void)state;
    device self = open_device();
    float unpinned[COUNT] = {0};
    const struct {
        void *dst;
        const void *src;
        size_t bytes;
        enum cudaMemcpyKind kind;
    } cases[] = {{self.values, unpinned, sizeof unpinned, cudaMemcpyHostToDevice},
                 {unpinned, self.values, sizeof unpinned, cudaMemcpyDeviceToHost},
                 {self.values + 1, self.host, sizeof unpinned, cudaMemcpyHostToDevice},
                 {self.host, self.host, sizeof unpinned, cudaMemcpyHostToDevice},
                 {self.values, self.values, 4, cudaMemcpyHostToDevice}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(cudaMemcpyAsync(cases[i].dst, cases[i].src, cases[i].bytes, cases[i].kind, self.stream), cudaErrorInvalidValue);
    assert_int_equal(cudaFree(self.values + 1), cudaErrorInvalidValue);
    assert_int_equal(cudaGetLastError(), cudaErrorInvalidValue);
    close_device(&self);
}

// Whether a child process dies of reading there.
static int reading_kills(const float *at) {
    const pid_t child = fork();
    if (!child) {
        signal(SIGSEGV, SIG_DFL);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        _exit(*(const volatile float *)at == 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status);
}

static void the_host_cannot_touch_the_devices_memory(void **state) {
    (void)state;
    device self = open_device();
    assert_false(reading_kills(self.host));
    assert_true(reading_kills(self.values));
    toy_add(self.stream, self.values, 1, COUNT);
    must(cudaStreamSynchronize(self.stream));
    assert_true(reading_kills(self.values)); // kernels could, and are done
    close_device(&self);
}

static void threads_of_a_block_wait_for_each_other(void **state) {
    (void)state;
    enum { BLOCKS = 3, VALUES = BLOCKS * 256 };
    device self = open_device();
    float values[VALUES], *data, sums[BLOCKS];
    int largest = -1;
    for (int i = 0; i < VALUES; i++) values[i] = (float)(i * i % 17);
    must(cudaMalloc((void **)&data, sizeof values));
    must(cudaMemcpy(data, values, sizeof values, cudaMemcpyHostToDevice));
    must(cudaMemcpy(self.values, &largest, sizeof largest, cudaMemcpyHostToDevice));
    for (int repeat = 0; repeat < 2; repeat++) toy_block_sums(self.stream, data, BLOCKS, self.values + 1, (int *)self.values);
    must(cudaStreamSynchronize(self.stream));
    must(cudaMemcpy(sums, self.values + 1, sizeof sums, cudaMemcpyDeviceToHost));
    must(cudaMemcpy(&largest, self.values, sizeof largest, cudaMemcpyDeviceToHost));
    for (int b = 0; b < BLOCKS; b++) {
        double expected = 0;
        for (int i = 0; i < 256; i++) expected += values[b * 256 + i];
        assert_float_equal(sums[b], expected, 0);
    }
    assert_int_equal(largest, BLOCKS - 1);
    must(cudaFree(data));
    close_device(&self);
}

static void a_barrier_that_some_threads_never_reach_is_an_error(void **state) {
    (void)state;
    device self = open_device();
    toy_torn_barrier(self.stream, self.values);
    assert_int_equal(cudaStreamSynchronize(self.stream), cudaErrorLaunchFailure);
    assert_int_equal(cudaGetLastError(), cudaErrorLaunchFailure);
    toy_too_many_threads(self.stream, self.values);
    assert_int_equal(cudaGetLastError(), cudaErrorInvalidConfiguration);
    close_device(&self);
}

static void the_environment_says_what_machine_it_is(void **state) {
    (void)state;
    static const struct {
        const char *variable, *value;
        cudaError_t error;
    } cases[] = {{"BYOLAB_STAND_IN_DRIVER", "0", cudaErrorInsufficientDriver},
                 {"BYOLAB_STAND_IN_DRIVER", "12000", cudaErrorInsufficientDriver},
                 {"BYOLAB_STAND_IN_DEVICES", "0", cudaErrorNoDevice},
                 {"BYOLAB_STAND_IN_MEMORY", "15", cudaErrorMemoryAllocation}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv(cases[i].variable, cases[i].value, 1);
        void *data;
        assert_int_equal(cudaMalloc(&data, 16), cases[i].error);
        assert_int_equal(cudaGetLastError(), cases[i].error);
        unsetenv(cases[i].variable);
    }
    setenv("BYOLAB_STAND_IN_CAPABILITY", "100", 1);
    struct cudaDeviceProp properties;
    must(cudaGetDeviceProperties(&properties, 0));
    unsetenv("BYOLAB_STAND_IN_CAPABILITY");
    assert_string_equal(properties.name, "stand-in");
    assert_int_equal(properties.major, 10);
    assert_int_equal(properties.minor, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_runs_late_and_in_order),
        cmocka_unit_test(fresh_memory_is_not_a_number),
        cmocka_unit_test(an_event_orders_two_streams),
        cmocka_unit_test(streams_without_an_event_are_not_ordered),
        cmocka_unit_test(an_event_that_is_asked_again_and_again_is_reached),
        cmocka_unit_test(a_graph_repeats_what_was_captured),
        cmocka_unit_test(what_is_illegal_in_a_capture_spoils_it),
        cmocka_unit_test(an_event_may_be_recorded_and_waited_for_within_a_capture),
        cmocka_unit_test(wrong_memory_is_refused),
        cmocka_unit_test(the_host_cannot_touch_the_devices_memory),
        cmocka_unit_test(threads_of_a_block_wait_for_each_other),
        cmocka_unit_test(a_barrier_that_some_threads_never_reach_is_an_error),
        cmocka_unit_test(the_environment_says_what_machine_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
