// What compaction leaves of a log, who reads it meanwhile, and what an end at any moment does.
#include "core/log/compaction.h"

#include "core/log/file_names.h"
#include "core/log/test_node.h"
#include "core/log/toy_batches.h"
#include "io/sim/crash_points.h"

#include <algorithm>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::log_test;
using sim::Crash;

namespace {

constexpr int group = 1;
constexpr std::size_t plenty = 1_MiB;

Settings tiny() {
    Settings settings = Settings::small();
    settings.journal.file_bytes = 16_KiB;
    settings.journal.journal_bytes_max = 64_KiB;
    settings.log.segment_bytes = 1_KiB;
    settings.log.segment_flush_bytes = 1_KiB;
    settings.log.cache_bytes = 0;
    settings.log.node_cache_bytes = 0;
    return settings;
}

const CompactionPace no_pause = []() -> Result<> { return {}; };

Result<> put(Life& life, const std::vector<ToyRecord>& records, Term term = Term(1)) {
    Log& log = *TRY(life.log(group));
    log.append(toy_entry(log.end(), GroupId(group), term, records));
    return {};
}

// All that was appended is in segments then.
Result<> move_all(Life& life) {
    Log& log = *TRY(life.log(group));
    TRY(life.journal.sync());
    log.set_committed(log.end());
    return life.writer.flush();
}

Result<> agree(Life& life, const wire::Compacted& to, Term term = Term(1)) {
    Log& log = *TRY(life.log(group));
    log.append(compaction_entry(log.end(), GroupId(group), term, to));
    return move_all(life);
}

// As who has nothing else to do: tries again while it is too early.
Result<CompactionWork> compact(Life& life, std::size_t key_bytes_max = plenty,
                               const CompactionPace& pace = no_pause) {
    Log& log = *TRY(life.log(group));
    for (int attempt = 0;; ++attempt) {
        auto done = log.compact(ToyReader(), key_bytes_max, pace);
        if (done.ok() || done.error() != Error::unavailable || attempt == 100) return done;
        TRY(life.env.fibers.sleep_until(life.env.clock.now() + 10ms));
    }
}

// All records there are, as lines.
Result<std::string> records(Life& life) {
    Log& log = *TRY(life.log(group));
    std::string text;
    for (Position at = log.start(); at != log.end();) {
        const auto frames = TRY(log.read_frames(at, log.end(), 1_KiB));
        for (const wire::Frame& frame : frames) {
            if (frame.first != at) return Error::malformed;
            if (frame.has_records()) text += joined(frame.payload).text();
            at = frame.end();
        }
    }
    return text;
}

// The same as a consumer reads it, from an offset on.
Result<std::string> consumed(Life& life, Offset from = {}) {
    Log& log = *TRY(life.log(group));
    std::string text;
    while (from < log.end().offset) {
        const Bytes batches = joined(TRY(log.read(from, log.end().offset, 1)));
        if (batches.empty()) break;
        text += batches.text();
        const auto last = ToyReader().records_in({batches})->back().offset;
        from = std::max(from, last) + 1;
    }
    return text;
}

Result<> put_fruit(Life& life) {
    TRY(put(life, {{"apple", "green"}, {"pear", "hard"}}));
    TRY(put(life, {{"plum", "blue"}}));
    TRY(put(life, {{"apple", "red"}}));
    TRY(put(life, {{"", "no key"}, {"pear", ""}}));
    return put(life, {{"fig", "ripe"}});
}

} // namespace

TEST_CASE("compaction leaves the newest record of each key, at its offset", "[log][compaction]") {
    TestNode node(1, tiny());
    const auto script = [](Life& life) -> Result<> {
        TRY(put_fruit(life));
        TRY(move_all(life));
        const Position end = TRY(life.log(group))->end();
        TRY(put(life, {{"fig", "eaten"}}));
        TRY(agree(life, {end, {}}));
        const CompactionWork work = TRY(compact(life));
        CHECK(work.records == 2);
        CHECK(work.deletes == 1);
        CHECK(work.segments == 1);
        const std::string left = "2 plum = blue\n3 apple = red\n4 = no key\n5 pear -\n"
                                 "6 fig = ripe\n7 fig = eaten\n";
        CHECK(TRY(records(life)) == left);
        CHECK(TRY(consumed(life)) == left);
        CHECK(TRY(consumed(life, Offset(1))) == left);
        CHECK(TRY(consumed(life, Offset(7))) == "7 fig = eaten\n");
        // Where nothing is left there is still a place.
        CHECK(TRY(TRY(life.log(group))->position_of(Offset(1))) == Position{0, Offset(0)});
        CHECK(TRY(TRY(life.log(group))->position_of(Offset(3))) == Position{2, Offset(3)});
        return {};
    };
    REQUIRE(node.live(script).ok());
    REQUIRE(node.live([](Life& life) -> Result<> {
                    Log& log = *TRY(life.log(group));
                    CHECK(log.compacted().end.index == 5);
                    CHECK(TRY(log.compaction())->to == log.compacted());
                    CHECK(TRY(compact(life)).passes == 0);
                    return {};
                })
                .ok());
}

