#include "sim-tests/tool/ddmin.h"

#include <algorithm>
#include <set>

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

namespace pyralog::simtest {
namespace {

// Fails with all of these, and whatever else.
FirstFailing needs(std::set<std::size_t> needed, std::size_t* asked = nullptr) {
    return [=](const std::vector<Kept>& sets) -> std::optional<std::size_t> {
        for (std::size_t i = 0; i < sets.size(); ++i) {
            if (asked) ++*asked;
            if (std::ranges::includes(sets[i], needed)) return i;
        }
        return {};
    };
}

} // namespace

TEST_CASE("of many things just those are kept that are needed", "[simtest][model]") {
    rc::prop("ddmin", [] {
        const auto count = *rc::gen::inRange<std::size_t>(0, 200);
        std::set<std::size_t> needed;
        for (int i = *rc::gen::inRange(0, 8); i > 0 && count > 0; --i)
            needed.insert(*rc::gen::inRange<std::size_t>(0, count));
        std::size_t asked = 0;
        const Kept kept = ddmin(count, needs(needed, &asked));
        RC_ASSERT(std::ranges::equal(kept, needed));
        RC_ASSERT(asked <= 4 * (1 + needed.size()) * 18 + 4 * needed.size() * needed.size());
    });
}

TEST_CASE("what fails in no regular way still shrinks to what fails without no one of it",
          "[simtest][model]") {
    rc::prop("one-minimal", [] {
        const auto modulus = *rc::gen::inRange<std::size_t>(2, 9);
        const auto fails = [=](const Kept& set) {
            std::size_t sum = 0;
            for (const std::size_t i : set) sum += i * i + 1;
            return set.size() >= 3 && sum % modulus != 0;
        };
        const auto first = [&](const std::vector<Kept>& sets) -> std::optional<std::size_t> {
            for (std::size_t i = 0; i < sets.size(); ++i)
                if (fails(sets[i])) return i;
            return {};
        };
        Kept all(*rc::gen::inRange<std::size_t>(3, 60));
        for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
        RC_PRE(fails(all));
        const Kept kept = ddmin(all, first);
        RC_ASSERT(fails(kept));
        for (std::size_t i = 0; i < kept.size(); ++i) {
            Kept less = kept;
            less.erase(less.begin() + static_cast<std::ptrdiff_t>(i));
            RC_ASSERT(!fails(less));
        }
    });
}

TEST_CASE("pieces are no finer than was asked", "[simtest]") {
    std::size_t asked = 0;
    const Kept kept = ddmin(1000, needs({17, 900}, &asked), 8);
    CHECK((kept.size() >= 2 && kept.size() < 300));
    CHECK(asked < 150);
    CHECK(std::ranges::includes(kept, std::set<std::size_t>{17, 900}));
}

} // namespace pyralog::simtest
