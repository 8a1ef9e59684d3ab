#include "core/base/ring.h"

#include "core/base/bytes.h"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

using namespace pyralog;

TEST_CASE("a ring does what a deque does", "[base][model]") {
    rc::prop("at both ends, and in between", [](const std::vector<std::uint8_t>& deeds) {
        Ring<int> ring;
        std::deque<int> model;
        int next = 0;
        // Growing and shrinking take turns.
        for (const std::uint8_t deed : deeds) {
            for (int times = deed % 40; times >= 0; --times) {
                if (deed >= 128 && !model.empty()) {
                    if (deed % 3 == 0) {
                        ring.pop_back();
                        model.pop_back();
                    } else {
                        ring.pop_front();
                        model.pop_front();
                    }
                } else {
                    ring.push_back(next);
                    model.push_back(next++);
                }
            }
            RC_ASSERT(ring.size() == model.size() && ring.empty() == model.empty());
            RC_ASSERT(std::equal(ring.begin(), ring.end(), model.begin(), model.end()));
            if (model.empty()) continue;
            RC_ASSERT(ring.front() == model.front() && ring.back() == model.back());
            RC_ASSERT(ring[model.size() / 2] == model[model.size() / 2]);
            const auto behind = std::partition_point(ring.begin(), ring.end(),
                                                     [&](int i) { return i <= model.front(); });
            RC_ASSERT(behind - ring.begin() == 1);
        }
    });
}

TEST_CASE("a ring keeps nothing of what was removed", "[base]") {
    BufferCount* const before = std::exchange(buffer_count, new BufferCount);
    BufferCount* const count = buffer_count;
    Ring<Bytes> ring;
    for (int i = 0; i < 5; ++i) ring.push_back(Bytes::copy_of(std::string(100, 'x')));
    const std::size_t all = count->bytes;
    ring.pop_back();
    ring.pop_front();
    CHECK(count->bytes == all / 5 * 3);
    while (!ring.empty()) ring.pop_front();
    CHECK(count->bytes == 0);
    buffer_count = before;
    count->let_go();
}