TEST_CASE("what says that a key is deleted goes when that is agreed, and not before",
          "[log][compaction]") {
    TestNode node(1, tiny());
    REQUIRE(node.live([](Life& life) -> Result<> {
                    TRY(put_fruit(life));
                    const Position end = TRY(life.log(group))->end();
                    TRY(agree(life, {end, Offset(5)}));
                    TRY(compact(life));
                    CHECK(TRY(records(life)).find("pear -") != std::string::npos);
                    TRY(agree(life, {end, Offset(6)}));
                    CHECK(TRY(compact(life)).records == 1);
                    CHECK(TRY(records(life)).find("pear") == std::string::npos);
                    return {};
                })
                .ok());
}

TEST_CASE("with room for few keys it takes several passes, and comes to the same",
          "[log][compaction]") {
    std::string texts[3];
    CompactionWork works[3];
    const std::size_t rooms[3] = {plenty, 1000, 1};
    for (std::size_t i = 0; i < 3; ++i) {
        TestNode node(i + 1, tiny());
        REQUIRE(node.live([&](Life& life) -> Result<> {
                        for (int k = 0; k < 60; ++k)
                            TRY(put(life, {{"key" + std::to_string(k * 7 % 20),
                                            k % 9 == 4 ? "" : std::to_string(k)}}));
                        const Position end = TRY(life.log(group))->end();
                        TRY(agree(life, {end, Offset(50)}));
                        works[i] = TRY(compact(life, rooms[i]));
                        texts[i] = TRY(records(life));
                        return {};
                    })
                    .ok());
    }
    CHECK(works[0].passes == 1);
    CHECK(works[1].passes > 3);
    CHECK(works[2].passes == 60);
    CHECK(texts[0] == texts[1]);
    CHECK(texts[0] == texts[2]);
}

TEST_CASE("a replica that was compacted once is equal to one that was so twice",
          "[log][compaction]") {
    std::string texts[2];
    for (const bool twice : {false, true}) {
        TestNode node(twice ? 2 : 1, tiny());
        REQUIRE(node.live([&](Life& life) -> Result<> {
                        TRY(put_fruit(life));
                        TRY(move_all(life));
                        const Position first = TRY(life.log(group))->end();
                        TRY(agree(life, {first, {}}));
                        if (twice) TRY(compact(life));
                        TRY(put_fruit(life));
                        const Position second = TRY(life.log(group))->end();
                        TRY(agree(life, {second, first.offset}));
                        TRY(compact(life));
                        texts[twice ? 1 : 0] = TRY(records(life));
                        return {};
                    })
                    .ok());
    }
    CHECK(texts[0] == texts[1]);
    CHECK(texts[0] == "4 = no key\n9 plum = blue\n10 apple = red\n11 = no key\n12 pear -\n"
                      "13 fig = ripe\n");
}

TEST_CASE("without a good note a log is compacted once more, and nothing changes",
          "[log][compaction]") {
    TestNode node(1, tiny());
    std::string left;
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    TRY(put_fruit(life));
                    const Position end = TRY(life.log(group))->end();
                    TRY(agree(life, {end, Offset(6)}));
                    TRY(compact(life));
                    left = TRY(records(life));
                    return {};
                })
                .ok());
    REQUIRE(node.disk().rot("groups/1/" + std::string(compacted_note_name), 30, std::byte{4}));
    const Survey seen = look(node);
    CHECK_FALSE(seen.damaged());
    CHECK(seen.findings.size() == 1);
    CHECK(seen.groups.at(GroupId(group)).reduced_entries == 2);
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    CHECK(TRY(life.log(group))->compacted() == wire::Compacted());
                    const CompactionWork work = TRY(compact(life));
                    CHECK(work.passes == 1);
                    CHECK(work.segments == 0);
                    CHECK(TRY(records(life)) == left);
                    CHECK(TRY(life.log(group))->is_compacted());
                    return {};
                })
                .ok());
    CHECK(look(node).findings.empty());
}

