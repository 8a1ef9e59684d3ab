#include "io/sim/disk.h"

#include "core/base/crc32c.h"

#include <algorithm>

namespace pyralog::sim {

namespace {

std::string_view name_of(std::uint8_t kind) {
    constexpr std::array<std::string_view, 13> names{
        "read",   "write",  "sync",           "size",  "resize", "open", "list", "create_directory",
        "rename", "remove", "sync_directory", "space", "wait"};
    return names[kind];
}

std::uint64_t code_of(const Result<>& result) {
    return result.ok() ? 0 : 1 + static_cast<std::uint64_t>(result.error());
}

bool is_aligned(std::uint64_t number) { return number % Buffer::disk_alignment == 0; }

// Whether memory is aligned is the same in every run: Buffer sees to it.
bool is_aligned(const std::byte* memory) {
    return is_aligned(reinterpret_cast<std::uintptr_t>(memory));
}

} // namespace

// A File of one process.
class SimFile final : public File {
public:
    SimFile(Medium& medium, Scheduler& fibers, std::uint64_t incarnation, Medium::Inode file,
            Disk::Access access, Medium::AtOnce* at_once)
        : medium_(medium), fibers_(fibers), incarnation_(incarnation), file_(file),
          errors_told_(medium.entries_.at(file).errors_told),
          aligned_(access == Disk::Access::aligned), at_once_(at_once) {}
    ~SimFile() override { --medium_.entries_.at(file_).handles; }

    Result<std::size_t> read_at(std::uint64_t position, std::span<std::byte> into) override {
        if (aligned_) {
            CHECK(is_aligned(position) && is_aligned(into.size()));
            CHECK(into.empty() || is_aligned(into.data()));
        }
        Medium::Call call(fibers_, Medium::Kind::read);
        call.past_cache = aligned_;
        call.position = position;
        call.into = into;
        TRY(carry_out(call));
        return static_cast<std::size_t>(call.number);
    }

    Result<> write_at(std::uint64_t position, const BytesChain& data,
                      Durability durability) override {
        if (aligned_) {
            CHECK(is_aligned(position));
            for (const Bytes& part : data)
                CHECK(part.empty() || (is_aligned(part.data()) && is_aligned(part.size())));
        }
        Medium::Call call(fibers_, Medium::Kind::write);
        call.position = position;
        call.data = &data;
        call.durability = durability;
        return carry_out(call);
    }

    Result<> sync() override {
        Medium::Call call(fibers_, Medium::Kind::sync);
        call.errors_told = &errors_told_;
        return carry_out(call);
    }

    Result<std::uint64_t> size() override {
        Medium::Call call(fibers_, Medium::Kind::size);
        TRY(carry_out(call));
        return call.number;
    }

    Result<> resize(std::uint64_t size) override {
        if (aligned_) CHECK(is_aligned(size));
        Medium::Call call(fibers_, Medium::Kind::resize);
        call.position = size;
        return carry_out(call);
    }

private:
    Result<> carry_out(Medium::Call& call) {
        if (!medium_.serves(incarnation_, call.kind)) return Error::cancelled;
        call.file = file_;
        call.at_once = at_once_;
        medium_.carry_out(call);
        return call.result;
    }

