// core/log/test_history.h
//
// For tests: the lives of a node, what it is asked for in each, and plain vectors beside it. What a
// node finds when it comes back is what some prefix of the operations had made, and at least those
// before the last sync that returned. Its disk may be harmed between two lives: then it may refuse
// to open, but what it finds is still a prefix, and nothing is missing from it unless the harm was
// done to the very last round of the journal, which cannot be told from a torn one.
#pragma once

#include "core/log/test_node.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace pyralog::log_test {

constexpr int group_count = 3;

struct Operation {
    enum class Kind : std::uint8_t { append, cut, vote, commit, sync, flush, wait, trim, reset };
    Kind kind = Kind::append;
    int group = 0;
    std::int64_t amount = 0; // Of what depends on the kind.
};

// What is done to a file of a node that is down. File and place are taken modulo what there is.
struct Harm {
    std::uint64_t file = 0;
    std::uint64_t position = 0;
    std::byte mask{0}; // Of the bits that flip. None: the sector cannot be read.
};

struct LifePlan {
    std::vector<Operation> operations;
    std::uint64_t steps = 0; // After which it ends.
    bool power_cut = true;
    std::vector<Harm> harms; // Once it has ended.
};

// What the logs hold, without the logs.
struct Model {
    struct Entry {
        Position first;
        Term term;
        std::size_t bytes;
        std::int32_t records;
        bool operator==(const Entry&) const = default;
    };
    struct Group {
        LogStart start;
        std::vector<Entry> entries; // From there on.
        Term vote;
        bool operator==(const Group&) const = default;
    };
    std::array<Group, group_count> groups;
    bool operator==(const Model&) const = default;
};

// One that was carried out, as a change of the model.
struct Deed {
    Operation::Kind kind;
    int group;
    Model::Entry entry;    // Of an append.
    std::int64_t keep = 0; // Of a cut.
    Term vote;
    LogStart start; // Of a trim and a reset.

    void change(Model& model) const {
        Model::Group& g = model.groups[static_cast<std::size_t>(group)];
        const auto place = [&](std::int64_t index) {
            return static_cast<std::ptrdiff_t>(index - g.start.first.index);
        };
        if (kind == Operation::Kind::append) g.entries.push_back(entry);
        if (kind == Operation::Kind::cut)
            g.entries.erase(g.entries.begin() + place(keep), g.entries.end());
        if (kind == Operation::Kind::vote) g.vote = vote;
        if (kind == Operation::Kind::trim)
            g.entries.erase(g.entries.begin(), g.entries.begin() + place(start.first.index));
        if (kind == Operation::Kind::reset) g.entries.clear();
        if (kind == Operation::Kind::trim || kind == Operation::Kind::reset) g.start = start;
    }
};

class History {
public:
    explicit History(std::uint64_t seed) : node_(seed, settings(seed)) {}

    // The node has said that its disk is damaged, which it is: it has no more lives.
    bool refused() const { return refused_; }

    // Empty, or what is wrong.
    std::string live(const LifePlan& plan) {
        CHECK(!refused_);
        deeds_.clear();
        synced_ = 0;
        term_ = term_.next();
        node_.boot([&](Life& life) -> Result<> {
            const Living living(*this, life);
            trouble_ = compare(life);
            if (!trouble_.empty()) return {};
            for (const Operation& operation : plan.operations) TRY(carry_out(life, operation));
            return life.env.fibers.sleep_until(life.env.clock.now() + 50ms);
        });
        const bool runs = node_.steps(plan.steps);
        if (life_) note_committed(*life_);
        if (runs && plan.power_cut) node_.cut_power();
        if (runs && !plan.power_cut) node_.world.kill(TestNode::id);
        if (!trouble_.empty()) return trouble_;
        if (!node_.opened.ok() && node_.opened.error() != Error::cancelled) {
            if (may_refuse(node_.opened.error())) return {};
            return "open: " + std::string(to_string(node_.opened.error()));
        }
        for (const Harm& harm : plan.harms) do_harm(harm);
        return reopen();
    }

private:
    // In one of three all goes through the journal, in one what is not small goes past it, in one
    // all does that can.
    static Settings settings(std::uint64_t seed) {
        static constexpr std::array<std::size_t, 3> least{0, 800, 1};
        Settings settings = Settings::small();
        settings.journal.bulk_min_bytes = least[seed % least.size()];
        return settings;
    }

