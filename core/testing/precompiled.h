// core/testing/precompiled.h
//
// What all test programs have precompiled, before anything of ours is read (catch2/catch.hpp).
#pragma once

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

#pragma pop_macro("CHECK")
#undef PYRALOG_TEST_CHECK
