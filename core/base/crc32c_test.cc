#include "core/base/crc32c.h"

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

#include <string>

using namespace pyralog;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

// By definition, a bit at a time.
std::uint32_t slow(std::string_view text) {
    std::uint32_t crc = ~0u;
    for (const char c : text) {
        crc ^= static_cast<unsigned char>(c);
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

std::string noise(std::size_t size) {
    std::string text(size, '\0');
    std::uint32_t x = 1;
    for (char& c : text) c = static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
    return text;
}

} // namespace

TEST_CASE("the checksum is that of RFC 3720", "[base]") {
    std::string rising(32, '\0');
    for (std::size_t i = 0; i < 32; ++i) rising[i] = static_cast<char>(i);
    const std::string falling(rising.rbegin(), rising.rend());
    for (auto* const sum : {&crc32c_portable, static_cast<decltype(&crc32c_portable)>(&crc32c)}) {
        CHECK(sum(bytes_of(""), 0) == 0);
        CHECK(sum(bytes_of("123456789"), 0) == 0xe3069283);
        CHECK(sum(bytes_of(std::string(32, '\0')), 0) == 0x8a9136aa);
        CHECK(sum(bytes_of(std::string(32, '\xff')), 0) == 0x62a8ab43);
        CHECK(sum(bytes_of(rising), 0) == 0x46dd794e);
        CHECK(sum(bytes_of(falling), 0) == 0x113fdb5c);
    }
}

TEST_CASE("both ways give the checksum of the definition", "[base]") {
    rc::prop("at every size and alignment", [](const std::string& text) {
        const std::string_view from = std::string_view(text).substr(text.size() > 3 ? 3 : 0);
        RC_ASSERT(crc32c(bytes_of(from)) == slow(from));
        RC_ASSERT(crc32c_portable(bytes_of(from)) == slow(from));
    });
}

TEST_CASE("long runs, where three lanes are joined, give the same checksum", "[base]") {
    const std::string text = noise(3 * 3072 + 17);
    for (const std::size_t size : {3071u, 3072u, 3073u, 6143u, 6144u, 6145u, 383u, 384u, 385u, 767u,
                                   768u, 4096u, 9216u, 9233u}) {
        const std::string_view part = std::string_view(text).substr(text.size() - size);
        CHECK(crc32c(bytes_of(part)) == slow(part));
        CHECK(crc32c_portable(bytes_of(part)) == slow(part));
    }
}

TEST_CASE("a checksum can be continued anywhere", "[base]") {
    rc::prop("of a followed by b", [](const std::string& a, const std::string& b) {
        const std::uint32_t whole = crc32c(bytes_of(a + b));
        RC_ASSERT(crc32c(bytes_of(b), crc32c(bytes_of(a))) == whole);
        RC_ASSERT(crc32c_portable(bytes_of(b), crc32c_portable(bytes_of(a))) == whole);
        RC_ASSERT(crc32c(BytesChain{Bytes::copy_of(a), Bytes::copy_of(b)}) == whole);
    });
}
