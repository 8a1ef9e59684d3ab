// server/identity.h
//
// Whose data a directory holds: written when a node first starts there, and never changed. Numbers
// of entries mean nothing to a node of another cluster, and a vote that another node has given
// must not be given again; so a directory is used by the node it belongs to, or not at all.
#pragma once

#include "core/base/types.h"
#include "server/config.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog::server {

struct Identity {
    std::string cluster;
    NodeId node;
    std::vector<NodeId> members; // Sorted. Membership is fixed when the cluster begins.

    bool operator==(const Identity&) const = default;
};

Identity identity_of(const Config& config);

// The file: one `name=value` a line, after a line that says what the file is.
std::string format_identity(const Identity& identity);
std::optional<Identity> parse_identity(std::string_view text);

// What a person is told whose directory is not that of the node to be started; empty if it is.
std::string identity_conflict(const Identity& on_disk, const Identity& wanted);

} // namespace pyralog::server