    struct Living {
        Living(History& h, Life& l) : history(h) { history.life_ = &l; }
        ~Living() {
            history.note_committed(*history.life_);
            history.life_ = nullptr;
        }
        Living(const Living&) = delete;
        Living& operator=(const Living&) = delete;
        History& history;
    };
    // What a node was told to be committed it need not know in its next life, and yet no leader
    // overrules it.
    void note_committed(const Life& life) {
        for (const auto& [group, log] : life.logs) {
            std::int64_t& committed = committed_[static_cast<std::size_t>(group.value)];
            committed = std::max(committed, log->committed().index);
        }
    }

    bool may_refuse(Error error) {
        refused_ = harmed_ && error == Error::corrupt;
        return refused_;
    }

    static std::string words_of(const Result<>& result) {
        return result.ok() ? "nothing" : std::string(to_string(result.error()));
    }
    static std::string words_of(const Survey& survey) {
        std::string words;
        for (const Finding& f : survey.findings)
            words += f.path + ':' + std::to_string(f.file_position) + ": " + f.what + ": " +
                     std::string(to_string(f.consequence)) + "; ";
        return words.empty() ? "nothing" : words;
    }

    void do_harm(const Harm& harm) {
        std::vector<std::string> paths;
        for (const std::string directory : {"journal", "groups"}) add_files(directory, paths);
        if (paths.empty()) return;
        const std::string& path = paths[harm.file % paths.size()];
        const auto content = node_.disk().durable_content(path);
        if (!content || content->size() == 0) return;
        const std::uint64_t position = harm.position % content->size();
        const auto journal = node_.journal_files();
        if (!journal.empty() && path == journal.back() && position >= last_round_of(*content))
            last_round_harmed_ = true;
        harmed_ = true;
        if (harm.mask != std::byte{0})
            CHECK(node_.disk().rot(path, position, harm.mask));
        else
            (void)node_.disk().make_unreadable(path, position);
    }
    void add_files(const std::string& directory, std::vector<std::string>& paths) {
        for (const std::string& name :
             node_.disk().durable_list(directory).value_or(std::vector<std::string>())) {
            const std::string path = directory + "/" + name;
            if (node_.disk().durable_list(path))
                add_files(path, paths);
            else
                paths.push_back(path);
        }
    }
    // Where it begins. What is behind it is torn, or was never written.
    static std::uint64_t last_round_of(const Bytes& file) {
        const auto header = wire::decode_journal_header(file.view());
        if (!header) return file.size();
        const auto all = scan_journal(file, *header, {});
        if (all.round_end <= header->first_round + 1) return wire::JournalHeader::size;
        return scan_journal(file, *header, all.round_end - 2).file_position;
    }

    // How many deeds cannot have been forgotten.
    std::size_t certain() const { return last_round_harmed_ ? 0 : synced_; }

