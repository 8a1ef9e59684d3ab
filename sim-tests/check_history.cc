#include "sim-tests/check_history.h"

#include "io/sim/mute.h"
#include "sim-tests/transaction_fates.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>
#include <vector>

namespace pyralog::simtest {

namespace {

constexpr std::int64_t nowhere = -1;

std::string at(std::int64_t offset) { return " at offset " + std::to_string(offset); }

// All there is about one partition.
class Judge {
public:
    Judge(const History& history, const TransactionFates& fates, std::int32_t partition)
        : history_(history), fates_(fates), partition_(partition),
          name_(to_string(history.name(partition))),
          is_compacted_(history.is_compacted(partition)) {
        for (const Produce& produce : history.produces())
            if (produce.partition == partition) produces_.push_back(&produce);
        for (const Fetch& fetch : history.fetches())
            if (fetch.partition == partition) fetches_.push_back(&fetch);
        // Numbers of one client rise in the order of the history, so this order is its order too.
        by_ident_ = produces_;
        std::stable_sort(by_ident_.begin(), by_ident_.end(), [](auto* a, auto* b) {
            return Ident{a->client, a->first_number} < Ident{b->client, b->first_number};
        });
        if (const auto log = history.logs().find(partition); log != history.logs().end())
            log_ = &log->second.records, start_ = log->second.start;
    }

    std::optional<Finding> judge() {
        if (!log_) return judge_reads_alone();
        using Rule = std::optional<Finding> (Judge::*)();
        if (is_compacted_) {
            for (const Rule rule :
                 {&Judge::check_compacted_log, &Judge::check_start, &Judge::check_compacted_answers,
                  &Judge::check_keys, &Judge::check_order_in_time,
                  &Judge::check_order_on_connections, &Judge::check_next_refused,
                  &Judge::check_passed_over, &Judge::check_watermarks, &Judge::check_ends,
                  &Judge::check_told_in_time, &Judge::check_leaders})
                if (auto finding = (this->*rule)()) return finding;
            return {};
        }
        for (const Rule rule :
             {&Judge::check_log, &Judge::check_start, &Judge::check_before_start,
              &Judge::check_batches, &Judge::check_answers, &Judge::check_order_in_time,
              &Judge::check_order_on_connections, &Judge::check_sequences,
              &Judge::check_next_refused, &Judge::check_reads, &Judge::check_watermarks,
              &Judge::check_ends, &Judge::check_told_in_time, &Judge::check_leaders})
            if (auto finding = (this->*rule)()) return finding;
        return {};
    }

private:
    std::optional<Finding> found(std::string_view oracle, std::string what) const {
        return report(oracle, name_ + ": " + std::move(what));
    }

    const Produce* sent_with(Ident ident) const {
        const auto after = std::upper_bound(
            by_ident_.begin(), by_ident_.end(), ident, [](Ident value, const Produce* produce) {
                return value < Ident{produce->client, produce->first_number};
            });
        if (after == by_ident_.begin()) return nullptr;
        const Produce* produce = *std::prev(after);
        const bool within = produce->client == ident.client &&
                            ident.number < produce->first_number + produce->records;
        return within ? produce : nullptr;
    }

    static Ident ident(const Produce& produce, std::int32_t record) {
        return {produce.client, produce.first_number + record};
    }

    std::int64_t place_of(Ident ident) const {
        const auto place = places_.find(ident);
        return place == places_.end() ? nowhere : place->second;
    }
    // Where the first of its records is, or was: any of them tells.
    std::int64_t place_of(const Produce& produce) const {
        for (std::int32_t i = 0; i < produce.records; ++i)
            if (const std::int64_t place = place_of(ident(produce, i)); place != nowhere)
                return place - i;
        return nowhere;
    }
    std::int64_t log_end() const {
        if (is_compacted_) return log_->empty() ? start_ : log_->back().offset + 1;
        return start_ + static_cast<std::int64_t>(log_->size());
    }

