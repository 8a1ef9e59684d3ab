#include "io/real/log_sink.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_color_sinks.h>

namespace pyralog::real {

namespace {

spdlog::level::level_enum spdlog_level(Level level) {
    switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warning: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
    }
    check_failed("a known Level", __FILE__, __LINE__);
}

} // namespace

LogSink::LogSink(NodeId node)
    : out_(std::make_unique<spdlog::logger>(
          "", std::make_shared<spdlog::sinks::stderr_color_sink_st>())) {
    const std::string name = node.value > 0 ? " node=" + std::to_string(node.value) : "";
    out_->set_level(spdlog::level::debug); // The Logger has chosen already.
    out_->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%-7l%$" + name + " %v");
    out_->flush_on(spdlog::level::debug);
}

LogSink::~LogSink() = default;

void LogSink::write(Level level, std::string_view event, Logger::Fields fields) {
    out_->log(spdlog_level(level), to_line(event, fields));
}

} // namespace pyralog::real
