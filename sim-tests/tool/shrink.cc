#include "sim-tests/tool/shrink.h"

#include <algorithm>

namespace pyralog::simtest {

namespace {

// How many seeds of the dice are tried with each smaller plan, and with the last.
constexpr std::uint64_t seeds_per_plan = 24;
constexpr int rounds_at_last = 4; // Of as many.
// Of a failure that comes while faults last: how much later it may come in a candidate.
constexpr Duration shrink_later_max = 3s;
// A candidate is ended after so many times what the first run took, and this.
constexpr int slower_max = 5;
constexpr Duration slow_least = 20s;
// What a fault event weighs, in events of the world: a person looks at each.
constexpr std::uint64_t fault_weight = 50;
// How finely single picks are looked at: finer takes long and shows little.
constexpr std::size_t pick_pieces_max = 64;

class Shrinker {
public:
    Shrinker(const ChoicesFile& file, const ShrinkOptions& options)
        : options_(options), began_(real_now()), best_(file) {}

    Shrunk run() {
        Shrunk shrunk;
        shrunk.before = run_ = record(best_, options_.play);
        limits_.play = options_.play;
        shrunk.fails = run_.report.exit_code != exit_pass && run_.report.oracle != "hang";
        if (shrunk.fails) {
            best_.oracle = run_.report.oracle;
            limits_.real = real_now() - began_ + slow_least;
            limits_.real *= slower_max;
            note_end();
            tell("fails");
            shrink_all();
        }
        shrunk.file = best_;
        shrunk.after = run_;
        shrunk.replays = replays_;
        return shrunk;
    }

private:
    void shrink_all() {
        // The plan gets most of the time: what it leaves is quick.
        if (!best_.listed) {
            shrink_plan(2);
            choose_dice(3);
            become_list();
        }
        if (!best_.listed) return; // It fails only as it is.
        for (std::uint64_t faults = run_.faults.size() + 1; run_.faults.size() < faults;) {
            faults = run_.faults.size();
            shrink_faults();
            shrink_streams();
        }
        shrink_picks();
        // What is left of the dice: nodes and clients draw, too.
        choose_dice(4);
        shrink_faults();
        cut_end();
    }

    bool in_time(int share_of_four = 4) const {
        return real_now() - began_ < options_.time * share_of_four / 4;
    }

    void tell(std::string_view what) {
        if (!options_.progress) return;
        options_.progress(std::to_string((real_now() - began_) / 1s) +
                          "s replays=" + std::to_string(replays_) + ' ' + std::string(what) +
                          ": faults=" + std::to_string(run_.faults.size()) +
                          " events=" + std::to_string(run_.report.event) +
                          " time_us=" + std::to_string(run_.report.time / Duration(1us)));
    }

    // A run that fails while faults last need not go on for much longer than that.
    void note_end() {
        const Duration length = draw_plan(best_.seed, best_.edits).length;
        limits_.simulated.reset();
        if (run_.report.time < length) limits_.simulated = run_.report.time + shrink_later_max;
    }

    // The first that counts becomes the best; or the least of all, if it is less.
    bool take_first(std::vector<ChoicesFile> files) {
        return take(std::move(files), true).has_value();
    }
    std::optional<std::size_t> take(std::vector<ChoicesFile> files, bool the_first) {
        const auto good = [this](const Replayed& replayed) { return counts(replayed); };
        auto results = replay_all(files, options_.jobs, limits_,
                                  the_first ? std::function<bool(const Replayed&)>(good) : nullptr);
        std::optional<std::size_t> found;
        for (std::size_t i = 0; i < files.size(); ++i) {
            if (!results[i]) continue;
            ++replays_;
            if (!counts(*results[i])) continue;
            if (found && (the_first || cost(*results[i]) >= cost(*results[*found]))) continue;
            found = i;
        }
        if (!found) return {};
        if (!the_first && cost(*results[*found]) >= cost(run_)) return {};
        best_ = std::move(files[*found]);
        run_ = std::move(*results[*found]);
        note_end();
        return found;
    }

