// fuzz/target.h
//
// What can be fuzzed. A target takes any bytes, does with them what a node would do with what it
// finds on its disk or gets from a stream, and CHECKs what must hold then. So a finding is an end
// by abort(), by a sanitizer, or by a limit of time or memory.
//
// Targets are pure: no input leaves a trace, and the same one means the same run.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace pyralog::fuzz {

struct Target {
    std::string_view name; // Of its corpus's folder, too.
    std::string_view help;
    // True if the input was taken for what it claims to be. Says that a corpus is worth something.
    bool (*run)(std::span<const std::byte> input);
};

std::span<const Target> targets();
const Target* find_target(std::string_view name); // Null: there is none.

bool run_config_file(std::span<const std::byte> input);
bool run_http_request(std::span<const std::byte> input);
bool run_journal_image(std::span<const std::byte> input);
bool run_kafka_request(std::span<const std::byte> input);
bool run_log_history(std::span<const std::byte> input);
bool run_peer_packet(std::span<const std::byte> input);
bool run_record_batch(std::span<const std::byte> input);
bool run_segment_image(std::span<const std::byte> input);

// Inputs to begin with: each is taken by its target. The corpus in the tree was written by this.
std::vector<std::vector<std::byte>> first_inputs(const Target& target);

} // namespace pyralog::fuzz
