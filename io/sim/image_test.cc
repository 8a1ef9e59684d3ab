#include "io/sim/image.h"

#include <cstring>
#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>

using namespace pyralog;
using sim::Image;

namespace {

constexpr std::size_t page = Image::page_size;

std::vector<std::byte> some(std::size_t size, int value) {
    return std::vector<std::byte>(size, static_cast<std::byte>(value));
}

std::vector<std::byte> content(const Image& image) {
    const Bytes all = image.all();
    return {all.view().begin(), all.view().end()};
}

} // namespace

TEST_CASE("a page of zeros takes no memory, whoever wrote it", "[sim]") {
    Image image;
    image.write(0, some(4 * page, 0));
    CHECK(image.page_count() == 0);
    image.write(page, some(page, 1));
    image.write(2 * page + 1, some(1, 1));
    CHECK(image.page_count() == 2);
    image.write(page, some(page, 0));
    CHECK(image.page_count() == 1);
    CHECK(content(image)[2 * page + 1] == std::byte{1});
}

TEST_CASE("a copy of an image has pages of its own as soon as one of them is written", "[sim]") {
    Image one;
    one.write(0, some(2 * page, 1));
    Image other = one;
    other.write(5, some(1, 2));
    CHECK(content(one) == some(2 * page, 1));
    CHECK(content(other)[5] == std::byte{2});
    one.resize(page + 10);
    one.resize(2 * page);
    CHECK(content(other)[page + 10] == std::byte{1});
    CHECK(content(one)[page + 10] == std::byte{0});
}

namespace {

// Two images, and what they should be.
struct ImagePair {
    Image one, other;
    std::vector<std::byte> is_one, is_other;

    static void write(std::vector<std::byte>& to, std::size_t position,
                      const std::vector<std::byte>& data) {
        if (data.empty()) return;
        to.resize(std::max(to.size(), position + data.size()));
        std::memcpy(to.data() + position, data.data(), data.size());
    }
};

} // namespace

TEST_CASE("images that share pages are what they would be without", "[sim][model]") {
    rc::prop("writes, shared writes, copies and sizes", [] {
        ImagePair pair;
        const auto count = *rc::gen::inRange(1, 40);
        for (int i = 0; i < count; ++i) {
            const auto position = *rc::gen::inRange<std::size_t>(0, 4 * page);
            const auto size = *rc::gen::element<std::size_t>(0, 1, 100, page, 2 * page + 5);
            const std::size_t place =
                *rc::gen::arbitrary<bool>() ? position / page * page : position;
            const auto data = some(size, *rc::gen::inRange(0, 3));
            switch (*rc::gen::inRange(0, 5)) {
            case 0:
                pair.one.write(place, data);
                ImagePair::write(pair.is_one, place, data);
                break;
            case 1:
                pair.other.write(place, data);
                ImagePair::write(pair.is_other, place, data);
                break;
            case 2:
                pair.other.write(place, data, pair.one);
                ImagePair::write(pair.is_other, place, data);
                break;
            case 3:
                pair.one.resize(position);
                pair.is_one.resize(position);
                break;
            default:
                pair.other = pair.one;
                pair.is_other = pair.is_one;
                break;
            }
            RC_ASSERT(content(pair.one) == pair.is_one);
            RC_ASSERT(content(pair.other) == pair.is_other);
            RC_ASSERT(pair.one.holds(0, pair.is_one));
        }
    });
}

TEST_CASE("what two images have in common is there once", "[sim]") {
    Image visible, durable;
    visible.write(0, some(3 * page, 1));
    visible.write(page + 7, some(1, 2));
    const Image before = durable;
    durable.write(0, some(3 * page, 1), visible);
    durable.write(page + 7, some(1, 2), visible);
    CHECK(content(durable) == content(visible));
    CHECK(durable.shares(visible) == 3);
    CHECK(before.size() == 0);
    // And no longer when one of them goes on.
    visible.write(0, some(1, 3));
    CHECK(durable.shares(visible) == 2);
    CHECK(content(durable)[0] == std::byte{1});
}