    // Every offset once, from the beginning; every record one that was sent here, and once.
    std::optional<Finding> check_log() {
        std::int64_t expected = start_;
        for (const Fetch::Seen& record : *log_) {
            if (record.offset != expected)
                return found(oracle::not_contiguous,
                             "the log goes on" + at(record.offset) + " and not" + at(expected));
            ++expected;
            if (marker_of(record.ident)) continue;
            if (!sent_with(record.ident))
                return found(oracle::invented,
                             to_string(record.ident) + " is in the log" + at(record.offset));
            const auto [place, is_new] = places_.try_emplace(record.ident, record.offset);
            if (!is_new)
                return found(oracle::duplicated, to_string(record.ident) + " is in the log" +
                                                     at(place->second) + " and" +
                                                     at(record.offset));
        }
        return {};
    }

    // It moves when somebody asks for it, then it has moved, and it never moves back.
    std::optional<Finding> check_start() {
        std::int64_t most = 0;
        for (const Deletion& deletion : history_.deletions())
            // One that asks for more than there ever was is refused.
            if (deletion.partition == partition_ && deletion.before <= log_end())
                most =
                    std::max(most, deletion.before == Deletion::all ? log_end() : deletion.before);
        if (start_ > most && !history_.may_expire(partition_))
            return found(oracle::deleted_unasked, "the log begins" + at(start_) +
                                                      ", and nobody asked for more than" +
                                                      at(most));
        const auto check_told = [&](std::int64_t told, std::int64_t asked) {
            return told > start_ || told < asked
                       ? found(oracle::undeleted, "the log was said to begin" + at(told) +
                                                      " after all before" + at(asked) +
                                                      " was deleted, and it begins" + at(start_))
                       : std::nullopt;
        };
        for (const StartTold& told : history_.starts())
            if (told.partition == partition_)
                if (auto finding = check_told(told.start, told.asked)) return finding;
        for (const Fetch* fetch : fetches_)
            if (auto finding = check_told(fetch->log_start, nowhere)) return finding;
        return {};
    }

    // What is known of records that have been deleted: which of them lay where.
    std::optional<Finding> check_before_start() {
        const auto add = [&](std::int64_t offset, Ident ident) -> std::optional<Finding> {
            if (offset >= start_) return {};
            const Ident there = before_.try_emplace(offset, ident).first->second;
            if (there != ident)
                return found(oracle::two_at_one_offset, to_string(ident) + " and " +
                                                            to_string(there) + " were both" +
                                                            at(offset));
            const std::int64_t place = places_.try_emplace(ident, offset).first->second;
            if (place == offset) return {};
            return found(oracle::duplicated,
                         to_string(ident) + " was" + at(offset) + ", and is" + at(place));
        };
        return each_known(add);
    }

    // Calls add(offset, ident) for all that was acknowledged by all, or read, until it has found
    // something.
    template <class Add>
    std::optional<Finding> each_known(const Add& add) const {
        for (const Produce* produce : produces_) {
            if (produce->outcome != Outcome::stored || produce->acks != Acks::all) continue;
            for (std::int32_t i = 0; i < produce->records; ++i)
                if (auto finding = add(produce->base_offset + i, ident(*produce, i)))
                    return finding;
        }
        for (const Fetch* fetch : fetches_) {
            if (auto finding = check_seen(*fetch)) return finding;
            for (const Fetch::Seen& record : fetch->seen)
                if (auto finding = add(record.offset, record.ident)) return finding;
        }
        return {};
    }

    std::optional<Finding> check_batches() {
        for (const Produce* produce : produces_) {
            const std::int64_t base = place_of(*produce);
            for (std::int32_t i = 0; i < produce->records; ++i) {
                const std::int64_t expected = base == nowhere ? nowhere : base + i;
                const std::int64_t place = place_of(ident(*produce, i));
                // Of what has been deleted nobody may know.
                if (place != expected && (place != nowhere || expected >= start_))
                    return found(oracle::batch_broken, to_string(ident(*produce, i)) + " is" +
                                                           at(place) + ", and its batch begins" +
                                                           at(base));
            }
        }
        return {};
    }

