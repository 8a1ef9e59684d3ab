// io/real/log_sink.h
#pragma once

#include "core/base/logger.h"

#include <memory>

namespace spdlog {
class logger;
}

namespace pyralog::real {

// Lines for people on stderr: time, level, node, event, fields; in colour if it is a terminal. A
// node without a number (a client program) is left out.
class LogSink final : public Logger::Sink {
public:
    explicit LogSink(NodeId node);
    ~LogSink() override;
    void write(Level level, std::string_view event, Logger::Fields fields) override;

private:
    std::unique_ptr<spdlog::logger> out_;
};

} // namespace pyralog::real
