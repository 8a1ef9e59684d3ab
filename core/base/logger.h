// core/base/logger.h
//
// What a person reads when something has gone wrong: one event, one line, and each number with its
// name. A log line is never the only evidence of anything; tests look at values.
//
// The line goes to a Sink, which is the world's: the console in production, the trace in the
// simulator. The Sink adds node and time, so that no caller has to know either.
#pragma once

#include "core/base/result.h"
#include "core/base/time.h"
#include "core/base/types.h"

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

namespace pyralog {

enum class Level : std::uint8_t { debug, info, warning, error };

constexpr std::string_view to_string(Level level) {
    switch (level) {
    case Level::debug: return "debug";
    case Level::info: return "info";
    case Level::warning: return "warning";
    case Level::error: return "error";
    }
    check_failed("a known Level", __FILE__, __LINE__);
}

// A named value of a log line.
struct Field {
    Field(std::string_view n, std::string_view v) : name(n), value(v) {}
    Field(std::string_view n, const std::string& v) : name(n), value(v) {}
    Field(std::string_view n, const char* v) : name(n), value(v) {}
    Field(std::string_view n, bool v) : name(n), value(v ? "true" : "false") {}
    template <std::integral Int>
    Field(std::string_view n, Int v) : name(n), value(std::to_string(v)) {}
    template <class Tag, class Rep>
    Field(std::string_view n, const Tagged<Tag, Rep>& v) : Field(n, v.value) {}
    Field(std::string_view n, Error v) : name(n), value(to_string(v)) {}
    Field(std::string_view n, Duration v)
        : name(n), value(std::to_string(v.count() / 1000) + "us") {}
    Field(std::string_view n, Position v)
        : name(n), value(std::to_string(v.index) + '/' + std::to_string(v.offset.value)) {}

    std::string_view name;
    std::string value;
};

class Logger {
public:
    using Fields = std::initializer_list<Field>;

    class Sink {
    public:
        virtual ~Sink() = default;
        virtual void write(Level level, std::string_view event, Fields fields) = 0;
        // Also what is below the least level, which is a thing that a node can be asked for: who
        // watches a simulated run must not change it.
        virtual bool takes_all() const { return false; }
    };

    Logger(Sink& sink, Level least) : sink_(sink), least_(least) {}

    void debug(std::string_view event, Fields fields = {}) { write(Level::debug, event, fields); }
    void info(std::string_view event, Fields fields = {}) { write(Level::info, event, fields); }
    void warning(std::string_view event, Fields fields = {}) {
        write(Level::warning, event, fields);
    }
    void error(std::string_view event, Fields fields = {}) { write(Level::error, event, fields); }

    // Ask before building costly fields.
    bool writes(Level level) const { return level >= least_ || sink_.takes_all(); }

    Level least() const { return least_; }
    void set_least(Level least) { least_ = least; }

private:
    void write(Level level, std::string_view event, Fields fields) {
        if (writes(level)) sink_.write(level, event, fields);
    }

    Sink& sink_;
    Level least_;
};

// `event name=value name=value`, values in quotes where they hold a space: the form for people.
std::string to_line(std::string_view event, Logger::Fields fields);

} // namespace pyralog