    std::optional<Finding> check_answers() {
        for (const Produce* produce : produces_) {
            const std::int64_t base = place_of(*produce);
            const auto who = [&] { return to_string(ident(*produce, 0)); };
            if (produce->outcome == Outcome::refused && base != nowhere)
                return found(oracle::refused_yet_stored,
                             who() + " was refused, and is in the log" + at(base));
            if (produce->outcome != Outcome::stored) continue;
            if (base == nowhere && produce->acks == Acks::all)
                return found(oracle::acknowledged_lost, who() + " was acknowledged" +
                                                            at(produce->base_offset) +
                                                            " and is not in the log");
            // An entry never moves: what only the leader had acknowledged may be lost, and is at
            // the offset that was told if it is not.
            if (base != nowhere && base != produce->base_offset)
                return found(oracle::moved, who() + " was acknowledged" + at(produce->base_offset) +
                                                " and is" + at(base));
        }
        return {};
    }

    // Whoever has an answer, be it from the leader's disk alone, and then sends another record,
    // finds both in this order, if both are there: a record's term and place are fixed when it is
    // acknowledged, and a leader that does not have it could only add the other in place of it.
    std::optional<Finding> check_order_in_time() {
        std::vector<const Produce*> told;
        for (const Produce* produce : produces_)
            if (produce->outcome == Outcome::stored && place_of(*produce) != nowhere)
                told.push_back(produce);
        std::stable_sort(told.begin(), told.end(),
                         [](auto* a, auto* b) { return *a->completed < *b->completed; });
        std::vector<const Produce*> asked = produces_;
        std::stable_sort(asked.begin(), asked.end(),
                         [](auto* a, auto* b) { return a->invoked < b->invoked; });
        std::size_t before = 0;
        const Produce* last = nullptr;
        for (const Produce* produce : asked) {
            for (; before < told.size() && *told[before]->completed < produce->invoked; ++before)
                if (!last || place_of(*told[before]) > place_of(*last)) last = told[before];
            const std::int64_t place = place_of(*produce);
            if (last && place != nowhere && place < place_of(*last))
                return found(oracle::out_of_order,
                             to_string(ident(*produce, 0)) + " is" + at(place) + ", before " +
                                 to_string(ident(*last, 0)) + at(place_of(*last)) +
                                 " which had been acknowledged before it was sent");
        }
        return {};
    }

    std::optional<Finding> check_order_on_connections() {
        std::map<std::pair<std::int32_t, std::int64_t>, const Produce*> last;
        for (const Produce* produce : produces_) {
            const std::int64_t place = place_of(*produce);
            if (place == nowhere) continue;
            const Produce*& before = last[{produce->client, produce->connection}];
            if (before && place < place_of(*before))
                return found(oracle::out_of_order,
                             to_string(ident(*produce, 0)) + " is" + at(place) + ", before " +
                                 to_string(ident(*before, 0)) + at(place_of(*before)) +
                                 " which was sent first on the same connection");
            before = produce;
        }
        return {};
    }

    // What an idempotent producer has sent to this partition under one id. Batches of which nobody
    // knows were perhaps deleted: but not behind one that was not.
    std::optional<Finding> check_sequences() {
        struct Line {
            const Produce* missing = nullptr;
            bool is_kept = false; // What comes now was not deleted, or is not there.
        };
        std::map<std::pair<std::int32_t, std::int64_t>, Line> lines;
        for (const Produce* produce : produces_) {
            if (!produce->in_sequence) continue;
            Line& line = lines[{produce->client, produce->connection}];
            const std::int64_t place = place_of(*produce);
            if (place == nowhere) {
                if ((line.is_kept || start_ == 0) && !line.missing) line.missing = produce;
                continue;
            }
            if (line.missing)
                return found(oracle::sequence_gap, to_string(ident(*produce, 0)) + " is" +
                                                       at(place) + ", and " +
                                                       to_string(ident(*line.missing, 0)) +
                                                       " which came before it is not in the log");
            line.is_kept |= place >= start_;
        }
        return {};
    }