TEST_CASE("what holds nothing but compactions is no reason for another one", "[log][compaction]") {
    TestNode node(1, tiny());
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    const std::string big(300, 'x');
                    for (int k = 0; k < 12; ++k) TRY(put(life, {{"key", big}}));
                    TRY(move_all(life));
                    Log& log = *TRY(life.log(group));
                    const Compactable found = log.compactable({}, std::nullopt);
                    CHECK(found.dirty_bytes > 2000);
                    TRY(agree(life, {found.end, {}}));
                    TRY(compact(life));
                    const Compactable left = log.compactable(found.end, std::nullopt);
                    CHECK(left.clean_bytes > 0);
                    CHECK(left.clean_bytes < found.dirty_bytes);
                    for (int k = 0; k < 40; ++k) TRY(agree(life, {found.end, {}}));
                    CHECK(log.compactable(found.end, std::nullopt).dirty_bytes <= 2000);
                    CHECK(log.compactable(found.end, std::nullopt).clean_bytes == left.clean_bytes);
                    return {};
                })
                .ok());
}

// ---- While all else goes on ----

TEST_CASE("who reads while a log is compacted sees it before or after", "[log][compaction]") {
    TestNode node(1, tiny());
    REQUIRE(node.live([](Life& life) -> Result<> {
                    const std::string big(300, 'x');
                    for (int k = 0; k < 12; ++k)
                        TRY(put(life, {{"key" + std::to_string(k % 4), big}}));
                    const Position end = TRY(life.log(group))->end();
                    TRY(agree(life, {end, {}}));
                    const std::string before = TRY(records(life));
                    const std::string after = before.substr(before.find("8 key0"));
                    int looks = 0;
                    const CompactionPace look = [&]() -> Result<> {
                        ++looks;
                        const std::string now = TRY(consumed(life));
                        CHECK(now.ends_with(after));
                        for (const std::string& line : lines_of({Bytes::copy_of(now)}))
                            CHECK(before.find(line) != std::string::npos);
                        return life.env.fibers.sleep_until(life.env.clock.now() + 1ms);
                    };
                    Scope scope(life.env.fibers);
                    bool done = false;
                    scope.spawn("reader", [&] {
                        while (!done && look().ok()) {
                        }
                    });
                    CHECK(TRY(compact(life, plenty, look)).records == 8);
                    done = true;
                    CHECK(looks > 10);
                    CHECK(TRY(records(life)) == after);
                    CHECK(TRY(consumed(life)) == after);
                    return {};
                })
                .ok());
}

TEST_CASE("a log that is trimmed or begun anew while it is compacted stays so",
          "[log][compaction]") {
    for (const bool anew : {false, true}) {
        TestNode node(1, tiny());
        REQUIRE(node.live([&](Life& life) -> Result<> {
                        const std::string big(300, 'x');
                        for (int k = 0; k < 12; ++k)
                            TRY(put(life, {{"key" + std::to_string(k % 2), big}}));
                        Log& log = *TRY(life.log(group));
                        const Position end = log.end();
                        TRY(agree(life, {end, {}}));
                        int pieces = 0;
                        const CompactionPace strike = [&]() -> Result<> {
                            if (++pieces != 4) return {};
                            if (anew)
                                log.reset({{50, Offset(60)}, Term(1), Offset(60)});
                            else
                                log.trim({{9, Offset(9)}, Offset(9)});
                            TRY(life.journal.sync());
                            return life.writer.flush();
                        };
                        (void)log.compact(ToyReader(), plenty, strike);
                        CHECK(pieces >= 4);
                        return life.env.fibers.sleep_until(life.env.clock.now() + 1s);
                    })
                    .ok());
        REQUIRE(node.live([&](Life& life) -> Result<> {
                        Log& log = *TRY(life.log(group));
                        CHECK(log.start().index == (anew ? 50 : 9));
                        if (!anew) {
                            TRY(move_all(life));
                            TRY(compact(life));
                            const std::string left = TRY(records(life));
                            CHECK(left.starts_with("10 key0"));
                            CHECK(lines_of({Bytes::copy_of(left)}).size() == 2);
                        }
                        for (const std::string& name :
                             TRY(life.env.disk.list("groups/" + std::to_string(group))))
                            CHECK_FALSE(name.ends_with(successor_suffix));
                        return {};
                    })
                    .ok());
    }
}

