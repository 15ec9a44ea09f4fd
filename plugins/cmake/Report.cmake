# Every target says whether it is built or skipped, and why.
set_property(GLOBAL PROPERTY VMEXPORT_REPORT "")

# vmexport_report(<target> BUILT|SKIPPED <detail>)
function(vmexport_report target state detail)
  set_property(GLOBAL APPEND PROPERTY VMEXPORT_REPORT "${target}: ${state} (${detail})")
endfunction()

function(vmexport_print_report)
  get_property(lines GLOBAL PROPERTY VMEXPORT_REPORT)
  message(STATUS "vmexport native targets:")
  foreach(line IN LISTS lines)
    message(STATUS "  ${line}")
  endforeach()
endfunction()
