"""Measures what the README says of speed, and appends a row a figure to results/records/records.csv.

    python tests/peers/record.py build/byolab cifar resnet50 segmentation views scenes [--pairs 5]

A ruler is a script beside this file: byolab and its peer, a pair after the other (needs what that script needs; the scenes are those of
$BYOLAB_DATA/camvid_cityscapes). Where other processes keep the machine busy, before or afterwards, nothing is recorded and they are
named; with --loaded the row is written all the same, and says so. Where a median ratio lies below the whole range of the row before it,
of the same machine, figure and peer, a line says that it fell behind. --records FILE is another file, to try this.
"""
import argparse
import csv
import os
import re
import subprocess
import sys
import time

import turns

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.realpath(os.path.join(HERE, "../.."))
RULERS = {
    "cifar": "byol_step.py BYOLAB --steps 4",
    "resnet50": "byol_step.py BYOLAB --encoder resnet50 --size 224 --batch 16 --steps 2",
    "segmentation": "segmentation_step.py BYOLAB --kinds channels_last",
    "views": "views.py BUILD",
    "scenes": "png.py BUILD $BYOLAB_DATA/camvid_cityscapes",
}
COLUMNS = ["date", "commit", "machine", "what", "peer", "ours", "theirs", "ratio", "lowest", "highest", "pairs", "ours_mib", "theirs_mib",
           "load", "command"]


# ---- the file ----

def read_rows(path):
    if not os.path.exists(path):
        return []
    with open(path, newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != COLUMNS:
            sys.exit(f"{path}: it is no record of this version, whose columns are {','.join(COLUMNS)}")
        return list(reader)


def append_row(path, row):
    is_new = not os.path.exists(path)
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def what_fell_behind(rows, row):
    """A line about `row` where it is slower than the last of `rows` that it can be held against; None where it is not, or none is there."""
    def key(one):
        return one["machine"], one["what"], one["peer"].rsplit(" ", 1)[0]  # its version aside

    before = next((one for one in reversed(rows) if key(one) == key(row)), None)
    if not before or float(row["ratio"]) >= float(before["lowest"]):
        return None
    return (f"fell behind: {row['what']}: {row['ratio']} times {row['peer']}, and commit {before['commit']} on this machine "
            f"{before['lowest']} to {before['highest']} times {before['peer']}")


# ---- the machine ----

def said(byolab, *words):
    return subprocess.run([byolab, *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def look(byolab):
    """Which machine this is, and what keeps it busy: "quiet" where nothing does."""
    text = said(byolab, "check", "--machine")

    def value(pattern):
        found = re.search(pattern, text, re.MULTILINE)
        return found.group(1) if found else "unknown"

    threads = int(value(r"^threads: (\d+)"))
    machine = f"{value(r'^cpu: (.*)')}, {value(r'^  instruction set: (.*)')}, {threads} thread{'s' * (threads != 1)}"
    return machine, value(r"^machine: (.*)")


def refuse(load, when):
    sys.exit(f"{when} the machine was not quiet but {load}; nothing is recorded. Stop what runs, or give --loaded: the row then says so")


# ---- measuring ----

def figures_of(words):
    figures = []
    expanded = [os.path.expandvars(word) for word in words]
    with subprocess.Popen([sys.executable, *expanded], cwd=ROOT, stdout=subprocess.PIPE, text=True) as ruler:
        try:
            for line in ruler.stdout:
                print(line, end="", flush=True)
                found = turns.FIGURE.fullmatch(line.rstrip("\n"))
                if found:
                    figures.append({key: value or "" for key, value in found.groupdict().items()})
        except BaseException:
            ruler.terminate()  # it ends what it started
            raise
    if ruler.returncode or not figures:
        sys.exit(f"{' '.join(words)} told no figure; its message stands above")
    return figures


def record(a, name):
    byolab = os.path.abspath(a.byolab)
    places = {"BYOLAB": os.path.relpath(byolab, ROOT), "BUILD": os.path.relpath(os.path.dirname(byolab), ROOT)}
    script, *words = f"{RULERS[name]} --pairs {a.pairs}".split()
    words = [os.path.relpath(os.path.join(HERE, script), ROOT), *(places.get(word, word) for word in words)]
    machine, load = look(byolab)
    if load != "quiet" and not a.loaded:
        refuse(load, "before the measurement")
    figures = figures_of(words)
    load_after = look(byolab)[1]
    if load_after != "quiet" and not a.loaded:
        refuse(load_after, "after the measurement")
    for figure in figures:
        row = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "commit": said(byolab, "--version").split()[-1], "machine": machine,
               **figure, "load": load if load != "quiet" else load_after, "command": " ".join(["python", *words])}
        behind = what_fell_behind(read_rows(a.records), row)
        append_row(a.records, row)
        if behind:
            print(behind)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("byolab", help="the program")
    parser.add_argument("rulers", nargs="+", choices=RULERS)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--loaded", action="store_true", help="record though the machine is not quiet")
    parser.add_argument("--records", default=os.path.join(ROOT, "results/records/records.csv"), help="a CSV file")
    a = parser.parse_args()
    read_rows(a.records)  # before anything is measured
    with turns.queue_paused():
        for name in a.rulers:
            record(a, name)


if __name__ == "__main__":
    main()