    // Twice, and the second time must find what the first one did.
    std::string reopen() {
        for (int time = 0; time < 2; ++time) {
            Model found;
            const Survey seen = look(node_);
            if (seen.damaged() && !harmed_) return "called damaged: " + words_of(seen);
            const Result<> opened = node_.live([&](Life& life) -> Result<> {
                found = TRY(read(life));
                return {};
            });
            // They have nothing in common but the formats, and must say the same.
            if (node_.opened.ok() == seen.refused())
                return "recovery says " + words_of(node_.opened) +
                       ", but a look at the disk: " + words_of(seen);
            if (!opened.ok() && !seen.damaged())
                return "a damage that the survey does not see: " + words_of(opened);
            if (!opened.ok()) {
                if (may_refuse(opened.error())) return {};
                return "reopen: " + std::string(to_string(opened.error()));
            }
            if (time == 1 && !(found == base_)) return "the second reopen finds something else";
            Model expected = base_;
            std::size_t done = 0;
            for (; done < certain(); ++done) deeds_[done].change(expected);
            while (!(expected == found) && done < deeds_.size()) deeds_[done++].change(expected);
            if (!(expected == found)) return differs(expected, found);
            base_ = found;
            for (std::size_t i = 0; i < group_count; ++i) {
                const Model::Group& group = base_.groups[i];
                const auto entries = static_cast<std::int64_t>(group.entries.size());
                committed_[i] = std::min(committed_[i], group.start.first.index + entries);
            }
            deeds_.clear();
            synced_ = 0;
            last_round_harmed_ = false;
        }
        return {};
    }