    Medium& medium_;
    Scheduler& fibers_;
    std::uint64_t incarnation_;
    Medium::Inode file_;
    std::uint64_t errors_told_;
    bool aligned_;
    Medium::AtOnce* at_once_;
};

// ---- SimDisk ----

Result<std::unique_ptr<File>> SimDisk::open(std::string_view path, Open how, Access access) {
    if (!medium_.serves(incarnation_, Medium::Kind::open)) return Error::cancelled;
    Medium::Call call(fibers_, Medium::Kind::open);
    call.path = path;
    call.how = how;
    call.at_once = at_once_;
    medium_.carry_out(call);
    TRY(call.result);
    return std::unique_ptr<File>(
        std::make_unique<SimFile>(medium_, fibers_, incarnation_, call.number, access, at_once_));
}

Result<std::vector<std::string>> SimDisk::list(std::string_view directory) {
    if (!medium_.serves(incarnation_, Medium::Kind::list)) return Error::cancelled;
    Medium::Call call(fibers_, Medium::Kind::list);
    call.path = directory;
    call.at_once = at_once_;
    medium_.carry_out(call);
    TRY(call.result);
    return std::move(call.names);
}

Result<> SimDisk::names(Medium::Kind kind, std::string_view path, std::string_view to) {
    if (!medium_.serves(incarnation_, kind)) return Error::cancelled;
    Medium::Call call(fibers_, kind);
    call.path = path;
    call.to = to;
    call.at_once = at_once_;
    medium_.carry_out(call);
    return call.result;
}

Result<> SimDisk::create_directory(std::string_view path) {
    return names(Medium::Kind::create_directory, path);
}
Result<> SimDisk::rename(std::string_view from, std::string_view to) {
    return names(Medium::Kind::rename, from, to);
}
Result<> SimDisk::remove(std::string_view path) { return names(Medium::Kind::remove, path); }
Result<> SimDisk::sync_directory(std::string_view directory) {
    return names(Medium::Kind::sync_directory, directory);
}

Result<Disk::Space> SimDisk::space() {
    if (!medium_.serves(incarnation_, Medium::Kind::space)) return Error::cancelled;
    Medium::Call call(fibers_, Medium::Kind::space);
    call.at_once = at_once_;
    medium_.carry_out(call);
    TRY(call.result);
    return call.space;
}

// ---- Calls ----

Medium::Medium(Timeline& timeline, NodeId node)
    : timeline_(timeline), node_(node),
      time_dice_(timeline.root, "node/" + std::to_string(node.value) + "/disk/time"),
      error_dice_(timeline.root, "node/" + std::to_string(node.value) + "/disk/error"),
      cut_dice_(timeline.root, "node/" + std::to_string(node.value) + "/disk/cut"),
      damage_dice_(timeline.root, "node/" + std::to_string(node.value) + "/disk/damage"),
      unit_size_(cut_dice_.coin() ? sector_size : Image::page_size) {
    entries_[root].inode = root;
    entries_[root].is_directory = true;
}

Medium::~Medium() { CHECK(calls_.empty()); }

bool Medium::changes_something(Kind kind) {
    return kind != Kind::read && kind != Kind::size && kind != Kind::list && kind != Kind::wait &&
           kind != Kind::space;
}

bool Medium::serves(std::uint64_t incarnation, Kind kind) {
    if (incarnation == incarnation_) return true;
    if (!timeline_.inject(Fault::fenced)) return true;
    if (changes_something(kind)) timeline_.counts.effect(Fault::fenced);
    return false;
}

bool Medium::needs_space(const Call& call) {
    switch (call.kind) {
    case Kind::write:
    case Kind::resize:
    case Kind::create_directory:
    case Kind::rename: return true;
    case Kind::open: return call.how == Disk::Open::create_new;
    default: return false;
    }
}

Duration Medium::draw_fate(Call& call) {
    const Faults& faults = timeline_.faults;
    const auto fails = [&](Chance chance) { return error_dice_.chance(chance); };
    Duration time{};
    switch (call.kind) {
    case Kind::read:
        time = time_dice_.draw(faults.read_time);
        call.fails = fails(faults.read_error);
        break;
    case Kind::write:
        time = time_dice_.draw(faults.write_time);
        call.fails = fails(faults.write_error) || std::exchange(fail_next_write_, false);
        if (call.durability == Durability::now) time += time_dice_.draw(faults.sync_time);
        break;
    case Kind::sync:
    case Kind::sync_directory:
        time = time_dice_.draw(faults.sync_time);
        call.fails = fails(faults.sync_error) || std::exchange(fail_next_sync_, false);
        call.covers = call.kind == Kind::sync ? entries_.at(call.file).order : name_order_;
        if (call.kind == Kind::sync && !call.fails) {
            call.lies = fails(faults.late_sync_error);
            if (!entries_.at(call.file).unsynced.empty())
                call.lies |= std::exchange(lie_at_next_sync_, false);
        }
        break;
    case Kind::size:
    case Kind::resize:
        time = time_dice_.draw(faults.name_time);
        call.fails = fails(faults.size_error);
        break;
    default:
        time = time_dice_.draw(faults.name_time);
        call.fails = fails(faults.name_error);
        break;
    }
    if (needs_space(call) && !call.fails) call.no_space = fails(faults.no_space);
    if (call.kind == Kind::rename && refuse_rename_ > 0 && --refuse_rename_ == 0)
        call.no_space = true;
    if (time_dice_.chance(faults.slow_disk) && timeline_.inject(Fault::slow_disk)) {
        time += time_dice_.draw(faults.slow_disk_time);
        timeline_.counts.effect(Fault::slow_disk);
    }
    return time;
}

// For people.
std::string Medium::words_of(const Call& call) {
    std::string line(name_of(static_cast<std::uint8_t>(call.kind)));
    if (call.kind == Kind::space)
        line += " total=" + std::to_string(call.space.total) +
                " free=" + std::to_string(call.space.free);
    else if (call.file != 0)
        line += " file=" + std::to_string(call.file) + " at=" + std::to_string(call.position);
    else
        line += " path=" + std::string(call.path);
    if (call.data) line += " bytes=" + std::to_string(size_of(*call.data));
    return line;
}

void Medium::carry_out(Call& call) {
    const Duration time = draw_fate(call);
    call.id = next_call_++;
    call.began = timeline_.now();
    if (call.at_once) return carry_out_at_once(call, time);
    submit(call, time);
}

void Medium::submit(Call& call, Duration time) {
    std::uint32_t payload = call.data ? crc32c(*call.data) : 0;
    calls_.push_back(&call);
    if (!call.path.empty() || !call.to.empty())
        payload =
            crc32c(std::as_bytes(std::span(call.to)), crc32c(std::as_bytes(std::span(call.path))));
    timeline_.record(Step::file_call, node_.value,
                     call.id << 8 | static_cast<std::uint64_t>(call.kind), call.position, payload);
    timeline_.trace({.kind = TraceKind::call, .node = node_, .id = call.id},
                    [&] { return words_of(call); });
    timeline_.schedule(timeline_.now() + time, *this, call.id);
    call.done.wait_through();
}

void Medium::happen(std::uint64_t id) {
    if ((id & eviction) != 0) {
        const auto file = entries_.find(id & ~eviction);
        if (file != entries_.end()) evict(file->second);
        return;
    }
    if ((id & later_sync) != 0) return come_true(id & ~later_sync);
    const auto place =
        std::lower_bound(calls_.begin(), calls_.end(), id,
                         [](const Call* call, std::uint64_t i) { return call->id < i; });
    if (place == calls_.end() || (*place)->id != id) return; // Its process was killed.
    Call& call = **place;
    if (timeline_.now() < hangs_until_ && timeline_.inject(Fault::hung_disk)) {
        timeline_.counts.effect(Fault::hung_disk);
        timeline_.schedule(hangs_until_, *this, id);
        return;
    }
    calls_.erase(place);
    complete(call);
    call.done.set();
}

void Medium::complete(Call& call) {
    ++completions_;
    perform(call);
    timeline_.record(Step::file_done, node_.value, call.id, code_of(call.result), 0);
    timeline_.trace(
        {.kind = TraceKind::disk, .node = node_, .id = call.id, .began = call.began}, [&] {
            return words_of(call) +
                   (call.result.ok()
                        ? std::string()
                        : " error=\"" + std::string(to_string(call.result.error())) + '"');
        });
}

void Medium::perform(Call& call) {
    Entry* file = call.file != 0 ? &entries_.at(call.file) : nullptr;
    switch (call.kind) {
    case Kind::read: return read(call, *file);
    case Kind::write: return write(call, *file);
    case Kind::sync: return sync(call, *file);
    case Kind::size:
    case Kind::resize: return size(call, *file);
    case Kind::wait: return;
    default: return name_call(call);
    }
}

bool Medium::process_killed() {
    incarnation_ = 0;
    come_true_now();
    const std::vector<Call*> under_way = std::exchange(calls_, {});
    for (Call* call : under_way) {
        perform_killed(*call);
        call->result = Error::cancelled;
        call->done.set();
    }
    return !under_way.empty();
}

// The system may have got anywhere with it. A write that was to be durable can be so, or can be in
// the cache alone.
void Medium::perform_killed(Call& call) {
    if (call.kind == Kind::write) {
        constexpr std::uint64_t whole = 0, in_cache = 1, ways = 3;
        const std::uint64_t way = cut_dice_.pick(ways);
        if (call.durability == Durability::now && way == in_cache &&
            timeline_.inject(Fault::killed_in_cache)) {
            timeline_.counts.effect(Fault::killed_in_cache);
            call.durability = Durability::later;
        }
        if (way == whole || way == in_cache) return perform(call);
        Entry& file = entries_.at(call.file);
        const Bytes data = joined(*call.data);
        const auto count = static_cast<std::size_t>(cut_dice_.between(0, data.size()));
        if (count > 0 && room_for(file, call.position + count))
            add_change(file, {0, false, call.position, data.slice(0, count)});
        return;
    }
    if (!changes_something(call.kind) || !cut_dice_.coin()) return;
    perform(call);
    if (call.kind == Kind::open && call.result.ok()) --entries_.at(call.number).handles;
}

// ---- Oracles ----

std::optional<Bytes> Medium::content(std::string_view path) const {
    const Entry* file = entry(path, false);
    if (!file || file->is_directory) return {};
    return file->visible.all();
}

std::optional<Bytes> Medium::durable_content(std::string_view path) const {
    const Entry* file = entry(path, true);
    if (!file || file->is_directory) return {};
    return file->durable.all();
}

std::optional<std::size_t> Medium::read_durable(std::string_view path, std::uint64_t position,
                                                std::span<std::byte> into) const {
    const Entry* file = entry(path, true);
    if (!file || file->is_directory) return {};
    return file->durable.read(position, into);
}

std::optional<std::vector<std::string>> Medium::list(std::string_view directory) const {
    const Entry* found = entry(directory, false);
    if (!found || !found->is_directory) return {};
    std::vector<std::string> names;
    for (const auto& [name, inode] : found->names) names.push_back(name);
    return names;
}

std::optional<std::vector<std::string>> Medium::durable_list(std::string_view directory) const {
    const Entry* found = entry(directory, true);
    if (!found || !found->is_directory) return {};
    std::vector<std::string> names;
    for (const auto& [name, inode] : found->durable_names) names.push_back(name);
    return names;
}

std::optional<std::uint64_t> Medium::generation(std::string_view path) const {
    const Entry* file = entry(path, true);
    if (!file) return {};
    return file->generation;
}

std::optional<Medium::Inode> Medium::durable_file(std::string_view path) const {
    const auto inode = find(path, true);
    if (!inode || entries_.at(*inode).is_directory) return {};
    return inode;
}

std::optional<Medium::Inode> Medium::durable_directory(std::string_view path) const {
    const auto inode = find(path, true);
    if (!inode || !entries_.at(*inode).is_directory) return {};
    return inode;
}

bool Medium::has_unsynced() const {
    return !name_changes_.empty() ||
           std::any_of(entries_.begin(), entries_.end(),
                       [](const auto& item) { return !item.second.unsynced.empty(); });
}

} // namespace pyralog::sim
