// server/broker_configs.h
//
// What is set for a node, as Kafka's tools see it: its settings by their own names, and what of
// them Kafka has a name for by that as well. What is logged may be changed while it runs, until it
// starts again; all else is read from its file.
#pragma once

#include "core/base/logger.h"
#include "server/topic_configs.h"

#include <optional>
#include <span>

namespace pyralog::server {

// All of them, in the order of their names.
std::vector<ConfigEntry> broker_configs(const Config& config, Level now);

// By Kafka's name for the resource, the one logger that there is.
std::vector<ConfigEntry> logger_configs(Level now);

// The setting that is the log level.
constexpr std::string_view level_setting = "node.log_level";
constexpr std::string_view logger_name = "root";

// A level as Kafka's tools or ours name it.
std::optional<Level> parse_any_level(std::string_view text);

} // namespace pyralog::server
