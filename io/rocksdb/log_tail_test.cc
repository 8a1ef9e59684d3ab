#include "io/rocksdb/log_tail.h"

#include "core/base/crc32c.h"

#include <string>
#include <string_view>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::rocks;

namespace {

constexpr std::size_t block = 32 * 1024;
constexpr char full = 1, first = 2, middle = 3, last = 4;

// As RocksDB writes it. One of its own logs is read by the tests of the engine.
std::string record(char type, std::string_view payload) {
    const std::string covered = type + std::string(payload);
    const std::uint32_t crc = crc32c(std::as_bytes(std::span(covered)));
    const std::uint32_t masked = ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
    std::string bytes;
    for (unsigned shift = 0; shift < 32; shift += 8)
        bytes += static_cast<char>(masked >> shift & 0xff);
    bytes += static_cast<char>(payload.size() & 0xff);
    bytes += static_cast<char>(payload.size() >> 8);
    return bytes + covered;
}

LogTail tail(std::string_view log) { return tail_of(std::as_bytes(std::span(log))); }

bool is(const LogTail& found, LogState state, std::size_t good) {
    return found.state == state && found.good == good;
}

} // namespace

TEST_CASE("a log of whole records is whole", "[rocksdb]") {
    CHECK(is(tail(""), LogState::whole, 0));
    std::string log = record(full, "one") + record(full, "") + record(full, "three");
    CHECK(is(tail(log), LogState::whole, log.size()));
    // Over the end of a block: in two parts, and with a filler where no header has room.
    log += record(first, std::string(block - log.size() - 7, 'x')) + record(last, "rest");
    CHECK(is(tail(log), LogState::whole, log.size()));
    log += record(full, std::string(2 * block - log.size() - 7 - 3, 'y')) + std::string(3, '\0');
    log += record(full, "in the third block");
    CHECK(is(tail(log), LogState::whole, log.size()));
}

TEST_CASE("a log that ends anywhere within its last record is torn there", "[rocksdb]") {
    const std::string good = record(full, "one") + record(full, "two");
    const std::string bad = record(full, "the last one");
    for (std::size_t size = 1; size < bad.size(); ++size)
        CHECK(is(tail(good + bad.substr(0, size)), LogState::torn, good.size()));
    for (std::size_t at = 0; at < bad.size(); ++at) {
        std::string garbled = bad;
        garbled[at] ^= 0x10;
        CHECK(is(tail(good + garbled), LogState::torn, good.size()));
    }
    CHECK(is(tail(good + std::string(5000, '\0')), LogState::torn, good.size()));
    CHECK(is(tail(good + record(first, "no end")), LogState::torn, good.size()));
    CHECK(is(tail(good + record(first, "a") + record(middle, "b")), LogState::torn, good.size()));
    // Of a long record some parts may be there without others.
    CHECK(is(tail(good + std::string(10, '?') + record(middle, "b") + record(last, "c")),
             LogState::torn, good.size()));
}

TEST_CASE("whatever is bad before the beginning of a good record is damage", "[rocksdb]") {
    const std::string log = record(full, "one") + record(full, "two") + record(full, "three");
    const std::size_t end_of_two = log.size() - record(full, "three").size();
    for (std::size_t at = 0; at < end_of_two; ++at) {
        for (const int bit : {0, 3, 7}) {
            std::string damaged = log;
            damaged[at] ^= static_cast<char>(1 << bit);
            CHECK(tail(damaged).state == LogState::damaged);
        }
    }
    CHECK(tail(record(first, "no end") + record(full, "another")).state == LogState::damaged);
    CHECK(tail(record(last, "no beginning") + record(full, "another")).state == LogState::damaged);
}