// Of a full disk, and of what an attempt leaves behind.
TEST_CASE("without room nothing is compacted, and nothing is lost", "[log][compaction]") {
    TestNode node(1, tiny());
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    const std::string big(300, 'x');
                    for (int k = 0; k < 12; ++k) TRY(put(life, {{"key", big}}));
                    const Position end = TRY(life.log(group))->end();
                    TRY(agree(life, {end, {}}));
                    const std::string before = TRY(records(life));
                    node.disk().set_quota(node.disk().used() + 100);
                    CHECK(compact(life).error() == Error::out_of_space);
                    CHECK(TRY(records(life)) == before);
                    node.disk().set_quota(std::nullopt);
                    CHECK(TRY(compact(life)).records == 11);
                    CHECK(lines_of({Bytes::copy_of(TRY(records(life)))}).size() == 1);
                    return {};
                })
                .ok());
}

// ---- Damage ----

namespace {

// Two logs of the same entries: one is compacted, the other has lost something.
struct Twins {
    TestNode harmed, other;
    int count;                     // Of entries.
    std::vector<wire::Frame> left; // Of all of them, in the other one.
    std::string all_left;

    explicit Twins(const Settings& settings = tiny(), int entries = 12)
        : harmed(1, settings), other(2, settings), count(entries) {}

    Result<> write(Life& life) const {
        const std::string big(150, 'x');
        for (int k = 0; k < count; ++k) TRY(put(life, {{"key" + std::to_string(k % 2), big}}));
        TRY(move_all(life));
        const Position end = TRY(life.log(group))->end();
        return agree(life, {end, {}});
    }
    void begin() {
        REQUIRE(harmed.live([this](Life& life) { return write(life); }).ok());
        REQUIRE(other
                    .live([&](Life& life) -> Result<> {
                        TRY(write(life));
                        TRY(compact(life));
                        Log& log = *TRY(life.log(group));
                        for (Position at = log.start(); at != log.end(); at = left.back().end())
                            left.push_back(TRY(log.read_frames(at, log.end(), 0)).front());
                        all_left = TRY(records(life));
                        return {};
                    })
                    .ok());
    }
    std::vector<wire::Frame> between(Position first, Position end) const {
        return {left.begin() + first.index, left.begin() + end.index};
    }
    // What the harmed one says of itself, and takes from the other one.
    Result<int> mend(Life& life) const {
        Log& log = *TRY(life.log(group));
        int mended = 0;
        for (int attempt = 0; attempt < 20; ++attempt) {
            (void)TRY(log.scrub(0, 1_MiB));
            const auto damages = log.damages();
            if (damages.empty()) return mended;
            for (const Damage& damage : damages) {
                const auto done = log.mend(between(damage.first, damage.end));
                if (!done.ok() && done.error() != Error::unavailable) return done.error();
                ++mended;
            }
        }
        return Error::timed_out;
    }
};

} // namespace

TEST_CASE("what is damaged in a segment is mended with less, if others have compacted it",
          "[log][compaction]") {
    // A header, a payload, both of two entries, and one that is left as it was.
    const std::vector<std::vector<std::uint64_t>> places = {
        {64 + 10}, {64 + 100}, {64 + 100, 64 + 256 + 64 + 10}, {64 + 232 + 70, 64 + 20}};
    for (const auto& harms : places) {
        Twins twins;
        twins.begin();
        const std::string path = "groups/1/" + segment_file_name(0);
        for (const std::uint64_t place : harms)
            REQUIRE(twins.harmed.disk().rot(path, place, std::byte{0x40}));
        REQUIRE(twins.harmed
                    .live([&](Life& life) -> Result<> {
                        CHECK(TRY(twins.mend(life)) > 0);
                        const std::string now = TRY(records(life));
                        CHECK(now.size() > twins.all_left.size());
                        CHECK(now.ends_with(twins.all_left));
                        TRY(move_all(life));
                        TRY(compact(life));
                        CHECK(TRY(records(life)) == twins.all_left);
                        return {};
                    })
                    .ok());
        REQUIRE(twins.harmed
                    .live([&](Life& life) -> Result<> {
                        CHECK(TRY(records(life)) == twins.all_left);
                        return {};
                    })
                    .ok());
    }
}

