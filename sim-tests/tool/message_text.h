// sim-tests/tool/message_text.h
//
// What nodes and clients say to each other, in a few words for people. Bytes that are not the whole
// of a packet, or not in a format of ours, have no words.
#pragma once

#include "core/base/bytes.h"
#include "core/base/types.h"
#include "core/wire/kafka/api.h"
#include "io/sim/trace.h"

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>

namespace pyralog::simtest {

struct MessageText {
    std::string text;
    std::set<GroupId> groups; // Whom a packet between brokers concerns.
};

// Of bytes between brokers.
MessageText peer_text(std::span<const Bytes> bytes);

// Of bytes between clients and brokers: an answer is known by its request.
class KafkaTexts {
public:
    std::string request(std::uint64_t stream, std::span<const Bytes> bytes);
    std::string answer(std::uint64_t stream, std::span<const Bytes> bytes);

private:
    std::map<std::pair<std::uint64_t, std::int32_t>, std::string> asked_;
};

// Of whatever is sent in a run, if it is asked of all of it in order. Nothing of other events.
class SentTexts {
public:
    MessageText of(const sim::TraceEvent& event);

private:
    KafkaTexts kafka_;
};

} // namespace pyralog::simtest
