// server/topic_configs.h
//
// A topic's settings as Kafka's tools see them: those of TopicSettings, and others of Kafka's whose
// one value is what every topic here is like. Such a value may be set, which changes nothing; any
// other is refused by name. Pure.
#pragma once

#include "core/wire/kafka/describe_configs.h"
#include "server/config.h"
#include "server/topic_settings.h"

#include <string>
#include <vector>

namespace pyralog::server {

using ConfigEntry = wire::kafka::DescribeConfigsResponse::Config;

// As Kafka writes what a node's settings say; to it -1 is what 0 is to us.
inline std::string ms_text(Duration duration) { return std::to_string(duration / 1ms); }
inline std::string no_limit_if_zero(std::int64_t value) {
    return std::to_string(value == 0 ? -1 : value);
}

// All of them, by name, with what counts and where it comes from.
std::vector<ConfigEntry> topic_configs(const TopicSettings& settings, std::size_t replicas,
                                       const Config& config);

// Does to `settings` what is wanted, and adds to `plan` what of it TopicSettings has to know: what
// is so anyway needs nothing. Empty, or what is wrong, for people.
std::string plan_edit(const SettingEdit& edit, std::size_t replicas, const Config& config,
                      TopicSettings& settings, std::vector<SettingEdit>& plan);

} // namespace pyralog::server
