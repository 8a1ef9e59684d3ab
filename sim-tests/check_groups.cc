#include "sim-tests/check_groups.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

namespace pyralog::simtest {

namespace {

using Register = std::pair<std::int32_t, std::int32_t>; // Group and partition.

// When the register certainly held a value, or at least once.
struct Zone {
    std::int64_t number = 0;
    Duration first_end = Duration::max();
    Duration last_begin = Duration::min();

    void add(Duration begin, std::optional<Duration> end) {
        last_begin = std::max(last_begin, begin);
        if (end) first_end = std::min(first_end, *end);
    }
    bool is_forward() const { return first_end < last_begin; }
};

std::string named(const History& history, const Register& of) {
    return "group " + std::to_string(of.first) + ", " + to_string(history.name(of.second));
}

class OffsetJudge {
public:
    OffsetJudge(const History& history, Register of) : history_(history), of_(of) {
        // What there is at first: as if written before everything.
        zones_[0].number = 0;
        zones_[0].add(Duration(-2), Duration(-1));
    }
    void add(const GroupCommit& commit) { commits_[commit.number] = &commit; }
    void add(const GroupRead& read) { reads_.push_back(&read); }

    std::optional<Finding> judge() {
        for (const GroupRead* const read : reads_)
            if (auto finding = take(*read)) return finding;
        for (const auto& [number, commit] : commits_)
            if (commit->outcome == Outcome::stored || zones_.contains(number)) {
                const bool known = commit->outcome == Outcome::stored;
                zones_[number].number = number;
                zones_[number].add(commit->invoked, known ? commit->completed : std::nullopt);
            }
        return compare();
    }

private:
    std::optional<Finding> take(const GroupRead& read) {
        const auto commit = commits_.find(read.number);
        const bool is_known = commit != commits_.end() &&
                              commit->second->outcome != Outcome::refused &&
                              commit->second->invoked < read.completed;
        if (read.number != 0 && !is_known)
            return report(oracle::offset_invented,
                          named(history_, of_) + ": commit " + std::to_string(read.number) +
                              " was read, and nobody has made it there by then");
        zones_[read.number].number = read.number;
        zones_[read.number].add(read.invoked, read.completed);
        return {};
    }

    std::optional<Finding> compare() const {
        std::vector<Zone> forward, backward;
        for (const auto& [number, zone] : zones_)
            (zone.is_forward() ? forward : backward).push_back(zone);
        std::ranges::sort(forward, {}, &Zone::first_end);
        for (std::size_t i = 1; i < forward.size(); ++i)
            if (forward[i].first_end < forward[i - 1].last_begin)
                return conflict(forward[i - 1], forward[i]);
        for (const Zone& zone : backward) {
            const auto next =
                std::ranges::upper_bound(forward, zone.last_begin, {}, &Zone::first_end);
            if (next == forward.begin()) continue;
            const Zone& around = *std::prev(next);
            if (around.first_end < zone.last_begin && zone.first_end < around.last_begin)
                return conflict(around, zone);
        }
        return {};
    }

    std::optional<Finding> conflict(const Zone& a, const Zone& b) const {
        return report(oracle::offset_went_back,
                      named(history_, of_) + ": commits " + std::to_string(a.number) + " and " +
                          std::to_string(b.number) + " cannot both have been told as they were");
    }

    const History& history_;
    const Register of_;
    std::map<std::int64_t, const GroupCommit*> commits_;
    std::vector<const GroupRead*> reads_;
    std::map<std::int64_t, Zone> zones_;
};

std::optional<Finding> check_offsets(const History& history) {
    std::map<Register, OffsetJudge> judges;
    const auto judge_of = [&](std::int32_t group, std::int32_t partition) -> OffsetJudge& {
        const Register of{group, partition};
        return judges.try_emplace(of, history, of).first->second;
    };
    for (const GroupCommit& commit : history.groups().commits())
        judge_of(commit.group, commit.partition).add(commit);
    for (const GroupRead& read : history.groups().reads())
        judge_of(read.group, read.partition).add(read);
    for (auto& [of, judge] : judges)
        if (auto finding = judge.judge()) return finding;
    return {};
}

// The newest generation that anybody in the group had been told of before a time.
class Told {
public:
    explicit Told(const GroupHistory& groups) {
        for (const GroupJoin& join : groups.joins())
            by_group_[join.group].emplace_back(join.completed, join.generation);
        for (auto& [group, told] : by_group_) {
            std::ranges::sort(told);
            for (std::size_t i = 1; i < told.size(); ++i)
                told[i].second = std::max(told[i].second, told[i - 1].second);
        }
    }
    std::int32_t before(std::int32_t group, Duration when) const {
        const auto known = by_group_.find(group);
        if (known == by_group_.end()) return -1;
        const auto after = std::ranges::lower_bound(known->second, when, {},
                                                    &std::pair<Duration, std::int32_t>::first);
        return after == known->second.begin() ? -1 : std::prev(after)->second;
    }

private:
    std::map<std::int32_t, std::vector<std::pair<Duration, std::int32_t>>> by_group_;
};

std::optional<Finding> check_generations(const GroupHistory& groups) {
    const Told told(groups);
    const auto in_group = [](std::int32_t group, std::int32_t generation) {
        return "group " + std::to_string(group) + ", generation " + std::to_string(generation);
    };
    std::map<std::pair<std::int32_t, std::int32_t>, std::string> assigners;
    for (const GroupJoin& join : groups.joins()) {
        const std::int32_t before = told.before(join.group, join.invoked);
        if (before > join.generation)
            return report(oracle::generation_went_back, in_group(join.group, join.generation) +
                                                            " was told after " +
                                                            std::to_string(before));
        if (!join.assigns) continue;
        const auto [known, is_new] =
            assigners.try_emplace({join.group, join.generation}, join.member);
        if (!is_new && known->second != join.member)
            return report(oracle::two_assign, in_group(join.group, join.generation) + ": " +
                                                  known->second + " and " + join.member);
    }
    for (const GroupCommit& commit : groups.commits()) {
        if (commit.outcome != Outcome::stored || commit.generation < 0) continue;
        const std::int32_t before = told.before(commit.group, commit.invoked);
        if (before > commit.generation)
            return report(oracle::zombie_accepted, in_group(commit.group, commit.generation) +
                                                       ": commit " + std::to_string(commit.number) +
                                                       " was taken after " +
                                                       std::to_string(before) + " had been told");
    }
    return {};
}

std::optional<Finding> check_shares(const History& history) {
    std::map<std::pair<std::int32_t, std::int32_t>, std::map<std::int32_t, std::string>> owners;
    for (const GroupShare& share : history.groups().shares())
        for (const std::int32_t partition : share.partitions) {
            const auto [known, is_new] =
                owners[{share.group, share.generation}].try_emplace(partition, share.owner);
            if (!is_new && known->second != share.owner)
                return report(oracle::shared_twice,
                              named(history, {share.group, partition}) + " in generation " +
                                  std::to_string(share.generation) + " is that of " +
                                  known->second + " and of " + share.owner);
        }
    return {};
}

} // namespace

std::optional<Finding> check_groups(const History& history) {
    if (auto finding = check_offsets(history)) return finding;
    if (auto finding = check_generations(history.groups())) return finding;
    return check_shares(history);
}

} // namespace pyralog::simtest
