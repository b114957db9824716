# Units compiled for an instruction set: for each ISA one per family of kernels and element type, made from
# cpp/isa/unit.cpp.in, and one per dot_ISA. A new ISA is a row here, a file cpp/isa/NAME-vec.hpp and a row in
# cpp/isa/isa.cpp. Outside of these units everything is compiled for the target's baseline.
#
# Lists begin with what takes longest to compile: those units are started first.
set(FASTCONV_FAMILIES depthwise tile depthwise_long grouped depthwise_lanes winograd tap_sums fft memory)
set(FASTCONV_ELEMENTS float double)

set(FASTCONV_ISAS scalar)
set(FASTCONV_FLAGS_scalar "")
# Kernels for whole numbers: units of their own, which go with ISAs as isa.cpp says.
set(FASTCONV_DOT_ISAS dot_scalar)
set(FASTCONV_FLAGS_dot_scalar "")

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND NOT MSVC AND NOT FASTCONV_SCALAR_ONLY)
  list(PREPEND FASTCONV_ISAS avx512 avx2)
  set(FASTCONV_FLAGS_avx2 -mavx2 -mfma)
  # GCC 12's AVX-512 header initialises "undefined" registers from themselves: a known false alarm.
  set(FASTCONV_FLAGS_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma
      $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized> $<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized>)
  list(PREPEND FASTCONV_DOT_ISAS dot_vnni dot_avx2)
  set(FASTCONV_FLAGS_dot_avx2 ${FASTCONV_FLAGS_avx2})
  set(FASTCONV_FLAGS_dot_vnni ${FASTCONV_FLAGS_avx512} -mavx512vnni)
endif()

# Adds to `target` all of these units, and a definition for each ISA that says so.
function(fastconv_add_isa_units target)
  foreach(family IN LISTS FASTCONV_FAMILIES)
    foreach(isa IN LISTS FASTCONV_ISAS)
      foreach(element IN LISTS FASTCONV_ELEMENTS)
        set(unit ${CMAKE_CURRENT_BINARY_DIR}/units/${isa}/${family}_${element}.cpp)
        configure_file(isa/unit.cpp.in ${unit} @ONLY)
        list(APPEND units_${isa} ${unit})
        target_sources(${target} PRIVATE ${unit})
      endforeach()
    endforeach()
  endforeach()
  foreach(isa IN LISTS FASTCONV_DOT_ISAS)
    set(units_${isa} isa/${isa}.cpp)
    target_sources(${target} PRIVATE isa/${isa}.cpp)
  endforeach()
  foreach(isa IN LISTS FASTCONV_ISAS FASTCONV_DOT_ISAS)
    set_source_files_properties(${units_${isa}} PROPERTIES COMPILE_OPTIONS
                                "$<$<NOT:$<CONFIG:Debug>>:-O3>;${FASTCONV_FLAGS_${isa}}")
    string(TOUPPER ${isa} upper)
    target_compile_definitions(${target} PRIVATE FASTCONV_HAVE_${upper}=1)
  endforeach()
endfunction()

# Adds to `target` the tests of Vec: a unit for each ISA, made from vec_test.cpp.in.
function(fastconv_add_vec_tests target folder)
  foreach(isa IN LISTS FASTCONV_ISAS)
    set(unit ${CMAKE_CURRENT_BINARY_DIR}/units/${isa}/vec_test.cpp)
    configure_file(${folder}/vec_test.cpp.in ${unit} @ONLY)
    set_source_files_properties(${unit} PROPERTIES COMPILE_OPTIONS "${FASTCONV_FLAGS_${isa}}")
    target_sources(${target} PRIVATE ${unit})
    string(APPEND tests " FASTCONV_ISA_TEST(${isa})")
  endforeach()
  target_include_directories(${target} PRIVATE ${folder})
  target_compile_definitions(${target} PRIVATE "FASTCONV_ISA_TESTS=${tests}")
endfunction()
