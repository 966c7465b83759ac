#!/bin/bash
@title@
# Written by `collbench submit`. By hand: sbatch it in the folder where it lies.
@directives@
set -euo pipefail

# What this cluster needs first; scripts of modules trip over -u.
set +u
@before@
set -u

# What the libraries need here.
@variables@

part=@part@.${SLURM_ARRAY_TASK_ID:-0}
launch=(@launch@)
collbench=(@collbench@)
sweep=(@sweep@)
rm -f "$part.ended"
echo "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}" > "$part.job"

# Pre-flight: what is written down here goes into the sidecar. The sweep refuses by itself what it cannot run on.
timeout 300 "${launch[@]}" "${collbench[@]}" doctor --json > "$part.doctor.json" ||
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
