# What makes memory errors harder to use, for the module: guarded stacks and checked library calls in src/, where what
# callers give is read (the library's loops stay as they are), and how it is linked. tests/test_hardening.py reads it.
set(FASTCONV_HARDENING "")
set(FASTCONV_HARDENED_LINK "")
if(NOT MSVC)
  # -U: some distributions' compilers define it themselves. It needs an optimising build.
  set(FASTCONV_HARDENING -fstack-protector-strong
      "$<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE>" "$<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>")
endif()
if(UNIX AND NOT APPLE)
  # Nothing is bound late, so that all that is bound is read-only; the module's entry is its only symbol.
  set(FASTCONV_HARDENED_LINK -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
      -Wl,--version-script=${CMAKE_CURRENT_LIST_DIR}/exports.map)
endif()
