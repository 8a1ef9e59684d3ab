#include "core/base/config.h"

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

#include <array>
#include <set>

using namespace pyralog;

namespace {

// A text that must be doubled letters: a form that is easy to get wrong.
std::optional<std::string> parse_twin(std::string_view text) {
    if (text.size() != 2 || text[0] != text[1]) return {};
    return std::string(text.substr(0, 1));
}
std::string format_twin(const std::string& twin) { return twin + twin; }

struct Example {
    Duration pause = 150ms;
    std::size_t room = 1_MiB;
    std::int64_t count = -5;
    int small = 3;
    bool loud = false;
    std::string title = "nothing";
    std::string twin = "x";

    template <class Visitor>
    void describe(Visitor& setting) {
        setting("example.pause", pause, Bounds<Duration>{5ms, 10s}, "How long to wait.");
        setting("example.room", room, Bounds<std::size_t>{4_KiB, 64_MiB}, "How much fits.");
        setting("example.count", count, Bounds<std::int64_t>{-10, 1'000'000}, "How many.");
        setting("example.small", small, Bounds<int>{1, 4}, "How few.");
        setting("example.loud", loud, "Whether to shout.");
        setting("example.title", title, AnyText{10}, "What to call it.");
        setting("example.twin", twin, TextForm<std::string>{parse_twin, format_twin, "aa"},
                "A doubled letter.");
    }
};

std::string set(Example& example, std::string_view name, std::string_view value) {
    auto settings = settings_of(example);
    Setting* const setting = find_setting(settings, name);
    REQUIRE(setting != nullptr);
    return setting->set(value);
}

} // namespace

TEST_CASE("a description names every setting once, with its default", "[base]") {
    Example example;
    const auto settings = settings_of(example);
    REQUIRE(settings.size() == 7);
    CHECK(settings[0].name == "example.pause");
    CHECK(settings[0].kind == "duration");
    CHECK(settings[0].bounds == "5ms to 10s");
    CHECK(settings[0].default_value == "150ms");
    CHECK(settings[1].default_value == "1MiB");
    CHECK(settings[2].default_value == "-5");
    CHECK(settings[4].default_value == "false");
    CHECK(settings[6].default_value == "xx");
    CHECK(settings[6].bounds == "aa");
}

TEST_CASE("a setting that is set shows in the config", "[base]") {
    Example example;
    CHECK(set(example, "example.pause", "2s").empty());
    CHECK(set(example, "example.room", "64KiB").empty());
    CHECK(set(example, "example.count", "12").empty());
    CHECK(set(example, "example.small", "4").empty());
    CHECK(set(example, "example.loud", "true").empty());
    CHECK(set(example, "example.title", "").empty());
    CHECK(set(example, "example.twin", "bb").empty());
    CHECK(example.pause == 2s);
    CHECK(example.room == 64_KiB);
    CHECK(example.count == 12);
    CHECK(example.small == 4);
    CHECK(example.loud);
    CHECK(example.title.empty());
    CHECK(example.twin == "b");
}

TEST_CASE("what is refused says why, and changes nothing", "[base]") {
    Example example;
    CHECK(set(example, "example.pause", "1ms") == "is 1ms, but must be from 5ms to 10s");
    CHECK(set(example, "example.pause", "1.5s") ==
          "is \"1.5s\", but must look like 150ms, 10s or 7d");
    CHECK(set(example, "example.pause", "100") ==
          "is \"100\", but must look like 150ms, 10s or 7d");
    CHECK(set(example, "example.room", "-1") ==
          "is \"-1\", but must look like 4096, 64KiB or 10GiB");
    CHECK(set(example, "example.room", "1GiB") == "is 1GiB, but must be from 4KiB to 64MiB");
    CHECK(set(example, "example.count", "many") ==
          "is \"many\", but must look like a whole number");
    CHECK(set(example, "example.small", "4294967298") ==
          "is \"4294967298\", but must look like a whole number");
    CHECK(set(example, "example.loud", "yes") == "is \"yes\", but must look like true or false");
    CHECK(set(example, "example.title", "longer than ten") == "is longer than 10 bytes");
    CHECK(set(example, "example.twin", "ab") == "is \"ab\", but must look like aa");
    const Example untouched;
    CHECK(example.pause == untouched.pause);
    CHECK(example.room == untouched.room);
    CHECK(example.count == untouched.count);
    CHECK(example.small == untouched.small);
    CHECK(example.loud == untouched.loud);
    CHECK(example.title == untouched.title);
    CHECK(example.twin == untouched.twin);
}