    // A planted bug has to be reached, too.
    bool fires(const Replayed& replayed) const {
        return replayed.fires(best_.oracle) && (best_.bug.empty() || replayed.report.bug_hits > 0);
    }
    static std::uint64_t cost(const Replayed& replayed) {
        return replayed.report.event + replayed.faults.size() * fault_weight;
    }
    // Less in one way is not to be much more in another. Another plan may well be, and yet is
    // easier to understand.
    bool counts(const Replayed& replayed) const {
        const std::uint64_t most = best_.listed ? cost(run_) * 11 / 10 : cost(run_) * 2;
        return fires(replayed) && cost(replayed) <= most;
    }

    // ---- The plan ----

    std::vector<ChoicesFile> with_dice(const PlanEdits& edits, std::uint64_t seeds,
                                       int round = 0) const {
        std::vector<ChoicesFile> files;
        ChoicesFile file = best_;
        file.edits = edits;
        files.push_back(file);
        for (std::uint64_t i = 1; i <= seeds; ++i) {
            file.dice = best_.seed * 1000 + static_cast<std::uint64_t>(round) * seeds + i;
            files.push_back(file);
        }
        return files;
    }

    void shrink_plan(int share_of_four) {
        for (bool less = true; less;) {
            less = false;
            for (const PlanEdits& edits : smaller_plans(best_.seed, best_.edits)) {
                if (!in_time(share_of_four)) return;
                if (!take_first(with_dice(edits, seeds_per_plan))) continue;
                const std::vector<std::string> lines = lines_of(edits);
                tell("plan, " + std::to_string(lines.size()) + " edits, now " + lines.back());
                less = true;
                break;
            }
        }
    }

    // The least run that this plan has, or this list.
    void choose_dice(int share_of_four) {
        for (int round = 1; round <= rounds_at_last && in_time(share_of_four); ++round)
            if (take(with_dice(best_.edits, seeds_per_plan, round), false)) tell("dice");
    }

    // ---- The record ----

    ChoicesFile with_list(sim::ChoiceList list) const {
        ChoicesFile file = best_;
        file.listed = true;
        file.list = std::move(list);
        return file;
    }

    void become_list() {
        // What nodes draw comes from the seed, so it need not be in the list.
        sim::ChoiceList list = run_.list;
        std::erase_if(list.streams,
                      [](const auto& stream) { return stream.first.starts_with("random/"); });
        if (take_first({with_list(std::move(list)), with_list(run_.list)})) tell("recorded");
    }

    template <class Keep>
    bool shrink_list(std::size_t count, std::size_t pieces_max, Keep keep) {
        const sim::ChoiceList list = best_.list;
        bool any = false;
        (void)ddmin(
            count,
            [&](const std::vector<Kept>& sets) -> std::optional<std::size_t> {
                if (!in_time()) return {};
                std::vector<ChoicesFile> files;
                for (const Kept& set : sets) files.push_back(with_list(keep(list, set)));
                const auto found = take(std::move(files), true);
                any = any || found.has_value();
                return found;
            },
            pieces_max);
        return any;
    }

    void shrink_faults() {
        if (shrink_list(best_.list.struck(), 0, keep_faults)) tell("faults");
    }
    void shrink_streams() {
        if (shrink_list(best_.list.streams.size(), 0, keep_picks_of)) tell("streams");
    }
    void shrink_picks() {
        if (shrink_list(best_.list.picks(), pick_pieces_max, keep_picks)) tell("picks");
    }

    // Nothing is to come behind the failure, and nothing is to be in the list that is not drawn.
    void cut_end() {
        sim::ChoiceList drawn = run_.list;
        std::erase_if(drawn.streams, [this](const auto& stream) {
            return stream.first.starts_with("random/") &&
                   !best_.list.streams.contains(stream.first);
        });
        Kept all(drawn.picks());
        for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
        ChoicesFile file = with_list(keep_picks(drawn, all)); // Without harmless ends.
        ChoicesFile shorter = file;
        const Duration length = draw_plan(best_.seed, best_.edits).length;
        if (run_.report.time < length) shorter.edits.length = run_.report.time + Duration(1us);
        if (take_first({shorter, file})) tell("cut");
    }

    const ShrinkOptions& options_;
    const Duration began_;
    ChoicesFile best_;
    Replayed run_; // Of the best.
    ReplayLimits limits_;
    std::uint64_t replays_ = 0;
};

} // namespace

Shrunk shrink(const ChoicesFile& file, const ShrinkOptions& options) {
    return Shrinker(file, options).run();
}

} // namespace pyralog::simtest