// Each goes up to the first frame behind its block, which begins in the block of the other. (Seed
// 10746: what had come for the first was put in its place, and then what lay behind it was read.)
TEST_CASE("damages of two blocks that overlap are mended with less", "[log][compaction]") {
    Settings settings = tiny();
    settings.log.segment_bytes = 24_KiB;
    settings.journal.file_bytes = 48_KiB;
    Twins twins(settings, 150);
    twins.begin();
    const std::string path = "groups/1/" + segment_file_name(0);
    for (const std::uint64_t block : {4_KiB, 8_KiB})
        REQUIRE(twins.harmed.disk().make_unreadable(path, block + 1_KiB));
    REQUIRE(twins.harmed
                .live([&](Life& life) -> Result<> {
                    Log& log = *TRY(life.log(group));
                    (void)TRY(log.scrub(0, 1_MiB));
                    const auto damages = log.damages();
                    REQUIRE(damages.size() == 2);
                    CHECK(damages[0].end.index > damages[1].first.index);
                    CHECK(TRY(twins.mend(life)) > 0);
                    TRY(move_all(life));
                    TRY(compact(life));
                    CHECK(TRY(records(life)) == twins.all_left);
                    return {};
                })
                .ok());
}

TEST_CASE("an entry of the journal is mended with what is left of it", "[log][compaction]") {
    TestNode node(1, Settings());
    const auto entry = [](Position at) {
        return toy_entry(at, GroupId(group), Term(1), {{"key", std::string(200, 'x')}});
    };
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    for (int k = 0; k < 3; ++k) {
                        TRY(put(life, {{"key", std::string(200, 'x')}}));
                        TRY(life.journal.sync());
                    }
                    return life.env.fibers.sleep_until(life.env.clock.now() + 100ms);
                })
                .ok());
    const std::string path = node.journal_files().back();
    const auto content = node.disk().durable_content(path);
    const auto place = content->text().find("1 key = xxxx");
    REQUIRE(place != std::string_view::npos);
    REQUIRE(node.disk().rot(path, place + 30, std::byte{1}));
    for (int time = 0; time < 2; ++time)
        REQUIRE(node.live([&](Life& life) -> Result<> {
                        Log& log = *TRY(life.log(group));
                        CHECK(log.damages().size() == (time == 0 ? 1 : 0));
                        wire::Frame less = entry({1, Offset(1)});
                        less.kind = wire::Frame::Kind::reduced;
                        less.payload.clear();
                        if (time == 0) {
                            wire::Frame other = less;
                            other.term = Term(2);
                            CHECK(log.mend(std::span(&other, 1)).error() == Error::malformed);
                            TRY(log.mend(std::span(&less, 1)));
                        }
                        CHECK(TRY(records(life)).find("1 key") == std::string::npos);
                        CHECK(log.end().index == 3);
                        return {};
                    })
                    .ok());
}

// ---- An end at any moment ----

namespace {

struct Sent {
    Offset offset;
    ToyRecord record;
};

// What may and what must be there. Records are numbered by their offsets, so what was appended is
// known by where it stands.
class CompactionSubject final : public sim::CrashSubject {
public:
    explicit CompactionSubject(std::uint64_t seed) : node_(seed, tiny()) {}

    sim::World& world() override { return node_.world; }
    NodeId node() const override { return TestNode::id; }

    void boot(std::size_t life) override {
        node_.boot([this, life](Life& l) -> Result<> {
            if (life == 0) return scenario(l);
            TRY(look(l, {}));
            TRY(move_all(l));
            TRY(compact(l));
            const auto wanted = TRY(TRY(l.log(group))->compaction());
            return look(l, wanted ? wanted->to : wire::Compacted());
        });
    }

    std::string judge() override {
        if (!node_.opened.ok()) return "open: " + std::string(to_string(node_.opened.error()));
        const Result<> end = node_.world.exit_status(node()).value_or(Result<>(Error::cancelled));
        if (trouble_.empty() && !end.ok()) return "end: " + std::string(to_string(end.error()));
        return trouble_;
    }

private:
    Result<> wrong(std::string what) {
        trouble_ = std::move(what);
        return Error::malformed;
    }

    Result<> append(Life& life, const std::vector<ToyRecord>& records) {
        const Position first = TRY(life.log(group))->end();
        for (std::size_t i = 0; i < records.size(); ++i)
            sent_.push_back({first.offset + static_cast<std::int64_t>(i), records[i]});
        return put(life, records);
    }
    Result<> agreed(Life& life, const wire::Compacted& to) {
        asked_ = to;
        TRY(agree(life, to));
        return {};
    }

