// core/log/config.h
//
// Settings of the journal, of the segments, and of what is kept of both in memory.
#pragma once

#include "core/base/config.h"

namespace pyralog {

struct JournalConfig {
    std::size_t file_bytes = 64_MiB;
    std::size_t journal_bytes_max = 1_GiB;
    std::size_t round_bytes_max = 8_MiB;
    Duration seal_delay = 10ms;
    std::size_t bulk_min_bytes = 0;

    template <class Visitor>
    void describe(Visitor& setting) {
        setting("journal.file_bytes", file_bytes, Bounds<std::size_t>{64_KiB, 1_GiB},
                "The size of a journal file. Files are written full, then used again.");
        setting("journal.journal_bytes_max", journal_bytes_max,
                Bounds<std::size_t>{256_KiB, 256_GiB},
                "With more in use, new records are refused until some have moved to segments.");
        setting("journal.round_bytes_max", round_bytes_max, Bounds<std::size_t>{4_KiB, 64_MiB},
                "The most bytes in one journal write. A larger batch is written alone.");
        setting("journal.seal_delay", seal_delay, Bounds<Duration>{1ms, 10s},
                "How long the journal is idle before it notes that its last write was durable.");
        setting("journal.bulk_min_bytes", bulk_min_bytes, Bounds<std::size_t>{0, 64_MiB},
                "A partition that has so much waiting writes it straight to its segment, and the "
                "journal only says where it is; 0: never.");
    }
};

struct LogConfig {
    std::size_t segment_bytes = 128_MiB;
    Duration segment_age = std::chrono::days(7);
    std::size_t segment_flush_bytes = 1_MiB;
    std::size_t cache_bytes = 4_MiB;
    std::size_t node_cache_bytes = 256_MiB;
    std::size_t read_ahead_bytes = 4_MiB;
    std::size_t node_read_ahead_bytes = 64_MiB;
    int open_segments_max = 500;
    Duration scrub_interval = std::chrono::hours(24);

    template <class Visitor>
    void describe(Visitor& setting) {
        setting("log.segment_bytes", segment_bytes, Bounds<std::size_t>{64_KiB, 1_GiB},
                "A segment that has grown to about this size is sealed and the next one begun.");
        setting("log.segment_age", segment_age, Bounds<Duration>{1ms, std::chrono::days(3650)},
                "The same when it was begun so long ago, or the node has started since.");
        setting(
            "log.segment_flush_bytes", segment_flush_bytes, Bounds<std::size_t>{4_KiB, 64_MiB},
            "When this much of one log is committed, it moves from the journal to its segment.");
        setting("log.cache_bytes", cache_bytes, Bounds<std::size_t>{0, 1_GiB},
                "The most that one log keeps in memory of what is in its segments.");
        setting("log.node_cache_bytes", node_cache_bytes, Bounds<std::size_t>{0, 256_GiB},
                "The most that all logs together keep in memory, as far as segments have it.");
        setting("log.read_ahead_bytes", read_ahead_bytes, Bounds<std::size_t>{0, 64_MiB},
                "The most that is read ahead of one who goes through old records in order.");
        setting("log.node_read_ahead_bytes", node_read_ahead_bytes, Bounds<std::size_t>{0, 64_GiB},
                "The same of all of them together; 0: nothing is.");
        setting("log.open_segments_max", open_segments_max, Bounds<int>{1, 100'000},
                "How many segment files are kept open that nobody is using.");
        setting("log.scrub_interval", scrub_interval, Bounds<Duration>{1s, std::chrono::days(365)},
                "The pause between two looks through all segments for damage that nobody reads.");
    }
};

} // namespace pyralog
