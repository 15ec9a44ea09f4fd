#!/bin/sh
# check_tiers.sh <nm> <objdump> <object>...: object files that are compiled for instructions not every machine has must
# not leak them into what runs before the processor is asked. Each may define one symbol that others see, no weak or
# unique one, of which the linker keeps a single copy for the whole program, and nothing that runs when it is loaded.
# The sanitizers' own registration of globals does run then: it has to consist of instructions of every machine.
set -eu
nm=$1
objdump=$2
shift 2

fail() {
  echo "$1" >&2
  exit 1
}

for object in "$@"; do
  defined=$("$nm" --defined-only --format=posix "$object" | grep -v '^__odr_asan')
  shared=$(echo "$defined" | awk '$2 ~ /^[WwVvui]$/ { print $1 }')
  [ -z "$shared" ] || fail "$object: the linker may give these to the whole program: $(echo $shared)"
  seen=$(echo "$defined" | awk '$2 ~ /^[A-Z]$/ { print $1 }')
  [ "$(echo "$seen" | wc -w)" -eq 1 ] || fail "$object: expected one symbol that others see, got: $(echo $seen)"
  if "$objdump" --section-headers "$object" | grep -qE ' \.(preinit_array|init_array|ctors)'; then
    setup=$(echo "$defined" | awk '$1 ~ /^_sub_[ID]_|^asan\.module_[cd]tor/ { print $1 }')
    [ -n "$setup" ] || fail "$object: something runs when it is loaded: a static initialiser"
    for function in $setup; do
      wide=$("$objdump" --no-show-raw-insn --disassemble="$function" "$object" |
        awk -F '\t' '$2 ~ /^v/ || $2 ~ /%[yz]mm|%k[0-7]/ { print $2; exit }')
      [ -z "$wide" ] || fail "$object: $function runs when it is loaded and has $wide"
    done
  fi
  echo "${object##*/}: $seen alone"
done
