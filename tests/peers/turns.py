"""What the scripts beside this file share: two programs that take turns on one machine, each a process that is warm when it is its turn.

A process says a line when it is ready, and then answers a line of images per second to each line it gets.
"""
import argparse
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time

QUEUE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../experiments/queue")


@contextlib.contextmanager
def queue_paused():
    """The queue of long runs stands still meanwhile, however this ends but by SIGKILL. One that is paused already stays so."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as `timeout` ends it: without this, what is below would be left out
    is_ours = subprocess.run([QUEUE, "pause"], stderr=subprocess.DEVNULL).returncode == 0  # else none runs, or it is paused
    try:
        yield
    finally:
        if is_ours:
            subprocess.run([QUEUE, "resume"])


# ---- in PyTorch's process ----

def median_of_steps(step, steps):
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def serve(step, images, warm_up, seconds_of_a_step):
    for _ in range(warm_up):
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        step()  # the other side had the caches
        print(images / seconds_of_a_step(), flush=True)


# ---- beside it ----

class Side:
    def __init__(self, name, words):
        self.name = name
        self.process = subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended early; its message stands above")
        return line

    def images_per_second(self):
        print(file=self.process.stdin, flush=True)
        return float(self.answer())

    def end(self):
        self.process.kill()
        self.process.wait()


def byolab(a, precision, experiment, options, settings):
    words = [a.byolab, "bench", experiment, *options, "--turns", "--brief", "--steps", a.steps]
    settings = {"train.precision": precision, "network.encoder": a.encoder, "machine.threads": a.threads, **settings}
    for key, value in settings.items():
        words += ["--set", f"{key}={value}"]
    return Side("byolab", words)


def compare(precision, ours, peers, pairs, seconds=0, at_end=lambda side: None):
    """Prints the ratio of ours to each of the peers, one a turn, and their median; no pair that would end after `seconds` (0: all)."""
    begun = time.monotonic()
    sides, ratios = [ours, *peers], {peer: [] for peer in peers}
    try:
        for side in sides:
            side.answer()
        for pair in range(pairs):
            since = time.monotonic()
            theirs = [peer.images_per_second() for peer in peers]
            figure = ours.images_per_second()
            for peer, theirs_one in zip(peers, theirs):
                ratios[peer].append(figure / theirs_one)
                print(f"{precision} pair {pair + 1}: {peer.name} {theirs_one:.2f} images/s, byolab {figure:.2f}, ratio {ratios[peer][-1]:.3f}",
                      flush=True)
            now = time.monotonic()
            if seconds and now + (now - since) > begun + seconds:
                break
        for peer, values in ratios.items():
            print(f"{precision} {peer.name}: median ratio {statistics.median(values):.3f}, lowest {min(values):.3f}, "
                  f"highest {max(values):.3f}, of {len(values)}", flush=True)
        for side in sides:
            at_end(side)
    finally:
        for side in sides:
            side.end()


# ---- the command line ----

def parser_of(description, kinds):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("byolab", nargs="?", help="the program")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--serve", dest="kind", choices=kinds, help=argparse.SUPPRESS)  # PyTorch's process
    return parser


def run(parser, serve_pytorch, measure):
    """Serves where `--serve KIND` asks for PyTorch's process; else measures each precision."""
    arguments = parser.parse_args()
    if arguments.kind:
        serve_pytorch(arguments)
        return
    if not arguments.byolab:
        parser.error("say where the program is, for example build/byolab")
    with queue_paused():
        for precision in arguments.precision:
            measure(arguments, precision)
