#include "io/real/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace pyralog::real {

namespace {

// The kernel takes this many pieces in one call (IOV_MAX).
constexpr std::size_t vector_max = 1024;
// An interrupted or postponed call is made again, but not for ever.
constexpr int attempts_max = 100;
// A fiber whose reads all come from the page cache lets the others run after so many.
constexpr std::uint32_t quick_reads_per_turn = 32;
constexpr mode_t file_mode = 0644;
constexpr mode_t directory_mode = 0755;

std::string text_of(int error) { return std::generic_category().message(error); }

// Paths come from our own code, and stay within the data directory.
void check_path(std::string_view path) {
    for (std::size_t first = 0; first <= path.size();) {
        const std::size_t end = std::min(path.find('/', first), path.size());
        const std::string_view part = path.substr(first, end - first);
        CHECK(!part.empty() && part != "." && part != "..");
        CHECK(part.find('\0') == std::string_view::npos);
        first = end + 1;
    }
}

// "" is the data directory itself.
std::string directory_path(std::string_view path) {
    if (path.empty()) return ".";
    check_path(path);
    return std::string(path);
}

int errno_unless(bool good) { return good ? 0 : errno; }

bool is_aligned(std::uint64_t number) { return number % Buffer::disk_alignment == 0; }
bool is_aligned(std::span<const std::byte> bytes) {
    return is_aligned(bytes.size()) && is_aligned(reinterpret_cast<std::uintptr_t>(bytes.data()));
}

// Nothing below writes through an iovec that came from Bytes.
iovec piece_of(std::span<const std::byte> bytes) {
    return {const_cast<std::byte*>(bytes.data()), bytes.size()};
}

// Drops the first `count` bytes.
void advance(std::span<iovec>& pieces, std::size_t count) {
    while (count > 0) {
        CHECK(!pieces.empty());
        iovec& piece = pieces.front();
        const std::size_t taken = std::min(count, piece.iov_len);
        piece.iov_base = static_cast<std::byte*>(piece.iov_base) + taken;
        piece.iov_len -= taken;
        count -= taken;
        if (piece.iov_len == 0) pieces = pieces.subspan(1);
    }
}

} // namespace

class File final : public pyralog::File {
public:
    File(Disk& disk, int fd, std::string path, Disk::Access access)
        : disk_(disk), fd_(fd), path_(std::move(path)), access_(access) {}
    ~File() override { close(fd_); }

    Result<std::size_t> read_at(std::uint64_t position, std::span<std::byte> into) override;
    Result<> write_at(std::uint64_t position, const BytesChain& data,
                      Durability durability) override;
    Result<> sync() override;
    Result<std::uint64_t> size() override;
    Result<> resize(std::uint64_t size) override;

private:
    // Bytes moved, or the negated errno.
    Result<int> read_once(std::span<std::byte> into, std::uint64_t position);
    Result<int> write_once(std::span<const iovec> pieces, std::uint64_t position, int flags);

    Result<> write_pieces(std::uint64_t& position, std::span<iovec> pieces, int flags);
    Error failed(std::string_view call, std::uint64_t position, std::size_t size, int error);

    Disk& disk_;
    int fd_;
    std::string path_;
    Disk::Access access_;
    std::uint32_t quick_reads_ = 0;
};

Error File::failed(std::string_view call, std::uint64_t position, std::size_t size, int error) {
    disk_.log_.error("a file call failed", {{"call", call},
                                            {"path", path_},
                                            {"position", position},
                                            {"size", size},
                                            {"errno", error},
                                            {"reason", text_of(error)}});
    if (error == ENOSPC || error == EDQUOT || error == EFBIG) return Error::out_of_space;
    return Error::device_failed;
}

Result<int> File::read_once(std::span<std::byte> into, std::uint64_t position) {
    if (disk_.ring_) return disk_.ring_->read(fd_, into, position);
    int count = 0;
    disk_.workers_.run([&] {
        count =
            static_cast<int>(pread(fd_, into.data(), into.size(), static_cast<off_t>(position)));
        if (count < 0) count = -errno;
    });
    return count;
}

