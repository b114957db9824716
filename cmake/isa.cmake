# ISA name -> compiler flags. A new ISA is a row here, a file cpp/isa/NAME.cpp and a row in cpp/isa/isa.cpp.
# Outside cpp/isa/ everything is compiled for the target's baseline.
set(FASTCONV_ISAS scalar)
set(FASTCONV_FLAGS_scalar "")
# Kernels for whole numbers: units of their own, which go with ISAs as isa.cpp says.
set(FASTCONV_DOT_ISAS dot_scalar)
set(FASTCONV_FLAGS_dot_scalar "")

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND NOT MSVC AND NOT FASTCONV_SCALAR_ONLY)
  list(APPEND FASTCONV_ISAS avx2 avx512)
  set(FASTCONV_FLAGS_avx2 -mavx2 -mfma)
  # GCC 12's AVX-512 header initialises "undefined" registers from themselves: a known false alarm.
  set(FASTCONV_FLAGS_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma
      $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized> $<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized>)
  list(APPEND FASTCONV_DOT_ISAS dot_avx2 dot_vnni)
  set(FASTCONV_FLAGS_dot_avx2 ${FASTCONV_FLAGS_avx2})
  set(FASTCONV_FLAGS_dot_vnni ${FASTCONV_FLAGS_avx512} -mavx512vnni)
endif()
