#include "server/topic_settings.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;

TEST_CASE("a topic takes Kafka's settings within their bounds, and says what is wrong",
          "[server]") {
    TopicSettings settings;
    CHECK(settings.set("retention.ms", "86400000").empty());
    CHECK(settings.set("retention.bytes", "-1").empty());
    CHECK(settings.set("segment.bytes", "14").empty());
    CHECK(settings.set("segment.ms", "1").empty());
    CHECK(settings.set("cleanup.policy", "delete").empty());
    CHECK(settings == TopicSettings{86'400'000, -1, 14, 1});
    CHECK(settings.set("retention.ms", "-2") ==
          "retention.ms is \"-2\": say a number from -1 to 9223372036854775807");
    CHECK(settings.set("segment.bytes", "13") ==
          "segment.bytes is \"13\": say a number from 14 to 2147483647");
    for (const char* bad : {"", "x", "1x", "2147483648"})
        CHECK_FALSE(settings.set("segment.bytes", bad).empty());
    CHECK_FALSE(settings.set("segment.ms", "0").empty());
    CHECK(settings.set("cleanup.policy", "shrink") ==
          "cleanup.policy is \"shrink\": say delete, compact, or both");
    CHECK(settings.set("max.compaction.lag.ms", "1000") ==
          "\"max.compaction.lag.ms\" cannot be set for a topic");
    CHECK(settings == TopicSettings{86'400'000, -1, 14, 1});
}

TEST_CASE("a topic is compacted, deleted from, or both", "[server]") {
    const TopicConfig config;
    TopicSettings settings;
    CHECK_FALSE(settings.compaction());
    CHECK(settings.set("cleanup.policy", "compact").empty());
    CHECK(settings.compaction() == TopicSettings::Compaction{86'400'000, 0, 500'000});
    CHECK(settings.retention(config) == TopicSettings::Retention{});
    for (const char* both : {"compact,delete", "delete,compact"}) {
        CHECK(settings.set("cleanup.policy", both).empty());
        CHECK(settings.compaction());
        CHECK(settings.retention(config) == TopicSettings().retention(config));
    }
    for (const char* bad : {"", "compact,", ",delete", "compact,compact", "compact, delete"})
        CHECK_FALSE(settings.set("cleanup.policy", bad).empty());
    CHECK(settings.set("delete.retention.ms", "100").empty());
    CHECK(settings.set("min.compaction.lag.ms", "7").empty());
    CHECK(settings.set("min.cleanable.dirty.ratio", "0.05").empty());
    CHECK(settings.compaction() == TopicSettings::Compaction{100, 7, 50'000});
    CHECK_FALSE(settings.set("delete.retention.ms", "-1").empty());
}

TEST_CASE("a ratio is a number from 0 to 1", "[server]") {
    const auto ratio = [](const char* text) -> std::int64_t {
        TopicSettings settings;
        CHECK(settings.set("cleanup.policy", "compact").empty());
        if (!settings.set("min.cleanable.dirty.ratio", text).empty()) return -1;
        return settings.compaction()->min_dirty_millionths;
    };
    CHECK(ratio("0") == 0);
    CHECK(ratio("1") == 1'000'000);
    CHECK(ratio("1.0") == 1'000'000);
    CHECK(ratio("0.5") == 500'000);
    CHECK(ratio("0.000001") == 1);
    for (const char* bad :
         {"", ".", "0.", "-0.5", "1.000001", "2", "0.0000001", "0.5x", "0.-5", "1e-1", "x"})
        CHECK(ratio(bad) == -1);
}

TEST_CASE("what a topic does not say, the node does", "[server]") {
    TopicConfig config;
    CHECK(TopicSettings().retention(config) == TopicSettings::Retention{7 * 86'400'000, 10_GiB});
    CHECK(TopicSettings{5, 6, {}, {}}.retention(config) == TopicSettings::Retention{5, 6});
    CHECK(TopicSettings{-1, -1, {}, {}}.retention(config) == TopicSettings::Retention{});
    CHECK(TopicSettings{0, 0, {}, {}}.retention(config) == TopicSettings::Retention{0, 0});
    config.retention_time = 0s;
    config.retention_bytes = 0;
    CHECK(TopicSettings().retention(config) == TopicSettings::Retention{});
    CHECK(TopicSettings{5, 6, {}, {}}.retention(config) == TopicSettings::Retention{5, 6});
    CHECK_FALSE(TopicSettings().log_segment_bytes());
    CHECK_FALSE(TopicSettings().log_segment_age());
}

TEST_CASE("a log is given sizes and ages that it can use", "[server]") {
    const auto of = [](std::int64_t bytes, std::int64_t ms) {
        return TopicSettings{{}, {}, bytes, ms};
    };
    CHECK(of(14, 1).log_segment_bytes() == 1_KiB);
    CHECK(of(5000, 1).log_segment_bytes() == 5000);
    CHECK(of(2147483647, 1).log_segment_bytes() == 1_GiB);
    CHECK(of(14, 1).log_segment_age() == Duration(1ms));
    CHECK(of(14, INT64_MAX).log_segment_age() == Duration(std::chrono::days(3650)));
}

TEST_CASE("what is set of a topic can be read, changed in part, and unset", "[server]") {
    using Kind = SettingEdit::Kind;
    TopicSettings settings;
    for (const std::string_view name : TopicSettings::names()) CHECK_FALSE(settings.get(name));
    const auto change = [&](Kind kind, std::string name, std::string value = {}) {
        return settings.change({std::move(name), kind, std::move(value)});
    };
    CHECK(change(Kind::append, "cleanup.policy", "compact").empty());
    CHECK(settings.get("cleanup.policy") == "compact,delete");
    CHECK(change(Kind::append, "cleanup.policy", "compact").empty());
    CHECK(settings.get("cleanup.policy") == "compact,delete");
    CHECK(change(Kind::subtract, "cleanup.policy", "delete").empty());
    CHECK(settings.get("cleanup.policy") == "compact");
    CHECK_FALSE(change(Kind::subtract, "cleanup.policy", "compact").empty());
    CHECK_FALSE(change(Kind::append, "cleanup.policy", "shrink").empty());
    CHECK(settings.get("cleanup.policy") == "compact");
    CHECK(change(Kind::append, "retention.ms", "5") == "\"retention.ms\" is no list");
    for (const char* ratio : {"0.0", "0.5", "0.05", "0.000001", "1.0"}) {
        CHECK(change(Kind::set, "min.cleanable.dirty.ratio", ratio).empty());
        CHECK(settings.get("min.cleanable.dirty.ratio") == ratio);
    }
    const TopicConfig config;
    CHECK(settings.message_bytes_max(config) == config.message_bytes_max);
    for (const std::string_view name :
         {"retention.ms", "retention.bytes", "segment.bytes", "segment.ms", "delete.retention.ms",
          "min.compaction.lag.ms", "max.message.bytes"}) {
        CHECK(change(Kind::set, std::string(name), "77777").empty());
        CHECK(settings.get(name) == "77777");
    }
    CHECK(settings.message_bytes_max(config) == 77777);
    CHECK_FALSE(change(Kind::set, "max.message.bytes", "67108865").empty());
    for (const std::string_view name : TopicSettings::names()) {
        CHECK(settings.get(name));
        CHECK(change(Kind::unset, std::string(name)).empty());
    }
    CHECK(settings == TopicSettings());
    CHECK(change(Kind::unset, "nothing") == "\"nothing\" cannot be set for a topic");
    CHECK_FALSE(settings.get("nothing"));
}
