# Every target says whether it is built or skipped, and why: in CMake's output, and for programs in report.json.
set_property(GLOBAL PROPERTY VMEXPORT_REPORT "")
set_property(GLOBAL PROPERTY VMEXPORT_REPORT_JSON "")

# vmexport_report(<target> BUILT|SKIPPED <detail>)
function(vmexport_report target state detail)
  # A semicolon (as in a list of architectures) would split the line in two.
  string(REPLACE ";" ", " line "${target}: ${state} (${detail})")
  set_property(GLOBAL APPEND PROPERTY VMEXPORT_REPORT "${line}")

  string(REGEX REPLACE "[\\\\\"]" "\\\\\\0" quoted "${detail}")
  string(REGEX REPLACE "[\t\r\n]+" " " quoted "${quoted}")
  get_property(json GLOBAL PROPERTY VMEXPORT_REPORT_JSON)
  if(json)
    string(APPEND json ",")
  endif()
  string(APPEND json "\n  {\"name\": \"${target}\", \"state\": \"${state}\", \"detail\": \"${quoted}\"}")
  set_property(GLOBAL PROPERTY VMEXPORT_REPORT_JSON "${json}")
endfunction()

function(vmexport_print_report)
  get_property(lines GLOBAL PROPERTY VMEXPORT_REPORT)
  message(STATUS "vmexport native targets:")
  foreach(line IN LISTS lines)
    message(STATUS "  ${line}")
  endforeach()
  get_property(json GLOBAL PROPERTY VMEXPORT_REPORT_JSON)
  file(WRITE "${CMAKE_BINARY_DIR}/report.json" "{\"version\": \"${PROJECT_VERSION}\", \"targets\": [${json}\n]}\n")
endfunction()