    Result<> carry_out(Life& life, const Operation& operation) {
        Log& log = *TRY(life.log(operation.group));
        Deed deed{operation.kind, operation.group, {}, 0, {}, {}};
        switch (operation.kind) {
        case Operation::Kind::append: {
            const std::size_t bytes = static_cast<std::size_t>(
                operation.amount % 40 == 0 ? 30'000 : operation.amount % 1500);
            const std::int32_t records = static_cast<std::int32_t>(operation.amount % 4);
            deed.entry = {log.end(), term_, bytes, records};
            TRY(life.append(operation.group, term_, bytes, records));
            break;
        }
        case Operation::Kind::cut: {
            const std::int64_t room = log.end().index - least_end(log);
            if (room <= 0) return {};
            return cut(log, operation.group, log.end().index - 1 - operation.amount % room);
        }
        case Operation::Kind::trim: {
            const std::int64_t room = log.committed().index - log.start().index;
            const std::int64_t index = log.start().index + operation.amount % (room + 1);
            const auto frames = TRY(log.read_frames({index, {}}, log.end(), 1));
            const Position first = frames.empty() ? log.end() : frames.front().first;
            Offset offset = first.offset;
            if (!frames.empty() && index < log.committed().index && frames.front().records > 1)
                offset = offset + operation.amount % frames.front().records;
            if (offset <= log.log_start().offset) return {};
            log.trim({first, offset});
            deed.start = {first, log.terms().before(index), offset};
            break;
        }
        case Operation::Kind::reset: {
            if (least_end(log) > log.end().index) return {};
            if (log.end().index > least_end(log)) TRY(cut(log, operation.group, least_end(log)));
            log.set_committed(log.end());
            const Position first{log.end().index + 1 + operation.amount % 50,
                                 log.end().offset + operation.amount % 70};
            deed.start = {first, log.terms().last(), first.offset};
            log.reset(deed.start);
            break;
        }
        case Operation::Kind::vote:
            term_ = deed.vote = term_.next();
            life.vote(operation.group, term_, "somebody");
            break;
        case Operation::Kind::commit: {
            const std::int64_t room = log.end().index - log.committed().index;
            if (room == 0) return {};
            const std::int64_t end = log.end().index - operation.amount % room;
            const auto frames = TRY(log.read_frames(log.committed(), {end, {}}, 1_GiB));
            if (!frames.empty()) log.set_committed(frames.back().end());
            return {};
        }
        case Operation::Kind::sync: {
            const std::size_t before = deeds_.size();
            TRY(life.journal.sync());
            synced_ = before;
            return {};
        }
        case Operation::Kind::flush: return life.writer.flush();
        case Operation::Kind::wait:
            return life.env.fibers.sleep_until(life.env.clock.now() +
                                               Duration(operation.amount * 10'000));
        }
        deeds_.push_back(deed);
        return {};
    }

    // An entry of which some records were trimmed was committed, though a new life has not heard.
    std::int64_t least_end(const Log& log) const {
        const LogStart& start = log.log_start();
        const std::int64_t committed = committed_[static_cast<std::size_t>(log.group().value)];
        return std::max({log.committed().index, committed,
                         start.first.index + (start.offset > start.first.offset ? 1 : 0)});
    }

    Result<> cut(Log& log, int group, std::int64_t keep) {
        // In Raft the new leader's term comes with it.
        term_ = term_.next();
        log.cut(TRY(log.read_frames({keep, {}}, log.end(), 1)).front().first);
        deeds_.push_back({Operation::Kind::cut, group, {}, keep, {}, {}});
        return {};
    }

    static Result<Model> read(Life& life) {
        Model model;
        for (int number = 0; number < group_count; ++number) {
            Log& log = *TRY(life.log(number));
            Model::Group& group = model.groups[static_cast<std::size_t>(number)];
            group.vote = life.voted(number);
            group.start = log.log_start();
            Position at = log.start();
            if (log.terms().before(at.index) != group.start.before) return Error::malformed;
            while (at != log.end()) {
                const auto frames = TRY(log.read_frames(at, log.end(), 5'000));
                if (frames.empty()) return Error::malformed;
                for (const wire::Frame& frame : frames) {
                    const std::size_t bytes = size_of(frame.payload);
                    const wire::Frame expected =
                        Life::entry(at, number, frame.term, bytes, frame.records);
                    if (frame.first != at || frame.kind != expected.kind ||
                        joined(frame.payload).text() != joined(expected.payload).text() ||
                        log.terms().at(at.index) != frame.term)
                        return Error::malformed;
                    group.entries.push_back({at, frame.term, bytes, frame.records});
                    at = frame.end();
                }
            }
        }
        return model;
    }
    // By offset as a consumer reads, at every place where a batch begins.
    static Result<bool> reads_by_offset(Life& life, const Model& model) {
        for (int number = 0; number < group_count; ++number) {
            Log& log = *TRY(life.log(number));
            for (const Model::Entry& entry :
                 model.groups[static_cast<std::size_t>(number)].entries) {
                if (entry.records == 0 || entry.bytes == 0) continue;
                const Offset last = entry.first.offset + (entry.records - 1);
                if (last < log.log_start().offset) return false;
                const BytesChain batch = TRY(log.read(last, log.end().offset, 1));
                const wire::Frame expected =
                    Life::entry(entry.first, number, entry.term, entry.bytes, entry.records);
                if (joined(batch).text() != joined(expected.payload).text()) return false;
                if (TRY(log.position_of(last)) != entry.first) return false;
            }
        }
        return true;
    }
    std::string compare(Life& life) {
        const Result<Model> found = read(life);
        if (!found.ok()) // The power may go while it reads.
            return found.error() == Error::cancelled || may_refuse(found.error())
                       ? ""
                       : "an entry is not what was appended";
        if (!(found.value() == base_)) return differs(base_, found.value());
        const Result<bool> by_offset = reads_by_offset(life, base_);
        if (by_offset.ok() && !by_offset.value()) return "reading by offset gives another batch";
        if (!by_offset.ok() && by_offset.error() != Error::cancelled &&
            !may_refuse(by_offset.error()))
            return "reading by offset fails";
        return {};
    }
    static std::string differs(const Model& expected, const Model& found) {
        std::string text = "found something else than any prefix:";
        for (std::size_t i = 0; i < group_count; ++i)
            text += " group " + std::to_string(i) + " expected " +
                    std::to_string(expected.groups[i].entries.size()) + " entries, vote " +
                    std::to_string(expected.groups[i].vote.value) + ", found " +
                    std::to_string(found.groups[i].entries.size()) + ", vote " +
                    std::to_string(found.groups[i].vote.value) + ";";
        return text;
    }

    TestNode node_;
    Model base_;
    std::vector<Deed> deeds_;
    std::size_t synced_ = 0;
    Term term_;
    std::string trouble_;
    Life* life_ = nullptr; // The one that is lived.
    std::array<std::int64_t, group_count> committed_{};
    bool harmed_ = false;
    bool last_round_harmed_ = false;
    bool refused_ = false;
};

} // namespace pyralog::log_test
