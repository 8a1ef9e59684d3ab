// sim-tests/group_history.h
//
// What members of consumer groups asked and were told, with the times of the world. Each commit has
// a number of its own, which it carries as its remark: so an offset that is read back names the
// commit that it came with. check_groups.h judges it when the run is over.
#pragma once

#include "core/base/time.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pyralog::simtest {

enum class Outcome : std::uint8_t;

struct GroupCommit {
    std::int32_t group = 0;
    std::int32_t partition = 0; // History::partition().
    std::int32_t generation = -1;
    std::int64_t number = 0; // From 1.
    Duration invoked{0};
    std::optional<Duration> completed;
    Outcome outcome{}; // Unknown.
};

struct GroupRead {
    std::int32_t group = 0;
    std::int32_t partition = 0;
    std::int64_t number = 0; // Of the commit; 0: there is none, -1: of none of ours.
    Duration invoked{0};
    Duration completed{0};
};

struct GroupJoin {
    std::int32_t group = 0;
    std::int32_t generation = 0;
    std::string member;
    bool assigns = false; // It was told of all members.
    Duration invoked{0};
    Duration completed{0};
};

struct GroupShare {
    std::int32_t group = 0;
    std::int32_t generation = 0;
    std::string owner; // A static member is the same under all its ids.
    std::vector<std::int32_t> partitions;
};

class GroupHistory {
public:
    // The answer is for completed().
    std::size_t invoke(GroupCommit commit) {
        commits_.push_back(commit);
        return commits_.size() - 1;
    }
    void completed(std::size_t commit, Duration when, Outcome outcome) {
        commits_.at(commit).completed = when;
        commits_.at(commit).outcome = outcome;
    }
    void read(GroupRead read) { reads_.push_back(read); }
    void joined(GroupJoin join) { joins_.push_back(std::move(join)); }
    void shared(GroupShare share) { shares_.push_back(std::move(share)); }
    std::int64_t next_number() { return ++last_number_; }

    const std::vector<GroupCommit>& commits() const { return commits_; }
    const std::vector<GroupRead>& reads() const { return reads_; }
    const std::vector<GroupJoin>& joins() const { return joins_; }
    const std::vector<GroupShare>& shares() const { return shares_; }

private:
    std::vector<GroupCommit> commits_;
    std::vector<GroupRead> reads_;
    std::vector<GroupJoin> joins_;
    std::vector<GroupShare> shares_;
    std::int64_t last_number_ = 0;
};

} // namespace pyralog::simtest
