// sim-tests/explorer.h
//
// A client that asks what the others never ask: for offsets by time and by epoch, for many
// partitions at once, for what does not exist, and for what a broker has to refuse. It stores
// nothing: each of its produce requests has something wrong. It never gives up; what it is answered
// is looked at by the probes on its way, and by nobody else.
#pragma once

#include "core/env/environment.h"
#include "sim-tests/kafka_client.h"

#include <vector>

namespace pyralog::simtest {

// Until it is cancelled.
void explore(Environment& env, std::vector<Address> bootstrap);

// The same of groups that are its own: joins them badly, commits what it may not, deletes them.
void explore_groups(Environment& env, std::vector<Address> bootstrap);

// The same of what tools of operators ask and change. What it changes leaves records as they are,
// and for as long.
void explore_admin(Environment& env, std::vector<Address> bootstrap);

} // namespace pyralog::simtest
