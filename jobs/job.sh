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

# Each launch starts fresh ranks. One that a case takes down leaves its name in $part.doing: it is started again, and
# what was finished is not run again.
left=@launches@ again=4 worst=0
while ((left > 0)); do
  code=0
  "${launch[@]}" "${collbench[@]}" sweep "${sweep[@]}" --launches @launches@ --resume -o "$part.csv" || code=$?
  if ((code == 2)); then exit 2; fi
  if ((code > worst)); then worst=$code; fi
  if [[ -e $part.doing ]] && ((again > 0)); then again=$((again - 1)); else left=$((left - 1)); fi
done
echo "$worst" > "$part.ended"
exit "$worst"