Result<int> File::write_once(std::span<const iovec> pieces, std::uint64_t position, int flags) {
    const bool with_sync = flags && access_ == Disk::Access::aligned && disk_.syncs_after_write();
    if (disk_.ring_ && with_sync) return disk_.ring_->write_durably(fd_, pieces, position);
    if (disk_.ring_) return disk_.ring_->write(fd_, pieces, position, flags);
    int count = 0;
    disk_.workers_.run([&] {
        count = static_cast<int>(pwritev2(fd_, pieces.data(), static_cast<int>(pieces.size()),
                                          static_cast<off_t>(position), with_sync ? 0 : flags));
        if (count < 0 || (with_sync && fdatasync(fd_) != 0)) count = -errno;
    });
    return count;
}

Result<std::size_t> File::read_at(std::uint64_t position, std::span<std::byte> into) {
    TRY(unless_cancelled(disk_.fibers_));
    if (access_ == Disk::Access::aligned) CHECK(is_aligned(position) && is_aligned(into));
    // What one call moves fits into an int, and stays aligned.
    constexpr std::size_t once_max = 1_GiB;
    std::size_t done = 0;
    if (access_ == Disk::Access::buffered && !into.empty()) {
        // What is in the page cache comes at once, without a trip through ring or thread.
        const iovec piece{into.data(), std::min(into.size(), once_max)};
        const ssize_t count = preadv2(fd_, &piece, 1, static_cast<off_t>(position), RWF_NOWAIT);
        if (++quick_reads_ % quick_reads_per_turn == 0) disk_.fibers_.yield();
        if (count == 0) return std::size_t{0};
        if (count > 0) done = static_cast<std::size_t>(count);
    }
    for (int attempts = 0; done < into.size();) {
        const std::span<std::byte> rest =
            into.subspan(done, std::min(into.size() - done, once_max));
        const auto outcome = read_once(rest, position + done);
        // Cancelled between two pieces: what has been read is of no use to the caller.
        const int count = TRY(outcome);
        if ((count == -EINTR || count == -EAGAIN) && ++attempts < attempts_max) continue;
        if (count < 0) {
            const Error error = failed("read", position + done, rest.size(), -count);
            // The device is there, and so were the bytes.
            return -count == EIO || -count == EILSEQ || -count == ENODATA ? Error::corrupt : error;
        }
        done += static_cast<std::size_t>(count);
        if (count == 0) break;
        // Past the page cache a read that ends within a sector has met the end of the file.
        if (access_ == Disk::Access::aligned && !is_aligned(done)) break;
    }
    disk_.bytes_read_.add(done);
    return done;
}

Result<> File::write_pieces(std::uint64_t& position, std::span<iovec> pieces, int flags) {
    for (int attempts = 0; !pieces.empty();) {
        const auto outcome = write_once(pieces, position, flags);
        const int count = TRY(outcome);
        if ((count == -EINTR || count == -EAGAIN) && ++attempts < attempts_max) continue;
        // A device that takes nothing and says nothing has failed as well.
        if (count <= 0) {
            std::size_t size = 0;
            for (const iovec& piece : pieces) size += piece.iov_len;
            return failed(flags ? "durable write" : "write", position, size, count ? -count : EIO);
        }
        position += static_cast<std::uint64_t>(count);
        advance(pieces, static_cast<std::size_t>(count));
    }
    return {};
}

Result<> File::write_at(std::uint64_t position, const BytesChain& data, Durability durability) {
    TRY(unless_cancelled(disk_.fibers_));
    if (access_ == Disk::Access::aligned) CHECK(is_aligned(position));
    const int flags = durability == Durability::now ? RWF_DSYNC : 0;
    std::vector<iovec> pieces;
    pieces.reserve(std::min(data.size(), vector_max));
    for (std::size_t i = 0; i < data.size(); ++i) {
        const std::span<const std::byte> bytes = data[i].view();
        if (access_ == Disk::Access::aligned) CHECK(bytes.empty() || is_aligned(bytes));
        if (!bytes.empty()) pieces.push_back(piece_of(bytes));
        if (pieces.size() < vector_max && i + 1 < data.size()) continue;
        TRY(write_pieces(position, pieces, flags));
        pieces.clear();
    }
    disk_.bytes_written_.add(size_of(data));
    return {};
}

