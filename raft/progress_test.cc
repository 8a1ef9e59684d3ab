#include "raft/progress.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::raft;

namespace {
constexpr Position tenth(std::int64_t index) { return {index, Offset(index * 10)}; }

Progress flowing(std::int64_t from) {
    Progress progress(tenth(from), Time());
    progress.reached(tenth(from));
    progress.flow();
    return progress;
}
} // namespace

TEST_CASE("nothing but a question goes out before the place is known", "[raft]") {
    Progress progress(tenth(7), Time());
    CHECK(progress.is_probing());
    CHECK_FALSE(progress.has_room(8));
    progress.sent(tenth(9));
    CHECK(progress.next() == tenth(7));
}

TEST_CASE("no more appends are in flight than the window has room for", "[raft]") {
    Progress progress = flowing(3);
    CHECK(progress.next() == tenth(3));
    progress.sent(tenth(5));
    CHECK(progress.has_room(2));
    progress.sent(tenth(6));
    CHECK_FALSE(progress.has_room(2));
    CHECK(progress.next() == tenth(6));
    progress.reached(tenth(5)); // One answer answers all that ends before it.
    CHECK(progress.has_room(2));
    progress.reached(tenth(6));
    CHECK(progress.has_room(1));
}

TEST_CASE("a report of what no longer fits the window is as good as a loss", "[raft]") {
    Progress progress = flowing(0);
    for (int i = 1; i <= 9; ++i) progress.sent(tenth(i));
    CHECK(progress.next() == tenth(8));
    progress.sent(tenth(4));
    CHECK(progress.next() == tenth(8));
}

TEST_CASE("a refusal begins a search, which only goes back, and not beyond what is matched",
          "[raft]") {
    Progress progress = flowing(3);
    progress.sent(tenth(9));
    CHECK(progress.rejected(tenth(6)));
    CHECK(progress.is_probing());
    CHECK(progress.next() == tenth(6));
    CHECK_FALSE(progress.rejected(tenth(6))); // The same answer again, or one from before.
    CHECK_FALSE(progress.rejected(tenth(8)));
    CHECK(progress.rejected(tenth(1)));
    CHECK(progress.next() == tenth(3));
}
