#!/bin/bash
@title@
# Written by `collbench submit`. To submit it by hand, run @submit@ in the folder of this file.
@directives@
set -euo pipefail
@enter@
part=@part@.@index@
job=@job@
# Two jobs must not write the same part, and the previous one may still be ending.
before=$(cat "$part.job" 2>/dev/null || echo "$job")
for ((tries = 30; tries >= 0; tries--)); do
  if [[ $before == "$job" || -z $(@running@) ]]; then break; fi
  if ((tries == 0)); then echo "collbench: job $before is still running $part; resubmit when it has ended" >&2; exit 1; fi
  sleep 10
done
rm -f "$part.ended"
echo "$job" > "$part.job"

# Commands of the profile, without -u: module scripts read unset variables.
set +u
@before@
set -u

# Settings of the libraries. Where the environment has another value, from a module for example, COLLBENCH_CONFLICTS notes
# both, for doctor, rows and sidecar.
names=(@names@)
declare -A found=()
conflicts=()
note() { if [[ $2 != "$3" ]]; then conflicts+=("$1"$'\t'"${2//[[:space:]]/ }"$'\t'"${3//[[:space:]]/ }"$'\t'"$4"); fi; }
for name in "${names[@]}"; do if [[ -v $name ]]; then found[$name]=${!name}; fi; done
@variables@
for name in "${!found[@]}"; do note "$name" "${found[$name]}" "${!name-}" overruled; done
COLLBENCH_CONFLICTS=$(printf '%s\n' "${conflicts[@]}")
# What the ranks are to see, which doctor compares with what they do see.
mapfile -t others < <(compgen -e | grep -E '^(NCCL|FI|NVSHMEM|MPICH)_')
COLLBENCH_GIVEN=$(
  for name in "${names[@]}" "${others[@]}"; do value=${!name-}; echo "$name"$'\t'"${value//[[:space:]]/ }"; done
)
export COLLBENCH_CONFLICTS COLLBENCH_GIVEN

@cores@launch=(@launch@)
collbench=(@collbench@)
command=@command@
options=(@options@)

# The findings of doctor go into the sidecar. They do not stop the job: the sweep itself reports what it cannot run on.
timeout -k 30 300 "${launch[@]}" "${collbench[@]}" doctor --json > "$part.doctor.json" ||
  echo "collbench: doctor reports problems, see $part.doctor.json" >&2

# Each launch starts new ranks for all plain backends and for each variant, one after another; they remove $part.doing
# when they are done. If they are not (a case crashed them, or they did not start), they are started again with --resume,
# which skips finished cases. A check has as many launches as it needs: once it is decided, another adds no row.
rows() { if [[ -e $part.csv ]]; then wc -l < "$part.csv"; else echo 0; fi; }
left=@starts@ again=9 worst=0
while ((left > 0)); do
  code=0 before=$(rows)
  touch "$part.doing"
  "${launch[@]}" "${collbench[@]}" "$command" "${options[@]}" --resume -o "$part.csv" || code=$?
  if [[ -e $part.doing ]]; then
    if ((code == 2 || again-- == 0)); then exit "$code"; fi
    echo "collbench: a launch did not finish (exit code $code); starting it again" >&2
  else
    left=$((left - 1)) worst=$((code > worst ? code : worst))
    if [[ $command == check ]]; then
      worst=$code  # of all launches so far
      if [[ $(rows) == "$before" ]]; then break; fi
    fi
  fi
done
echo "$worst" > "$part.ended"
exit "$worst"