    std::optional<Finding> check_next_refused() {
        for (const SequenceRefused& refused : history_.sequences_refused())
            if (refused.partition == partition_)
                return found(oracle::sequence_refused,
                             "client " + std::to_string(refused.client) + " was told " +
                                 std::string(to_string(refused.error)) + " for sequence " +
                                 std::to_string(refused.sequence) + ", which was the next");
        return {};
    }

    std::optional<Finding> check_seen(const Fetch& fetch) const {
        std::int64_t expected = fetch.seen.empty() ? 0 : fetch.seen.front().offset;
        for (const Fetch::Seen& record : fetch.seen) {
            if (is_compacted_ && record.offset > expected) expected = record.offset;
            if (record.offset != expected++)
                return found(oracle::not_contiguous,
                             "a fetch goes on" + at(record.offset) + " and not" + at(expected - 1));
            if (record.offset >= fetch.high_watermark)
                return found(oracle::watermark, "a fetch shows a record" + at(record.offset) +
                                                    ", beyond its high watermark of " +
                                                    std::to_string(fetch.high_watermark));
            if (!sent_with(record.ident) && !marker_of(record.ident))
                return found(oracle::invented,
                             to_string(record.ident) + " was read" + at(record.offset));
        }
        return {};
    }

    std::optional<Finding> check_reads() {
        for (const Fetch* fetch : fetches_) {
            for (const Fetch::Seen& record : fetch->seen) {
                if (record.offset < start_) continue; // See check_before_start().
                const auto what = [&] {
                    return to_string(record.ident) + " was read" + at(record.offset);
                };
                if (record.offset >= log_end())
                    return found(oracle::read_then_lost,
                                 what() + ", and the log ends" + at(log_end()));
                const Ident there = (*log_)[static_cast<std::size_t>(record.offset - start_)].ident;
                if (there != record.ident)
                    return found(oracle::two_at_one_offset,
                                 what() + ", and in the end it is " + to_string(there));
            }
        }
        return {};
    }

    // A connection leads to one process, and what that knows to be committed only grows.
    std::optional<Finding> check_watermarks() {
        std::map<std::pair<std::int32_t, std::int64_t>, std::int64_t> highest;
        for (const Fetch* fetch : fetches_) {
            std::int64_t& before = highest[{fetch->client, fetch->connection}];
            if (fetch->high_watermark < before)
                return found(oracle::watermark, "the high watermark fell from " +
                                                    std::to_string(before) + " to " +
                                                    std::to_string(fetch->high_watermark));
            before = fetch->high_watermark;
            if (before > log_end())
                return found(oracle::watermark, "the high watermark was " + std::to_string(before) +
                                                    ", and the log ends" + at(log_end()));
        }
        return {};
    }

    // How long the log was at least, at some moment before somebody had his answer.
    struct Told {
        Duration when;
        std::int64_t end;
    };
    std::vector<Told> told_in_time() const {
        std::vector<Told> told;
        for (const Produce* produce : produces_)
            if (produce->outcome == Outcome::stored && produce->acks == Acks::all)
                told.push_back({*produce->completed, produce->base_offset + produce->records});
        for (const Fetch* fetch : fetches_)
            told.push_back({fetch->completed, fetch->high_watermark});
        for (const EndAsked& end : history_.ends())
            if (end.partition == partition_) told.push_back({end.completed, end.end});
        std::stable_sort(told.begin(), told.end(),
                         [](const Told& a, const Told& b) { return a.when < b.when; });
        return told;
    }