    // Two rounds: in the second one keys that the first has left are deleted, and forgotten.
    Result<> scenario(Life& life) {
        const std::string big(400, 'x');
        TRY(append(life, {{"a", big}, {"b", big}}));
        TRY(append(life, {{"c", big}}));
        TRY(append(life, {{"a", big}}));
        TRY(append(life, {{"b", ""}, {"d", big}}));
        TRY(move_all(life));
        promised_ = sent_.size();
        const Position first = TRY(life.log(group))->end();
        TRY(agreed(life, {first, {}}));
        TRY(compact(life));
        TRY(append(life, {{"c", ""}, {"d", big}}));
        TRY(move_all(life));
        promised_ = sent_.size();
        const Position second = TRY(life.log(group))->end();
        TRY(agreed(life, {second, first.offset}));
        TRY(compact(life));
        return {};
    }

    // Of each key some are left, and these are the newest; or none, and the newest deleted it.
    // `done`: so far it must be compacted.
    Result<> look(Life& life, const wire::Compacted& done) {
        const std::string text = TRY(records(life));
        if (text != TRY(consumed(life))) return wrong("a consumer sees something else");
        std::vector<Offset> there;
        for (const std::string& line : lines_of({Bytes::copy_of(text)})) {
            const Offset offset(std::stoll(line));
            if (offset.value >= static_cast<std::int64_t>(sent_.size()))
                return wrong("a record that was never sent");
            const Sent& sent = sent_[static_cast<std::size_t>(offset.value)];
            if (toy_batch(offset, {sent.record}) != line + '\n')
                return wrong("a record has changed");
            if (!there.empty() && offset <= there.back()) return wrong("records are not in order");
            there.push_back(offset);
        }
        const Offset end = TRY(life.log(group))->end().offset;
        if (end.value < static_cast<std::int64_t>(promised_)) return wrong("the log is shorter");
        sent_.resize(static_cast<std::size_t>(end.value));
        promised_ = sent_.size();
        for (std::size_t i = 0; i < sent_.size(); ++i) TRY(look_at(i, there, done));
        return {};
    }
    Result<> look_at(std::size_t i, const std::vector<Offset>& there, const wire::Compacted& done) {
        const Sent& sent = sent_[i];
        const bool is_there = std::ranges::binary_search(there, sent.offset);
        const Sent* newer = nullptr;
        for (std::size_t k = i + 1; k < sent_.size() && !newer; ++k)
            if (sent_[k].record.key == sent.record.key) newer = &sent_[k];
        const bool newer_is_there = newer && std::ranges::binary_search(there, newer->offset);
        if (is_there && newer && !newer_is_there) return wrong("a record is back again");
        const bool may_be_forgotten = sent.record.value.empty() && sent.offset < asked_.deleted;
        if (!is_there && !newer && !may_be_forgotten) return wrong("the newest of a key is lost");
        if (!is_there && sent.offset >= asked_.end.offset) return wrong("too much is compacted");
        const bool is_obsolete = (newer && newer->offset < done.end.offset) ||
                                 (sent.record.value.empty() && sent.offset < done.deleted);
        if (is_there && is_obsolete) return wrong("too little is compacted");
        return {};
    }

    TestNode node_;
    std::vector<Sent> sent_; // By offset, as far as the log has them.
    std::size_t promised_ = 0;
    wire::Compacted asked_; // By the last entry that may be there.
    std::string trouble_;
};

} // namespace

TEST_CASE("a crash at any point of compaction, and of what follows, loses nothing that counts",
          "[log][crash][compaction]") {
    std::vector<std::vector<std::vector<Crash>>> pairs = {
        {{Crash::by_unit, Crash::keeps_all}},    {{Crash::kill}, {Crash::keeps_none}},
        {{Crash::kill}, {Crash::kill}},          {{Crash::keeps_none}, {Crash::by_unit}},
        {{Crash::by_unit}, {Crash::keeps_none}},
    };
    if (sim::sanitized) pairs.resize(1);
    std::uint64_t seed = 0;
    for (const auto& ways : pairs) {
        sim::CrashPlan plan;
        plan.make = [seed = ++seed] { return std::make_unique<CompactionSubject>(seed); };
        plan.ways = ways;
        const sim::CrashReport report = for_each_crash_point(plan);
        CHECK(report.trouble == "");
        CHECK(report.points[0] > 60);
        if (ways.size() > 1) CHECK(report.points[1] > 3000);
    }
}
