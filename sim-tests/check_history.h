// sim-tests/check_history.h
//
// Does a history keep what a log promises its clients? Pure: a History in, what is wrong with it
// out. The argument for each rule, and the faults it must see, are in TESTING.md.
//
// The judge is the final read: all records of each partition, read through a client after the
// cluster has healed. A partition without one (its topic was deleted) is judged by what was seen.
//
// Why nothing that breaks linearizability gets past it. A partition is an object with two
// operations, to append and to ask for the end, and every record is unique; so the final log is the
// one possible order of the appends, and each operation has a place in it: an append where its
// records lie, an answer behind all that it counts. A history is linearizable if and only if there
// are moments, each between an operation's beginning and its end, that rise with these places; and
// there are unless one operation began after another had ended whose place is behind its own. That
// is what check_order_in_time, check_ends and check_told_in_time look for, for all pairs: two
// appends; an answer and whatever was told before it was asked for; an append and whatever was told
// before it was sent. The other rules say that the final log is one of these appends at all. A
// fetch promises less: what it shows is there for good, but it may show less than there is. So it
// counts as the earlier of a pair only. Appends with acks=1 may vanish; those that are in the log
// are in order.
//
// A log may begin late, where a deletion asked for it or where records may expire. Of what lay
// before, that is known which was acknowledged by all or was read: it has its places as well.
//
// Of a topic that is compacted most records may be gone. What is left must be what compaction
// leaves: of each key some of its records, up to the newest that there ever was; or none, if the
// newest says that the key is deleted, and is old enough to be forgotten. What a transaction has
// written that came to nothing may go or stay, and is newer than nothing.
#pragma once

#include "sim-tests/history.h"

#include <optional>
#include <string>
#include <string_view>

namespace pyralog::simtest {

// An oracle that fired.
struct Finding {
    std::string_view oracle; // One of a fixed list: see TESTING.md.
    std::string detail;
};

namespace oracle {
// Acknowledged, and not in the log.
inline constexpr std::string_view acknowledged_lost = "acknowledged-lost";
// In the log, but not at the offset that was told.
inline constexpr std::string_view moved = "moved";
// Two offsets for one record.
inline constexpr std::string_view duplicated = "duplicated";
// A record that nobody sent there, or not with these bytes.
inline constexpr std::string_view invented = "invented";
// Records of one batch are not next to each other, or not all of them are there.
inline constexpr std::string_view batch_broken = "batch-broken";
// A gap, or an offset twice.
inline constexpr std::string_view not_contiguous = "not-contiguous";
// What was sent after another was acknowledged, or behind it on one connection, lies before it.
inline constexpr std::string_view out_of_order = "out-of-order";
// It was said that it is not in the log.
inline constexpr std::string_view refused_yet_stored = "refused-yet-stored";
// It was read, and is not in the log.
inline constexpr std::string_view read_then_lost = "read-then-lost";
// One offset, two records.
inline constexpr std::string_view two_at_one_offset = "two-at-one-offset";
// The high watermark of one connection fell, or was beyond the end of the log.
inline constexpr std::string_view watermark = "watermark";
// ListOffsets told an end before one that somebody had been told already.
inline constexpr std::string_view stale_end = "stale-end";
// ListOffsets was answered by the leader of an epoch when one of a later had been elected before it
// was asked: what it told was right by luck.
inline constexpr std::string_view old_leader_told = "old-leader-told";
// Of a topic that is compacted: the newest record of its key, acknowledged or read, is not there.
inline constexpr std::string_view newest_lost = "newest-lost";
// Of a topic that is compacted: a record is there, and the newer ones of its key are all gone.
inline constexpr std::string_view came_back = "came-back";
// Somebody was told of a place in the log before a record was sent that lies before it.
inline constexpr std::string_view told_before_sent = "told-before-sent";
// A log begins behind what anybody asked to be deleted, and nothing in it may expire.
inline constexpr std::string_view deleted_unasked = "deleted-unasked";
// Somebody was told that a log begins behind what he asked to be deleted, or at some other place,
// and it begins before that.
inline constexpr std::string_view undeleted = "undeleted";
// Of an idempotent producer a batch is in the log, and one that he had sent before it is not.
inline constexpr std::string_view sequence_gap = "sequence-gap";
// He was told that a batch is not the next one, and it was.
inline constexpr std::string_view sequence_refused = "sequence-refused";
// Two producers have one id.
inline constexpr std::string_view id_given_twice = "id-given-twice";
} // namespace oracle

// Every oracle speaks through this. Nothing, if it is muted (io/sim/mute.h).
std::optional<Finding> report(std::string_view oracle, std::string detail);

// The first thing that is wrong.
std::optional<Finding> check_history(const History& history);

} // namespace pyralog::simtest