    std::optional<Finding> check_ends() {
        std::vector<const EndAsked*> asked;
        for (const EndAsked& end : history_.ends())
            if (end.partition == partition_) asked.push_back(&end);
        std::stable_sort(asked.begin(), asked.end(),
                         [](auto* a, auto* b) { return a->invoked < b->invoked; });
        const std::vector<Told> told = told_in_time();
        std::size_t before = 0;
        std::int64_t least = 0;
        for (const EndAsked* end : asked) {
            for (; before < told.size() && told[before].when < end->invoked; ++before)
                least = std::max(least, told[before].end);
            if (end->end < least)
                return found(oracle::stale_end, "the end was said to be" + at(end->end) +
                                                    " when somebody had been told of one" +
                                                    at(least));
            if (end->end > log_end())
                return found(oracle::stale_end, "the end was said to be" + at(end->end) +
                                                    ", and the log ends" + at(log_end()));
        }
        return {};
    }

    std::optional<Finding> check_told_in_time() {
        // Up to each offset that is known: before then, not all had been sent.
        std::vector<std::pair<std::int64_t, Duration>> sent;
        const auto add = [&](std::int64_t offset, Ident ident) {
            if (marker_of(ident)) return; // Nobody sends those.
            const Duration invoked = sent_with(ident)->invoked;
            sent.emplace_back(offset,
                              sent.empty() ? invoked : std::max(sent.back().second, invoked));
        };
        for (const auto& [offset, ident] : before_) add(offset, ident);
        for (const Fetch::Seen& record : *log_) add(record.offset, record.ident);
        for (const Told& told : told_in_time()) {
            const auto behind =
                std::partition_point(sent.begin(), sent.end(),
                                     [&](const auto& known) { return known.first < told.end; });
            if (behind == sent.begin() || told.when >= std::prev(behind)->second) continue;
            return found(oracle::told_before_sent,
                         "somebody was told that the log ends" + at(told.end) +
                             " before a record was sent that lies before that");
        }
        return {};
    }

    // Whoever asks a majority before he answers hears of a leader that it has elected.
    std::optional<Finding> check_leaders() {
        for (const EndAsked& end : history_.ends()) {
            if (end.partition != partition_ || end.leader_epoch < 0) continue;
            for (const Elected& leader : history_.elected())
                if (leader.partition == partition_ && leader.leader_epoch > end.leader_epoch &&
                    leader.when < end.invoked)
                    return found(oracle::old_leader_told,
                                 "the end" + at(end.end) + " was told by the leader of epoch " +
                                     std::to_string(end.leader_epoch) +
                                     " to who asked after one of epoch " +
                                     std::to_string(leader.leader_epoch) + " had been elected");
        }
        return {};
    }

    // ---- Of a topic that is compacted ----

    std::optional<Finding> check_compacted_log() {
        std::int64_t least = start_;
        for (const Fetch::Seen& record : *log_) {
            if (record.offset < least)
                return found(oracle::not_contiguous,
                             "the log goes on" + at(record.offset) + " behind" + at(least - 1));
            least = record.offset + 1;
            if (marker_of(record.ident)) continue;
            if (!sent_with(record.ident))
                return found(oracle::invented,
                             to_string(record.ident) + " is in the log" + at(record.offset));
            const auto [place, is_new] = places_.try_emplace(record.ident, record.offset);
            if (!is_new)
                return found(oracle::duplicated, to_string(record.ident) + " is in the log" +
                                                     at(place->second) + " and" +
                                                     at(record.offset));
        }
        return {};
    }

    // What is left of a batch is where it was.
    std::optional<Finding> check_compacted_answers() {
        for (const Produce* produce : produces_) {
            const std::int64_t base = place_of(*produce);
            if (base == nowhere) continue;
            for (std::int32_t i = 0; i < produce->records; ++i) {
                const std::int64_t place = place_of(ident(*produce, i));
                if (place != nowhere && place != base + i)
                    return found(oracle::batch_broken, to_string(ident(*produce, i)) + " is" +
                                                           at(place) + ", and its batch begins" +
                                                           at(base));
            }
            const auto who = [&] { return to_string(ident(*produce, 0)); };
            if (produce->outcome == Outcome::refused)
                return found(oracle::refused_yet_stored,
                             who() + " was refused, and is in the log" + at(base));
            if (produce->outcome == Outcome::stored && base != produce->base_offset)
                return found(oracle::moved, who() + " was acknowledged" + at(produce->base_offset) +
                                                " and is" + at(base));
        }
        return {};
    }

