#!/usr/bin/env bash
# A study as a Slurm array: each task does its part of the runs, and the one that ends last writes the full report.
# From the repository's root:
#
#   sbatch --array=1-6 experiments/slurm_array.sh experiments/cifar10/ablation_collapse.yaml [options of byolab run]
#
# A task that is killed or requeued continues its runs from their checkpoints. To repeat some tasks alone, name the number of
# parts the study was first cut into: SHARDS=6 sbatch --array=2,5 experiments/slurm_array.sh ...
# `build/byolab status FILE` shows where the study stands.
#
#SBATCH --job-name=byolab
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@120   # before the time is up byolab writes a checkpoint and ends with status 75
#SBATCH --open-mode=append
#SBATCH --output=byolab-%A_%a.log
set -euo pipefail
: "${1:?an experiment file is missing: sbatch --array=1-N experiments/slurm_array.sh FILE}"
: "${SLURM_ARRAY_TASK_ID:?start this by sbatch --array=1-N}"

# Slurm runs a copy of this script from another folder.
cd "${SLURM_SUBMIT_DIR:-.}"
shards=${SHARDS:-$SLURM_ARRAY_TASK_COUNT}
exec "${BYOLAB:-build/byolab}" run "$@" --shard "$SLURM_ARRAY_TASK_ID/$shards" --set machine.threads="${SLURM_CPUS_PER_TASK:-0}"
