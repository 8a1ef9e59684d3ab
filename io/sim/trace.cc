#include "io/sim/trace.h"

#include "core/base/check.h"

#include <array>
#include <cstdio>

namespace pyralog::sim {

std::string_view to_string(TraceKind kind) {
    switch (kind) {
    case TraceKind::note: return "note";
    case TraceKind::log: return "log";
    case TraceKind::boot: return "boot";
    case TraceKind::exit: return "exit";
    case TraceKind::kill: return "kill";
    case TraceKind::power_cut: return "power cut";
    case TraceKind::pause: return "pause";
    case TraceKind::resume: return "resume";
    case TraceKind::block: return "link blocked";
    case TraceKind::heal: return "link healed";
    case TraceKind::call: return "disk call";
    case TraceKind::disk: return "disk";
    case TraceKind::commit: return "kv";
    case TraceKind::stream: return "stream";
    case TraceKind::sent: return "sent";
    case TraceKind::delivered: return "delivered";
    case TraceKind::dropped: return "dropped";
    case TraceKind::reset: return "reset";
    case TraceKind::fault: return "fault";
    }
    check_failed("a known TraceKind", __FILE__, __LINE__);
}

std::string to_line(const TraceEvent& event) {
    std::array<char, 64> front{};
    const auto ns = event.time.count();
    const int length = std::snprintf(front.data(), front.size(), "%6lld.%09lld n%-3d ",
                                     static_cast<long long>(ns / 1'000'000'000),
                                     static_cast<long long>(ns % 1'000'000'000), event.node.value);
    std::string line(front.data(), static_cast<std::size_t>(length));
    const bool only_words = event.kind == TraceKind::note || event.kind == TraceKind::log;
    if (!only_words) line += to_string(event.kind);
    if (!only_words && !event.text.empty()) line += ' ';
    line += event.text;
    if (event.peer.value != 0) line += " peer=" + std::to_string(event.peer.value);
    if (event.stream != 0) line += " stream=" + std::to_string(event.stream);
    const bool is_call = event.kind == TraceKind::call || event.kind == TraceKind::disk;
    if (event.id != 0) line += (is_call ? " call=" : " piece=") + std::to_string(event.id);
    if (event.size != 0) line += " bytes=" + std::to_string(event.size);
    if (event.until != Duration{0})
        line += " ns=" + std::to_string((event.until - event.time).count());
    return line;
}

} // namespace pyralog::sim
