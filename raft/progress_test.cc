#include "raft/progress.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::raft;

namespace {
constexpr Position at(std::int64_t index) { return {index, Offset(index * 10)}; }

Progress flowing(std::int64_t from) {
    Progress progress(at(from), Time());
    progress.reached(at(from));
    progress.flow();
    return progress;
}
} // namespace

TEST_CASE("nothing but a question goes out before the place is known", "[raft]") {
    Progress progress(at(7), Time());
    CHECK(progress.is_probing());
    CHECK_FALSE(progress.has_room(8));
    progress.sent(at(9));
    CHECK(progress.next() == at(7));
}

TEST_CASE("no more appends are in flight than the window has room for", "[raft]") {
    Progress progress = flowing(3);
    CHECK(progress.next() == at(3));
    progress.sent(at(5));
    CHECK(progress.has_room(2));
    progress.sent(at(6));
    CHECK_FALSE(progress.has_room(2));
    CHECK(progress.next() == at(6));
    progress.reached(at(5)); // One answer answers all that ends before it.
    CHECK(progress.has_room(2));
    progress.reached(at(6));
    CHECK(progress.has_room(1));
}

TEST_CASE("a report of what no longer fits the window is as good as a loss", "[raft]") {
    Progress progress = flowing(0);
    for (int i = 1; i <= 9; ++i) progress.sent(at(i));
    CHECK(progress.next() == at(8));
    progress.sent(at(4));
    CHECK(progress.next() == at(8));
}

TEST_CASE("a refusal begins a search, which only goes back, and not beyond what is matched",
          "[raft]") {
    Progress progress = flowing(3);
    progress.sent(at(9));
    CHECK(progress.rejected(at(6)));
    CHECK(progress.is_probing());
    CHECK(progress.next() == at(6));
    CHECK_FALSE(progress.rejected(at(6))); // The same answer again, or one from before.
    CHECK_FALSE(progress.rejected(at(8)));
    CHECK(progress.rejected(at(1)));
    CHECK(progress.next() == at(3));
}