Result<> File::sync() {
    TRY(unless_cancelled(disk_.fibers_));
    int outcome = 0;
    for (int attempts = 0; attempts < attempts_max; ++attempts) {
        if (disk_.ring_) {
            const auto ended = disk_.ring_->sync_data(fd_);
            outcome = TRY(ended);
        } else {
            disk_.workers_.run([&] { outcome = -errno_unless(fdatasync(fd_) == 0); });
        }
        if (outcome != -EINTR && outcome != -EAGAIN) break;
    }
    if (outcome < 0) return failed("sync", 0, 0, -outcome);
    return {};
}

Result<std::uint64_t> File::size() {
    TRY(unless_cancelled(disk_.fibers_));
    struct stat facts{};
    // The inode of an open file is in memory: not worth a helper thread.
    if (fstat(fd_, &facts) != 0) return failed("size", 0, 0, errno);
    return static_cast<std::uint64_t>(facts.st_size);
}

Result<> File::resize(std::uint64_t size) {
    TRY(unless_cancelled(disk_.fibers_));
    int error = 0;
    disk_.workers_.run(
        [&] { error = errno_unless(ftruncate(fd_, static_cast<off_t>(size)) == 0); });
    if (error) return failed("resize", size, 0, error);
    return {};
}

// ---- Disk ----

Disk::Disk(std::string directory, RingSource ring, Workers& workers, Scheduler& fibers, Logger& log,
           Metrics& metrics)
    : directory_(std::move(directory)), ring_source_(std::move(ring)), workers_(workers),
      fibers_(fibers), log_(log),
      bytes_read_(metrics, "pyralog_disk_read_bytes_total", "Bytes read from files."),
      bytes_written_(metrics, "pyralog_disk_written_bytes_total", "Bytes written to files.") {}

bool Disk::syncs_after_write() const {
    if (sync_ == SyncMethod::automatic) return ring_ != nullptr;
    return sync_ == SyncMethod::fdatasync;
}

Disk::~Disk() {
    if (root_ >= 0) close(root_);
}

Error Disk::refused(std::string_view what, std::string_view path, int error) {
    switch (error) {
    case ENOENT:
    case ENOTDIR: return Error::not_found;
    case EEXIST:
    case ENOTEMPTY: return Error::already_exists;
    default: break;
    }
    log_.error("a file system call failed", {{"call", what},
                                             {"path", directory_ + '/' + std::string(path)},
                                             {"errno", error},
                                             {"reason", text_of(error)}});
    if (error == ENOSPC || error == EDQUOT) return Error::out_of_space;
    // Others may close a file; the disk is well.
    if (error == EMFILE || error == ENFILE || error == ENOMEM) return Error::unavailable;
    return Error::device_failed;
}

// Blocks, once in the life of a node, so that no second fiber can come between.
Result<> Disk::prepare() {
    if (root_ >= 0) return {};
    CHECK(!directory_.empty());
    namespace fs = std::filesystem;
    std::error_code made;
    const bool is_new = fs::create_directories(directory_, made);
    int root = -1;
    if (!made) root = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        const int error = made ? made.value() : errno;
        log_.error("cannot use the data directory",
                   {{"path", directory_}, {"errno", error}, {"reason", text_of(error)}});
        return error == ENOSPC ? Error::out_of_space : Error::device_failed;
    }
    if (is_new) { // Its name must survive as what is written into it does.
        const fs::path parent = fs::absolute(directory_, made).lexically_normal().parent_path();
        const int fd = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const bool is_synced = fd >= 0 && fsync(fd) == 0;
        if (!is_synced)
            log_.warning("cannot sync the parent of the data directory",
                         {{"path", parent.string()}, {"reason", text_of(errno)}});
        if (fd >= 0) close(fd);
    }
    if (flock(root, LOCK_EX | LOCK_NB) != 0) {
        log_.error("the data directory is in use by another process", {{"path", directory_}});
        close(root);
        return Error::unavailable;
    }
    root_ = root;
    return {};
}

