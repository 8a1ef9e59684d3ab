#include "io/sim/record.h"

#include "io/sim/timeline.h"

#include <array>
#include <cstdio>

namespace pyralog::sim {

namespace {

// How a Step's two values are called.
struct Names {
    const char* a = "a";
    const char* b = "b";
};

Names names_of(Step step) {
    switch (step) {
    case Step::run: return {"fiber", "b"};
    case Step::boot:
    case Step::kill:
    case Step::power_cut: return {"boot", "b"};
    case Step::exit: return {"boot", "status"};
    case Step::pause: return {"until_ns", "b"};
    case Step::file_call: return {"call_and_kind", "at"};
    case Step::file_done: return {"call", "result"};
    case Step::name_done: return {"file", "order"};
    case Step::unit: return {"at", "fate"};
    case Step::connect: return {"attempt", "port"};
    case Step::accept: return {"stream", "attempt"};
    case Step::piece: return {"stream", "bytes"};
    case Step::deliver: return {"stream_and_kind", "piece"};
    case Step::reset: return {"stream", "side"};
    case Step::block:
    case Step::heal: return {"to", "b"};
    case Step::commit: return {"waiting", "b"};
    case Step::committed: return {"durable", "of"};
    case Step::planned: return {"plan", "b"};
    case Step::rot: return {"file", "at"};
    default: return {};
    }
}

} // namespace

std::string to_string(Step step) {
    static constexpr std::array<std::string_view, 25> names{
        "",          "run",       "expiry",    "boot",      "exit",  "kill",    "power_cut",
        "pause",     "file_call", "file_done", "name_done", "unit",  "connect", "accept",
        "piece",     "deliver",   "fin",       "reset",     "block", "heal",    "commit",
        "committed", "planned",   "clock",     "rot"};
    const auto number = static_cast<std::size_t>(step);
    return number < names.size() ? std::string(names[number]) : "step-" + std::to_string(number);
}

std::string to_line(const Record& record) {
    const auto step = static_cast<Step>(record.step);
    const Names names = names_of(step);
    std::array<char, 256> text{};
    const auto ns = record.time.count();
    const int length = std::snprintf(
        text.data(), text.size(),
        "#%llu %lld.%09lld n%d %s %s=%llu %s=%llu payload=%08x hash=%016llx",
        static_cast<unsigned long long>(record.index), static_cast<long long>(ns / 1'000'000'000),
        static_cast<long long>(ns % 1'000'000'000), record.node, to_string(step).c_str(), names.a,
        static_cast<unsigned long long>(record.a), names.b,
        static_cast<unsigned long long>(record.b), record.payload,
        static_cast<unsigned long long>(record.hash));
    return std::string(text.data(), static_cast<std::size_t>(length));
}

} // namespace pyralog::sim
