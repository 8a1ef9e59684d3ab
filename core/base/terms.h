// core/base/terms.h
//
// Which term wrote what. Terms never fall along a log, so the whole log is told by the place where
// each of its terms begins: a few entries for years of history.
#pragma once

#include "core/base/types.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace pyralog {

struct TermStart {
    Term term;
    Position first; // Of its first entry.
    auto operator<=>(const TermStart&) const = default;
};

// Where a log begins that has lost its beginning on purpose.
struct LogStart {
    Position first; // Of the first entry that is kept.
    Term before;    // Of the entry before that; zero at the very beginning.
    Offset offset;  // The first record that is still to be read: in that entry, perhaps not first.
    auto operator<=>(const LogStart&) const = default;

    // Can that record be one of that entry, or stand right behind it?
    bool is_sensible() const {
        return offset >= first.offset &&
               offset - first.offset <= std::numeric_limits<std::int32_t>::max();
    }
};

class TermTable {
public:
    TermTable() = default;

    // Of a log that begins at `start`, behind an entry of the term `before`.
    TermTable(Position start, Term before) : start_(start), before_(before) {}

    // Tells of the entry that begins at `first`, the next of the log. Terms may not fall.
    void append(Term term, Position first);

    // Forgets the entries from `end` on.
    void cut(Position end);

    // Forgets the entries before `start`, save for the term of the last of them. Where a log ends
    // is not known here: if it is at `start`, cut(start) says so.
    void trim(Position start) { trim(start, before(start.index)); }

    // The same where the caller knows that term, and the table may begin too late for it.
    void trim(Position start, Term before);

    // Where the log begins that this tells of, and the term of the entry before that.
    Position start() const { return start_; }
    Term before_start() const { return before_; }

    bool empty() const { return starts_.empty(); } // Tells of no entry.
    Term last() const { return starts_.empty() ? before_ : starts_.back().term; }

    // The term of the entry with this index, zero more than one entry before the start. The table
    // does not know where the log ends: the caller does.
    Term at(std::int64_t index) const;

    // The term of the last entry before `index`; zero at the beginning of the log.
    Term before(std::int64_t index) const { return index == 0 ? Term() : at(index - 1); }

    // Where the first term greater than `term` begins, if there is one. Kafka's question of where a
    // leader epoch ends (KIP-101): here, or else at the log's end.
    std::optional<TermStart> first_after(Term term) const;

    // The last start at or before `index`.
    std::optional<TermStart> start_at_or_before(std::int64_t index) const;

    const std::vector<TermStart>& starts() const { return starts_; }
    bool operator==(const TermTable&) const = default;

private:
    Position start_;
    Term before_;
    std::vector<TermStart> starts_; // Terms and positions both rise strictly.
};

} // namespace pyralog