TEST_CASE("bounds are allowed themselves", "[base]") {
    Example example;
    for (const std::string_view value : {"5ms", "10s"})
        CHECK(set(example, "example.pause", value).empty());
    for (const std::string_view value : {"-10", "1000000"})
        CHECK(set(example, "example.count", value).empty());
    CHECK_FALSE(set(example, "example.count", "-11").empty());
    CHECK_FALSE(set(example, "example.count", "1000001").empty());
}

TEST_CASE("durations and sizes are read as they are written", "[base]") {
    CHECK(format_duration(0ns) == "0ns");
    CHECK(format_duration(90s) == "90s");
    CHECK(format_duration(3600s) == "1h");
    CHECK(format_duration(7 * 24h) == "7d");
    CHECK(format_duration(1500us) == "1500us");
    CHECK(format_bytes(0) == "0B");
    CHECK(format_bytes(1536) == "1536B");
    CHECK(format_bytes(10_GiB) == "10GiB");
    rc::prop("every duration comes back", [] {
        const auto ns = *rc::gen::inRange<std::int64_t>(0, INT64_MAX);
        RC_ASSERT(parse_duration(format_duration(Duration(ns))) == Duration(ns));
        const std::int64_t whole = ns % 100'000 * 1'000'000;
        RC_ASSERT(parse_duration(format_duration(Duration(whole))) == Duration(whole));
    });
    rc::prop("every size comes back", [] {
        const auto bytes = *rc::gen::inRange<std::uint64_t>(0, INT64_MAX);
        RC_ASSERT(parse_bytes(format_bytes(bytes)) == bytes);
        RC_ASSERT(parse_bytes(format_bytes(bytes >> 20 << 20)) == bytes >> 20 << 20);
    });
}

TEST_CASE("what is no value is not taken for one", "[base]") {
    for (const std::string_view text :
         {"", " ", "s", "ms", "-1s", "+1s", "1 s", "1s ", "1S", "1ss", "99999999999999999999s",
          "9223372037s", "106752d", "1.0s", "0x1s"})
        CHECK_FALSE(parse_duration(text));
    for (const std::string_view text :
         {"", "KiB", "-1", "1KB", "1kib", "1 KiB", "8388608TiB", "99999999999999999999", "1.5MiB"})
        CHECK_FALSE(parse_bytes(text));
    for (const std::string_view text : {"", "1 ", " 1", "+1", "1e3", "9223372036854775808", "--1"})
        CHECK_FALSE(parse_integer(text));
    for (const std::string_view text : {"", "True", "1", "on", "truefalse"})
        CHECK_FALSE(parse_bool(text));
    rc::prop("no text brings the parsers down", [](const std::string& text) {
        (void)parse_duration(text); // That it returns is all there is to see.
        (void)parse_bytes(text);
        (void)parse_integer(text);
        (void)parse_bool(text);
    });
}

TEST_CASE("random values stay within the bounds, and vary", "[base]") {
    Random random(11);
    std::set<std::int64_t> counts;
    std::set<int> smalls;
    for (int i = 0; i < 2000; ++i) {
        Example example;
        for (Setting& setting : settings_of(example)) setting.randomise(random);
        REQUIRE((example.pause >= 5ms && example.pause <= 10s));
        REQUIRE((example.room >= 4_KiB && example.room <= 64_MiB));
        REQUIRE((example.count >= -10 && example.count <= 1'000'000));
        REQUIRE((example.small >= 1 && example.small <= 4));
        REQUIRE(example.title == "nothing");
        REQUIRE(example.twin == "x");
        counts.insert(example.count);
        smalls.insert(example.small);
    }
    CHECK(counts.contains(-10));
    CHECK(counts.contains(1'000'000));
    CHECK(counts.size() > 300);
    CHECK(smalls.size() == 4);
}

TEST_CASE("a random value can be written and read again", "[base]") {
    Random random(12);
    for (int i = 0; i < 200; ++i) {
        Example drawn, read;
        auto from = settings_of(drawn);
        auto to = settings_of(read);
        for (std::size_t s = 0; s < from.size(); ++s) {
            from[s].randomise(random);
            REQUIRE(to[s].set(from[s].get()).empty());
            REQUIRE(to[s].get() == from[s].get());
        }
    }
}

TEST_CASE("a name that is nearly right is recognised", "[base]") {
    Example example;
    const auto settings = settings_of(example);
    CHECK(nearest_setting(settings, "example.pase") == "example.pause");
    CHECK(nearest_setting(settings, "exmaple.room") == "example.room");
    CHECK(nearest_setting(settings, "something.else").empty());
    CHECK(nearest_setting(settings, "").empty());
}
