#include "core/base/result.h"

#include <catch2/catch.hpp>

#include <memory>
#include <set>
#include <string>

using namespace pyralog;

namespace {

Result<int> half(int number) {
    if (number % 2 != 0) return Error::malformed;
    return number / 2;
}

Result<std::string> quarter(int number) {
    const int once = TRY(half(number));
    const int twice = TRY(half(once));
    return std::to_string(twice);
}

Result<> nothing(Result<> first, bool& went_on) {
    TRY(first);
    went_on = true;
    return {};
}

Result<std::unique_ptr<int>> owned() { return std::make_unique<int>(3); }

Result<int> taken() {
    const std::unique_ptr<int> pointer = TRY(owned());
    return *pointer;
}

} // namespace

TEST_CASE("TRY gives the value, or leaves with the error", "[base]") {
    CHECK(quarter(8).value() == "2");
    CHECK(quarter(6).error() == Error::malformed);
    CHECK(quarter(7).error() == Error::malformed);
}

TEST_CASE("TRY moves what cannot be copied", "[base]") { CHECK(taken().value() == 3); }

TEST_CASE("a result without a value is success", "[base]") {
    bool went_on = false;
    CHECK(nothing({}, went_on).ok());
    CHECK(went_on);
    went_on = false;
    CHECK(nothing(Error::cancelled, went_on).error() == Error::cancelled);
    CHECK_FALSE(went_on);
}

TEST_CASE("each error has a name of its own", "[base]") {
    std::set<std::string_view> names;
    for (int i = 0; i <= static_cast<int>(Error::unavailable); ++i)
        names.insert(to_string(static_cast<Error>(i)));
    CHECK(names.size() == static_cast<std::size_t>(Error::unavailable) + 1);
}