template <class Call>
Result<> Disk::on_names(std::string_view what, std::string_view path, Call call) {
    TRY(unless_cancelled(fibers_));
    TRY(prepare());
    int error = 0;
    workers_.run([&] { error = call(); });
    if (error) return refused(what, path, error);
    return {};
}

Result<std::unique_ptr<pyralog::File>> Disk::open(std::string_view path, Open how, Access access) {
    check_path(path);
    std::string name(path);
    int fd = -1;
    bool is_direct = false;
    TRY(on_names(
        "open", path,
        [&] {
            const int create = how == Open::create_new ? O_CREAT | O_EXCL : 0;
            fd = openat(root_, name.c_str(), O_RDWR | O_CLOEXEC | create, file_mode);
            if (fd < 0) return errno;
            // Asked for in open() itself, a refusal could leave a new file behind.
            if (access == Access::aligned)
                is_direct = fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_DIRECT) == 0;
            return 0;
        }));
    if (access == Access::aligned && !is_direct)
        log_.debug("the file system has no direct I/O; using the page cache", {{"path", path}});
    if (!std::exchange(ring_asked_, true)) ring_ = ring_source_();
    return std::unique_ptr<pyralog::File>(std::make_unique<File>(*this, fd, name, access));
}

Result<std::vector<std::string>> Disk::list(std::string_view directory) {
    const std::string name = directory_path(directory);
    std::vector<std::string> names;
    TRY(on_names(
        "list", directory,
        [&] {
            const int fd = openat(root_, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            DIR* entries = fd < 0 ? nullptr : fdopendir(fd);
            if (!entries) {
                const int error = errno;
                if (fd >= 0) close(fd);
                return error;
            }
            errno = 0;
            while (const dirent* entry = readdir(entries)) {
                const std::string_view found = entry->d_name;
                if (found != "." && found != "..") names.emplace_back(found);
                errno = 0;
            }
            const int error = errno;
            closedir(entries);
            return error;
        }));
    std::sort(names.begin(), names.end());
    return names;
}

Result<> Disk::create_directory(std::string_view path) {
    check_path(path);
    const std::string name(path);
    return on_names("create directory", path, [&] {
        return errno_unless(mkdirat(root_, name.c_str(), directory_mode) == 0);
    });
}

Result<> Disk::rename(std::string_view from, std::string_view to) {
    check_path(from);
    check_path(to);
    const std::string before(from);
    const std::string after(to);
    return on_names("rename", from, [&] {
        return errno_unless(renameat(root_, before.c_str(), root_, after.c_str()) == 0);
    });
}

Result<> Disk::remove(std::string_view path) {
    check_path(path);
    const std::string name(path);
    return on_names("remove", path, [&] {
        if (unlinkat(root_, name.c_str(), 0) == 0) return 0;
        if (errno != EISDIR) return errno;
        return errno_unless(unlinkat(root_, name.c_str(), AT_REMOVEDIR) == 0);
    });
}

Result<> Disk::sync_directory(std::string_view directory) {
    const std::string name = directory_path(directory);
    return on_names("sync directory", directory, [&] {
        const int fd = openat(root_, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return errno;
        const int error = errno_unless(fsync(fd) == 0);
        close(fd);
        return error;
    });
}

Result<Disk::Space> Disk::space() {
    struct statvfs found{};
    TRY(on_names("fstatvfs", "", [&] { return fstatvfs(root_, &found) == 0 ? 0 : errno; }));
    return Space{found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize};
}

} // namespace pyralog::real