    // All that is known to have been in the log, by key; and what is there.
    struct OfKey {
        std::map<std::int64_t, Ident> known, there;
        bool has_unplaced = false;   // A record of which nobody knows where it is, or was,
        bool may_be_deleted = false; // and by which it may be deleted.
    };
    std::optional<Finding> check_keys() {
        std::map<std::int64_t, Ident> all;
        std::map<Ident, std::int64_t> known_places;
        const auto add = [&](std::int64_t offset, Ident ident) -> std::optional<Finding> {
            const Ident there = all.try_emplace(offset, ident).first->second;
            if (there != ident)
                return found(oracle::two_at_one_offset, to_string(ident) + " and " +
                                                            to_string(there) + " were both" +
                                                            at(offset));
            const std::int64_t place = known_places.try_emplace(ident, offset).first->second;
            if (place != offset)
                return found(oracle::duplicated,
                             to_string(ident) + " was" + at(offset) + ", and" + at(place));
            // Of what has been deleted nothing is expected.
            if (offset >= start_ && may_count(ident))
                keys_[key_of(ident)].known.emplace(offset, ident);
            return {};
        };
        for (const Fetch::Seen& record : *log_) {
            if (auto finding = add(record.offset, record.ident)) return finding;
            if (may_count(record.ident))
                keys_[key_of(record.ident)].there.emplace(record.offset, record.ident);
        }
        if (auto finding = each_known(add)) return finding;
        for (const Produce* produce : produces_)
            for (std::int32_t i = 0; i < produce->records; ++i) {
                const Ident who = ident(*produce, i);
                if (produce->outcome == Outcome::refused || known_places.contains(who) ||
                    !may_count(who))
                    continue;
                keys_[key_of(who)].has_unplaced = true;
                keys_[key_of(who)].may_be_deleted |= deletes_key(who);
            }
        for (const auto& [key, of_key] : keys_)
            if (auto finding = check_key(key, of_key)) return finding;
        return {};
    }

    // Is it no marker, and of no transaction that came to nothing? And if it is of one, is it not
    // known what that came to?
    bool may_count(Ident ident) const {
        return !marker_of(ident) && fates_.of(ident).value_or(true);
    }
    bool is_open_question(Ident ident) const { return fates_.is_part(ident) && !fates_.of(ident); }

    std::optional<Finding> check_key(const std::string& key, const OfKey& of_key) const {
        const auto& [known, there, has_unplaced, may_be_deleted] = of_key;
        if (known.empty()) return {};
        for (auto record = known.rbegin(); record != known.rend(); ++record) {
            if (there.contains(record->first)) continue;
            // Older ones may be there as well: a replica that was away is sent what others have
            // compacted, and has yet to compact what it had.
            if (!there.empty() && there.rbegin()->first > record->first) break;
            // Then it did not count, or has deleted its key.
            if (is_open_question(record->second) && !deletes_key(record->second)) continue;
            if (is_open_question(record->second)) break;
            const bool may_be_forgotten =
                history_.forgets(partition_) && (may_be_deleted || deletes_key(record->second));
            if (!may_be_forgotten)
                return found(oracle::newest_lost, to_string(record->second) + at(record->first) +
                                                      ", the newest of " + key + ", is gone");
            if (!there.empty())
                return found(oracle::came_back, to_string(there.rbegin()->second) + " of " + key +
                                                    " is" + at(there.rbegin()->first) +
                                                    ", and what came later is not");
            break;
        }
        return {};
    }

