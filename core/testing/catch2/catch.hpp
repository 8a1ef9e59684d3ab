// catch2/catch.hpp
//
// Catch2, of which both it and core/base/check.h have a CHECK: from here on it is Catch2's. So a
// test includes this last, behind what uses ours. It may be read more than once, because test
// programs have all of Catch2 precompiled and only this is still to be done.
#include_next <catch2/catch.hpp>

#undef CHECK
#define CHECK(...)                                                                                 \
    INTERNAL_CATCH_TEST("CHECK", Catch::ResultDisposition::ContinueOnFailure, __VA_ARGS__)
