#include "server/cli/data_dir.h"

#include "server/admin/admin.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <netdb.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pyralog::cli {

namespace {

namespace fs = std::filesystem;

constexpr const char* identity_file = "identity";
constexpr const char* fresh_identity_file = "identity.new";
constexpr const char* lock_file = "pyralog.pid";
constexpr std::size_t small_file_bytes_max = 4096;

// What may lie in a directory that is none of ours yet: what a first start that was interrupted has
// made, and what mkfs makes.
bool is_harmless(const std::string& name) {
    return name == lock_file || name == fresh_identity_file || name == "lost+found";
}

std::optional<std::string> read_small(const fs::path& path) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) return {};
    std::string text(small_file_bytes_max, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(stream.gcount()));
    return text;
}

std::string reason() { return std::strerror(errno); }

// Writes all of `text` and makes it durable.
bool write_durably(int file, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = ::write(file, text.data(), text.size());
        if (count <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    return ::fsync(file) == 0;
}

bool sync_directory(const fs::path& path) {
    const int directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return false;
    const bool synced = ::fsync(directory) == 0;
    ::close(directory);
    return synced;
}

} // namespace

DataDir::~DataDir() {
    if (lock_ >= 0) ::close(lock_); // And so unlocks. The file stays: it may be another's by now.
}

std::string DataDir::failed(const char* what) const {
    return path_ + ": " + what + ": " + reason() + ": mend that, or name another --data-dir";
}

std::string DataDir::look(const server::Identity& wanted) {
    std::error_code error;
    const fs::path path = fs::absolute(path_, error);
    if (fs::is_directory(path, error)) return look_inside(wanted);
    if (fs::exists(path, error)) return path_ + ": is no directory: name another --data-dir";
    fs::path above = path.parent_path();
    while (!above.empty() && above != above.root_path() && !fs::exists(above, error))
        above = above.parent_path();
    if (!fs::is_directory(above, error))
        return path_ + ": cannot be made, since " + above.string() + " is no directory";
    if (::access(above.c_str(), W_OK | X_OK) != 0)
        return path_ + ": cannot be made in " + above.string() + ": " + reason() +
               ": make it for this user, or name another --data-dir";
    return {};
}

std::string DataDir::look_inside(const server::Identity& wanted) {
    if (::access(path_.c_str(), R_OK | W_OK | X_OK) != 0) return failed("cannot be written");
    const fs::path path(path_);
    if (std::string wrong = lock(false); !wrong.empty()) return wrong;
    std::error_code error;
    if (fs::exists(path / identity_file, error)) {
        const auto text = read_small(path / identity_file);
        if (!text) return failed("its file `identity` cannot be read");
        const auto on_disk = server::parse_identity(*text);
        if (!on_disk)
            return path_ + ": its file `identity` is damaged or of another version: it is not "
                           "known whose data these are";
        const std::string conflict = identity_conflict(*on_disk, wanted);
        return conflict.empty() ? conflict : path_ + ": " + conflict;
    }
    fs::directory_iterator entries(path, error);
    if (error) return path_ + ": cannot be listed: " + error.message();
    for (const fs::directory_entry& entry : entries)
        if (!is_harmless(entry.path().filename().string()))
            return path_ + ": holds files, but none that says whose data they are: name an empty "
                           "directory, or one of pyralog";
    return {};
}

std::string DataDir::lock(bool create) {
    if (lock_ >= 0) return {};
    const fs::path file = fs::path(path_) / lock_file;
    const int opened = ::open(file.c_str(), (create ? O_CREAT : 0) | O_RDWR | O_CLOEXEC, 0644);
    if (opened < 0) return errno == ENOENT && !create ? "" : failed("cannot be locked");
    if (::flock(opened, LOCK_EX | LOCK_NB) == 0) {
        lock_ = opened;
        return {};
    }
    const bool is_busy = errno == EWOULDBLOCK;
    const std::string wrong = failed("cannot be locked");
    ::close(opened);
    if (!is_busy) return wrong;
    const int pid = owner(path_);
    return path_ + ": is in use by another node" +
           (pid > 0 ? " (process " + std::to_string(pid) + ")" : std::string()) +
           ": stop that one, or name another --data-dir";
}

std::string DataDir::take(const server::Identity& wanted) {
    const fs::path path(path_);
    std::error_code error;
    fs::create_directories(path, error);
    if (error) return path_ + ": cannot be made: " + error.message();
    if (std::string wrong = lock(true); !wrong.empty()) return wrong;
    const std::string pid = std::to_string(::getpid()) + '\n';
    if (::ftruncate(lock_, 0) != 0 || ::pwrite(lock_, pid.data(), pid.size(), 0) < 0)
        return failed("cannot be written");
    // Somebody else may have been faster between the look and the lock.
    if (std::string wrong = look_inside(wanted); !wrong.empty()) return wrong;
    if (fs::exists(path / identity_file, error)) return {};
    const fs::path fresh = path / fresh_identity_file;
    const int file = ::open(fresh.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    if (file < 0) return failed("cannot be written");
    const bool written = write_durably(file, format_identity(wanted));
    const std::string wrong = failed("cannot be written");
    ::close(file);
    if (!written) return wrong;
    fs::rename(fresh, path / identity_file, error);
    // The name of the directory itself has to survive a power cut as well.
    const fs::path above = fs::absolute(path, error).parent_path();
    if (error || !sync_directory(path) || !sync_directory(above))
        return failed("cannot be written");
    return {};
}

int DataDir::owner(const std::string& path) {
    const fs::path file = fs::path(path) / lock_file;
    const int opened = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (opened < 0) return 0;
    // A shared lock: who only asks does not keep a node from starting for longer than this.
    const bool is_free = ::flock(opened, LOCK_SH | LOCK_NB) == 0;
    ::close(opened);
    if (is_free) return 0;
    std::string text = read_small(file).value_or("");
    if (!text.empty() && text.back() == '\n') text.pop_back();
    const auto pid = parse_integer(text);
    return pid && *pid > 0 && *pid <= INT32_MAX ? static_cast<int>(*pid) : -1;
}

std::optional<Address> DataDir::admin_address(const std::string& path) {
    std::string text =
        read_small(fs::path(path) / std::string(server::admin_address_file)).value_or("");
    if (!text.empty() && text.back() == '\n') text.pop_back();
    return parse_address(text);
}

std::string look_at_port(const Address& address, const std::string& setting) {
    const std::string name = setting + ": " + pyralog::to_string(address);
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int failure =
        ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
    if (failure != 0)
        return name + ": the name is not known (" + ::gai_strerror(failure) +
               "): name an address of this machine";
    const int listener = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    int refused = listener < 0 ? errno : 0;
    if (refused == 0) {
        // As the node itself will do it: streams of the last run that linger are no hindrance.
        ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (::bind(listener, found->ai_addr, found->ai_addrlen) != 0) refused = errno;
        ::close(listener);
    }
    ::freeaddrinfo(found);
    switch (refused) {
    case 0: return {};
    case EADDRINUSE: return name + ": the port is in use: stop who uses it, or choose another";
    case EADDRNOTAVAIL: return name + ": is no address of this machine: choose one that is";
    case EACCES: return name + ": ports below 1024 are not for everyone: choose a higher one";
    default: return name + ": cannot be listened on: " + std::strerror(refused);
    }
}

} // namespace pyralog::cli
