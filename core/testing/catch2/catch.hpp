// catch2/catch.hpp
//
// Catch2, of which both it and core/base/check.h have a CHECK: from here on it is Catch2's. So a
// test includes this last, behind what uses ours. It may be read more than once, because test
// programs have all of Catch2 precompiled and only this is still to be done. What CHECK was before is
// kept, for the next file where several are compiled as one (pyralog_units in CMakeLists.txt).
#ifndef PYRALOG_TEST_CHECK
#define PYRALOG_TEST_CHECK
#pragma push_macro("CHECK")
#endif
#include_next <catch2/catch.hpp>

#undef CHECK
#define CHECK(...)                                                                                 \
    INTERNAL_CATCH_TEST("CHECK", Catch::ResultDisposition::ContinueOnFailure, __VA_ARGS__)
