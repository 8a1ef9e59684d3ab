#include "fuzz/target.h"

namespace pyralog::fuzz {

namespace {

constexpr Target all[] = {
    {"config_file", "a configuration file, and the settings that it makes", run_config_file},
    {"http_request", "what comes to the admin port, or from one", run_http_request},
    {"journal_image", "a journal file with good, odd, stale and harmed rounds", run_journal_image},
    {"kafka_request", "a request of a Kafka client", run_kafka_request},
    {"log_history", "appends, cuts, votes, crashes and damage on a simulated disk",
     run_log_history},
    {"peer_packet", "what another node sends", run_peer_packet},
    {"record_batch", "a batch of records as a producer sends it", run_record_batch},
    {"segment_image", "a segment file, sealed or growing, harmed or not", run_segment_image},
};

} // namespace

std::span<const Target> targets() { return all; }

const Target* find_target(std::string_view name) {
    for (const Target& target : all)
        if (target.name == name) return &target;
    return nullptr;
}

} // namespace pyralog::fuzz