    // A fetch may only pass over what compaction may have taken: because something newer of its key
    // was committed then, or it says that its key is deleted. The log was perhaps read in the end
    // where compaction had not come so far yet.
    std::optional<Finding> check_passed_over() {
        struct Kept {
            std::int64_t offset = 0;
            Ident ident;
            std::int64_t superseded = 0; // By the record there.
        };
        std::vector<Kept> kept;
        for (const auto& [key, of_key] : keys_) {
            if (of_key.has_unplaced) continue;
            std::int64_t newer = std::numeric_limits<std::int64_t>::max();
            for (auto known = of_key.known.rbegin(); known != of_key.known.rend(); ++known) {
                const auto& [offset, ident] = *known;
                const bool may_go =
                    is_open_question(ident) || (deletes_key(ident) && history_.forgets(partition_));
                if (!may_go) kept.push_back({offset, ident, newer});
                newer = offset;
            }
        }
        std::ranges::sort(kept, {}, &Kept::offset);
        for (const Fetch* fetch : fetches_) {
            std::int64_t next = fetch->from;
            auto passed = std::ranges::lower_bound(kept, next, {}, &Kept::offset);
            for (const Fetch::Seen& record : fetch->seen) {
                for (; passed != kept.end() && passed->offset < record.offset; ++passed)
                    if (passed->offset >= next && passed->superseded >= fetch->high_watermark)
                        return found(oracle::not_contiguous, "a fetch passes over " +
                                                                 to_string(passed->ident) +
                                                                 at(passed->offset));
                next = std::max(next, record.offset + 1);
            }
        }
        return {};
    }

    // The topic has gone. What was acknowledged and what was read must still agree.
    std::optional<Finding> judge_reads_alone() {
        std::map<std::int64_t, Ident> known;
        const auto conflicts = [&](std::int64_t offset, Ident ident) -> std::optional<Finding> {
            const auto [entry, is_new] = known.try_emplace(offset, ident);
            if (is_new || entry->second == ident) return {};
            return found(oracle::two_at_one_offset, to_string(ident) + " and " +
                                                        to_string(entry->second) + " are both" +
                                                        at(offset));
        };
        if (auto finding = each_known(conflicts)) return finding;
        return check_leaders();
    }

    const History& history_;
    const TransactionFates& fates_;
    const std::int32_t partition_;
    const std::string name_;
    std::vector<const Produce*> produces_; // In the order in which they were sent.
    std::vector<const Produce*> by_ident_;
    std::vector<const Fetch*> fetches_;
    const std::vector<Fetch::Seen>* log_ = nullptr;
    std::int64_t start_ = 0;
    const bool is_compacted_;
    std::map<Ident, std::int64_t> places_;
    std::map<std::string, OfKey> keys_;
    std::map<std::int64_t, Ident> before_; // What is known of what lay before the start.
};

} // namespace

std::optional<Finding> report(std::string_view oracle, std::string detail) {
    if (sim::is_muted(oracle)) return {};
    return Finding{oracle, std::move(detail)};
}

namespace {

std::optional<Finding> check_ids(const History& history) {
    std::map<std::int64_t, std::int32_t> owners;
    for (const History::IdGiven& given : history.ids_given())
        if (const auto [owner, is_new] = owners.try_emplace(given.id, given.client); !is_new)
            return report(oracle::id_given_twice,
                          "producer id " + std::to_string(given.id) + " was given to client " +
                              std::to_string(owner->second) + " and to client " +
                              std::to_string(given.client));
    return {};
}

} // namespace

std::optional<Finding> check_history(const History& history) {
    if (auto finding = check_ids(history)) return finding;
    const TransactionFates fates(history);
    for (std::size_t i = 0; i < history.partition_count(); ++i)
        if (auto finding = Judge(history, fates, static_cast<std::int32_t>(i)).judge())
            return finding;
    return {};
}

} // namespace pyralog::simtest
