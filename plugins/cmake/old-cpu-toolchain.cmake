# This machine's own compiler, as if for another x86-64 processor: programs of the build are started by the words in the
# variable VMEXPORT_LAUNCHER, "qemu-x86_64 -cpu Nehalem" or none.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_CROSSCOMPILING_EMULATOR sh -c "exec $VMEXPORT_LAUNCHER \"$0\" \"$@\"")
