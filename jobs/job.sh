#!/bin/bash
@title@
# Written by `collbench submit`. By hand: sbatch it in the folder where it lies.
@directives@
set -euo pipefail

part=@part@.${SLURM_ARRAY_TASK_ID:-0}
job=${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}
# Two jobs must not write one part: the one before may still be ending.
before=$(cat "$part.job" 2>/dev/null || echo "$job")
for ((tries = 30; tries >= 0; tries--)); do
  if [[ $before == "$job" || -z $(squeue -h -t R,S,CG -j "$before" 2>/dev/null) ]]; then break; fi
  if ((tries == 0)); then echo "collbench: job $before still works on $part" >&2; exit 1; fi
  sleep 10
done
rm -f "$part.ended"
echo "$job" > "$part.job"

# What this cluster needs first; scripts of modules trip over -u.
set +u
@before@
set -u

# What the libraries need here.
@variables@

# All cores of a node, shared out among its ranks: their libraries have threads of their own (srun of Slurm 22.05 on).
export SRUN_CPUS_PER_TASK=$((${SLURM_CPUS_ON_NODE:-0} > @ranks@ ? SLURM_CPUS_ON_NODE / @ranks@ : 1))

launch=(@launch@)
collbench=(@collbench@)
sweep=(@sweep@)

# Pre-flight: what is written down here goes into the sidecar. The sweep refuses by itself what it cannot run on.
timeout -k 30 300 "${launch[@]}" "${collbench[@]}" doctor --json > "$part.doctor.json" ||
  echo "collbench: the pre-flight found something, see $part.doctor.json" >&2

# Each launch starts fresh ranks, and removes $part.doing when it is complete. One that is not (a case took the ranks
# down, or they never came up) is started again; what was finished is not run again.
left=@launches@ again=9 worst=0
while ((left > 0)); do
  code=0
  touch "$part.doing"
  "${launch[@]}" "${collbench[@]}" sweep "${sweep[@]}" --launches @launches@ --resume -o "$part.csv" || code=$?
  if [[ -e $part.doing ]]; then
    if ((code == 2 || again-- == 0)); then exit "$code"; fi
    echo "collbench: a launch ended before its end, with code $code; starting it again" >&2
  else
    left=$((left - 1)) worst=$((code > worst ? code : worst))
  fi
done
echo "$worst" > "$part.ended"
exit "$worst"
