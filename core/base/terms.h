// core/base/terms.h
//
// Which term wrote what. Terms never fall along a log, so the whole log is told by the place where
// each of its terms begins: a few entries for years of history.
#pragma once

#include "core/base/types.h"

#include <optional>
#include <vector>

namespace pyralog {

struct TermStart {
    Term term;
    Position first; // Of its first entry.
    auto operator<=>(const TermStart&) const = default;
};

class TermTable {
public:
    // Tells of the entry that begins at `first`, the next of the log. Terms may not fall.
    void append(Term term, Position first);

    // Forgets the entries from `end` on.
    void cut(Position end);

    // Forgets the entries before `start`; the term of the first one kept stays known.
    void trim(Position start);

    bool empty() const { return starts_.empty(); }
    Term last() const { return starts_.empty() ? Term() : starts_.back().term; }

    // The term of the entry with this index, zero where the table begins later. The table does not
    // know where the log ends: the caller does.
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
    std::vector<TermStart> starts_; // Terms and positions both rise strictly.
};

} // namespace pyralog
