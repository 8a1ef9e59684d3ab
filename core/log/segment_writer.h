// core/log/segment_writer.h
//
// Moves committed entries from the journal to segments, for all logs of a node, in pieces as big as
// they come: when a log has enough of them, when a journal file has become full (then all that the
// oldest file holds), or when asked. Removes what logs have lost of their beginnings, and that
// comes first: it makes room. What is not committed and would keep the oldest file from being used
// again for too long is appended to the journal once more.
//
// One fiber runs run(). Logs are added by their owner, and removed before they end.
#pragma once

#include "core/env/environment.h"
#include "core/log/journal.h"
#include "core/log/log.h"

#include <deque>
#include <map>
#include <span>

namespace pyralog {

class SegmentWriter {
public:
    SegmentWriter(Environment& env, Journal& journal, const LogConfig& config);
    ~SegmentWriter();
    SegmentWriter(const SegmentWriter&) = delete;
    SegmentWriter& operator=(const SegmentWriter&) = delete;

    void add(Log& log);
    // Waits while this log is being moved, come what may: afterwards it may end.
    void remove(Log& log);

    // Until cancelled, or until the device fails. A full disk is waited out.
    Result<> run();

    // Moves all that is committed now, and returns when it is in segments. Needs run().
    Result<> flush();

private:
    friend class Log;
    void wake(Log& log);           // It has enough to be worth a piece.
    void wake_to_remove(Log& log); // It has been trimmed.
    void free_files() {            // The journal is crowded, and something that it holds can move.
        file_full_ = true;
        changed_.notify_all();
    }

    Result<> watch_journal();
    Result<> work();
    Result<> remove_old();
    Result<> free_oldest_file();
    Result<> move_all();
    Result<> move(GroupId group, std::int64_t end);
    Log* find(GroupId group) const;
    void carry_over(std::span<const Journal::Pin> pins);
    bool pays_to_write_anew() const;
    Result<> write_anew();

    Environment& env_;
    Journal& journal_;
    LogConfig config_;
    std::map<GroupId, Log*> logs_;
    std::deque<Log*> ready_;
    std::deque<Log*> trimmed_;
    Condition changed_;
    bool file_full_ = false;
    std::uint64_t flushes_wanted_ = 0;
    std::uint64_t flushes_done_ = 0;
    Log* busy_ = nullptr;
    Signal* idle_ = nullptr; // Of who waits in remove().

    Metrics::Counter pieces_total_;
    Metrics::Counter bytes_total_;
    Metrics::Counter carried_total_;
};

} // namespace pyralog
