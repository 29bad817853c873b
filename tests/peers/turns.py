"""What the scripts beside this file share: two programs that take turns on one machine, each a process that is warm when it is its turn,
and the line that tells what came of it.

A process says a line when it is ready, with its version where it has one, and then answers a line of images per second to each line it
gets. Peak memory is the most that the process which ran the steps ever held in memory (VmHWM in /proc/<pid>/status: libraries, weights,
batch and activations, nothing taken off), of both sides alike, once all turns are over.
"""
import argparse
import contextlib
import os
import re
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


# ---- a figure ----

FIGURE = re.compile(r"(?P<what>.+), beside (?P<peer>.+): (?P<ours>[\d.]+) and (?P<theirs>[\d.]+) \S+/s; ratio (?P<ratio>[\d.]+) "
                    r"\((?P<lowest>[\d.]+) to (?P<highest>[\d.]+), (?P<pairs>\d+) pairs?\)"
                    r"(; peak memory (?P<ours_mib>\d+) and (?P<theirs_mib>\d+) MiB)?")


def figure(what, peer, unit, pairs, peak_mib=None):
    """The line that FIGURE reads. `pairs`: (ours, theirs), one a turn; the medians of both and of the ratios, and the ratios' range."""
    ratios = [ours / theirs for ours, theirs in pairs]
    ours, theirs = (statistics.median(side) for side in zip(*pairs))
    memory = f"; peak memory {peak_mib[0]:.0f} and {peak_mib[1]:.0f} MiB" if peak_mib else ""
    return (f"{what}, beside {peer}: {ours:.2f} and {theirs:.2f} {unit}/s; ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to "
            f"{max(ratios):.3f}, {len(pairs)} pair{'s' * (len(pairs) != 1)}){memory}")


# ---- in PyTorch's process ----

def median_of_steps(step, steps):
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def serve(step, images, warm_up, seconds_of_a_step, version):
    for _ in range(warm_up):
        step()
    print("ready", version, flush=True)
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

    def peak_mib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))

    def end(self):
        self.process.kill()
        self.process.wait()


def byolab(a, precision, experiment, options, settings):
    words = [a.byolab, "bench", experiment, *options, "--turns", "--brief", "--steps", a.steps]
    settings = {"train.precision": precision, "network.encoder": a.encoder, "machine.threads": a.threads, **settings}
    for key, value in settings.items():
        words += ["--set", f"{key}={value}"]
    return Side("byolab", words)


def compare(what, ours, peers, pairs, seconds=0, with_memory=True):
    """Prints the pairs and the figure beside each of the peers; no further pair that would end after `seconds` (0: all)."""
    begun = time.monotonic()
    sides, taken = [ours, *peers], {peer: [] for peer in peers}
    try:
        versions = {side: side.answer().split()[1:] for side in sides}
        for pair in range(pairs):
            since = time.monotonic()
            theirs = [peer.images_per_second() for peer in peers]
            speed = ours.images_per_second()
            for peer, theirs_one in zip(peers, theirs):
                taken[peer].append((speed, theirs_one))
                print(f"{what} pair {pair + 1}: {peer.name} {theirs_one:.2f} images/s, byolab {speed:.2f}, ratio {speed / theirs_one:.3f}",
                      flush=True)
            now = time.monotonic()
            if seconds and now + (now - since) > begun + seconds:
                break
        for peer, values in taken.items():
            memory = (ours.peak_mib(), peer.peak_mib()) if with_memory else None
            print(figure(what, " ".join([peer.name, *versions[peer]]), "images", values, memory), flush=True)
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
