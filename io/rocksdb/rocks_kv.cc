#include "io/rocksdb/rocks_kv.h"

#include "io/rocksdb/log_repair.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/file_system.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

namespace pyralog::rocks {

namespace {

// A node holds few facts, and must fit beside others: memory is worth more than speed here.
constexpr std::size_t write_buffer_bytes = 4_MiB;
constexpr std::size_t block_cache_bytes = 4_MiB;
constexpr int open_files_max = 64;
constexpr std::size_t info_log_bytes = 1_MiB;
// One trip to the Executor brings so much of a scan.
constexpr std::size_t scan_piece_max = 512;
constexpr std::size_t scan_piece_bytes = 256_KiB;

// When RocksDB looks for its files and the system fails to answer, it calls that a corruption, and
// only the text tells what was behind it. A file that is not there is one.
bool hides_failure(const rocksdb::Status& status) {
    const std::string text = status.ToString();
    return text.find("IO error: ") != std::string::npos &&
           text.find("IO error: No such file or directory") == std::string::npos;
}

// For calls that cannot be cancelled once they have begun.
Result<> unless_cancelled(Scheduler& fibers) {
    if (fibers.cancelled()) return fibers.park();
    return {};
}

rocksdb::Slice slice_of(std::string_view text) { return {text.data(), text.size()}; }
std::string_view view_of(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

} // namespace

rocksdb::Options default_options() {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.paranoid_checks = true;
    options.write_buffer_size = write_buffer_bytes;
    options.max_write_buffer_number = 2;
    options.max_open_files = open_files_max;
    options.max_background_jobs = 1;
    options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
    options.max_log_file_size = info_log_bytes;
    options.keep_log_file_num = 2;
    options.stats_dump_period_sec = 0; // No background work without a reason.
    options.stats_persist_period_sec = 0;
    options.avoid_flush_during_shutdown = true; // Everything is in its log already, and synced.
    // What a power cut may have torn is cut off before RocksDB looks. Whatever else is bad was
    // durable once, and must not be dropped in silence.
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kAbsoluteConsistency;
    // The check would call a file damaged whose size could not be asked for.
    options.skip_checking_sst_file_sizes_on_db_open = true;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(block_cache_bytes, 0);
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return options;
}

struct RocksKv::Waiting {
    const Batch& batch;
    Signal turn; // It has been written, or it is the oldest and must write.
    Result<> result;
    bool is_written = false;
};

RocksKv::RocksKv(std::string path, rocksdb::Options options, std::function<Result<>()> prepare,
                 Executor& executor, Scheduler& fibers, Logger& log)
    : path_(std::move(path)), options_(std::move(options)), prepare_(std::move(prepare)),
      executor_(executor), fibers_(fibers), log_(log) {}

RocksKv::~RocksKv() { CHECK(queue_.empty() && !writing_); }

Error RocksKv::refused(std::string_view what, const rocksdb::Status& status) {
    log_.error("the key-value store failed",
               {{"call", what}, {"path", path_}, {"reason", status.ToString()}});
    if (status.IsCorruption() && !hides_failure(status)) return Error::corrupt;
    if (status.IsNoSpace()) return Error::out_of_space;
    return Error::device_failed;
}

Result<> RocksKv::open() {
    CHECK(!db_);
    TRY(unless_cancelled(fibers_));
    TRY(prepare_());
    rocksdb::Status status;
    rocksdb::DB* db = nullptr;
    executor_.run([&] {
        rocksdb::FileSystem& files = *options_.env->GetFileSystem();
        status = repair_logs(files, path_);
        if (status.ok()) status = rocksdb::DB::Open(options_, path_, &db);
        if (status.ok()) status = sync_name_of(files, path_); // RocksDB leaves it to others.
    });
    db_.reset(db);
    if (!status.ok()) return refused("open", status);
    return {};
}

// The fiber that finds nobody writing writes for all that are waiting, and then hands over to the
// oldest of those that have come meanwhile. Nobody writes for others twice.
Result<> RocksKv::commit(Batch batch) {
    CHECK(db_);
    TRY(unless_cancelled(fibers_));
    Waiting self{batch, Signal(fibers_), {}};
    queue_.push_back(&self);
    if (writing_) self.turn.wait_through();
    if (!self.is_written) write_queue();
    CHECK(self.is_written);
    return self.result;
}

void RocksKv::write_queue() {
    writing_ = true;
    const std::vector<Waiting*> together = std::exchange(queue_, {});
    rocksdb::WriteBatch all;
    for (const Waiting* one : together)
        for (const Batch::Change& change : one->batch.changes) {
            // Neither can fail: the batch has no limit of size.
            if (change.value)
                CHECK(all.Put(slice_of(change.key), slice_of(*change.value)).ok());
            else
                CHECK(all.Delete(slice_of(change.key)).ok());
        }
    if (!failed_) {
        rocksdb::Status status;
        executor_.run([&] {
            rocksdb::WriteOptions durable;
            durable.sync = true;
            status = db_->Write(durable, &all);
        });
        if (!status.ok()) failed_ = refused("commit", status);
    }
    for (Waiting* one : together) {
        if (failed_) one->result = *failed_;
        one->is_written = true;
        one->turn.set();
    }
    writing_ = false;
    if (!queue_.empty()) {
        writing_ = true; // Nobody may come between; write_queue() goes on from here.
        queue_.front()->turn.set();
    }
}

Result<std::optional<std::string>> RocksKv::get(std::string_view key) {
    CHECK(db_);
    TRY(unless_cancelled(fibers_));
    if (failed_) return *failed_;
    rocksdb::Status status;
    std::string value;
    executor_.run([&] { status = db_->Get({}, slice_of(key), &value); });
    if (status.IsNotFound()) return std::optional<std::string>();
    if (!status.ok()) return refused("get", status);
    return std::optional(std::move(value));
}

// The Executor must not run the visitor, and the node's thread must not read from disk; so the
// pairs are carried over in pieces. The iterator sees the store as it was when it was made.
Result<> RocksKv::scan(std::string_view prefix, const Visitor& visitor) {
    CHECK(db_);
    TRY(unless_cancelled(fibers_));
    if (failed_) return *failed_;
    std::unique_ptr<rocksdb::Iterator> place;
    const Result<> shown = show_pieces(place, prefix, visitor);
    executor_.run([&] { place.reset(); }); // May remove files.
    return shown;
}

Result<> RocksKv::show_pieces(std::unique_ptr<rocksdb::Iterator>& place, std::string_view prefix,
                              const Visitor& visitor) {
    Pairs piece;
    for (bool is_more = true; is_more;) {
        rocksdb::Status status;
        executor_.run([&] {
            is_more = read_piece(place, prefix, piece);
            status = place->status();
        });
        if (!status.ok()) return refused("scan", status);
        for (const auto& [key, value] : piece)
            if (!visitor(key, value)) return {};
        TRY(unless_cancelled(fibers_));
    }
    return {};
}

// True if there is more.
bool RocksKv::read_piece(std::unique_ptr<rocksdb::Iterator>& place, std::string_view prefix,
                         Pairs& piece) {
    if (!place) {
        rocksdb::ReadOptions read;
        read.fill_cache = false;
        place.reset(db_->NewIterator(read));
        place->Seek(slice_of(prefix));
    }
    piece.clear();
    std::size_t bytes = 0;
    const auto is_within = [&] {
        return place->Valid() && place->key().starts_with(slice_of(prefix));
    };
    while (is_within() && piece.size() < scan_piece_max && bytes < scan_piece_bytes) {
        piece.emplace_back(view_of(place->key()), view_of(place->value()));
        bytes += piece.back().first.size() + piece.back().second.size();
        place->Next();
    }
    return is_within();
}

} // namespace pyralog::rocks
