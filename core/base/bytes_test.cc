#include "core/base/bytes.h"

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

#include <cstring>
#include <string>

using namespace pyralog;

TEST_CASE("a slice shares the memory of the whole", "[base]") {
    const Bytes whole = Bytes::copy_of("hello, world");
    const Bytes part = whole.slice(7, 5);
    CHECK(part.text() == "world");
    CHECK(part.data() == whole.data() + 7);
    CHECK(part.slice(0, 0).empty());
}

TEST_CASE("a slice outlives the whole", "[base]") {
    Bytes part;
    {
        const Bytes whole = Bytes::copy_of("hello, world");
        part = whole.slice(0, 5);
    }
    CHECK(part.text() == "hello");
}

TEST_CASE("bytes assigned to themselves stay as they are", "[base]") {
    Bytes bytes = Bytes::copy_of("same");
    const Bytes& alias = bytes;
    bytes = alias;
    CHECK(bytes.text() == "same");
}

TEST_CASE("a frozen buffer keeps its memory and no more than was asked for", "[base]") {
    Buffer buffer(8);
    std::memcpy(buffer.data(), "abcdefgh", 8);
    const std::byte* const memory = buffer.data();
    const Bytes bytes = std::move(buffer).freeze(3);
    CHECK(bytes.text() == "abc");
    CHECK(bytes.data() == memory);
}

TEST_CASE("large buffers are aligned for the disk", "[base]") {
    for (const std::size_t size : {4096u, 4097u, 65536u}) {
        Buffer buffer(size);
        CHECK(buffer.size() == size);
        CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % Buffer::disk_alignment == 0);
    }
}

TEST_CASE("a buffer that was moved from holds nothing", "[base]") {
    Buffer first(16);
    Buffer second(std::move(first));
    CHECK(second.size() == 16);
    first = Buffer(4);
    CHECK(first.size() == 4);
}

TEST_CASE("empty bytes are no trouble", "[base]") {
    CHECK(Bytes().empty());
    CHECK(Bytes::copy_of("").empty());
    CHECK(Bytes().slice(0, 0).empty());
    CHECK(joined({}).empty());
    CHECK(Buffer(0).size() == 0);
    CHECK(Buffer(0).freeze().empty());
}

TEST_CASE("joined chains hold the parts in order", "[base]") {
    rc::prop("joined() is the concatenation", [](const std::vector<std::string>& parts) {
        BytesChain chain;
        std::string expected;
        for (const std::string& part : parts) {
            chain.push_back(Bytes::copy_of(part));
            expected += part;
        }
        RC_ASSERT(size_of(chain) == expected.size());
        RC_ASSERT(joined(chain).text() == expected);
    });
}

TEST_CASE("a chain of one part is joined without a copy", "[base]") {
    const Bytes part = Bytes::copy_of("alone");
    CHECK(joined({part}).data() == part.data());
}
