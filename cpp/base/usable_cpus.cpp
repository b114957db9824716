#include <algorithm>
#include <climits>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/cpu.hpp"

#if defined(__linux__)
#include <sched.h>

#include <cerrno>
#endif

namespace fastconv {
namespace {

#if defined(__linux__)
// The mask is as long as the kernel's own; a shorter one is refused with EINVAL.
int affinity_cpus() {
  for (int capacity = 1024; capacity <= (1 << 20); capacity *= 2) {
    const std::size_t bytes = CPU_ALLOC_SIZE(capacity);
    std::vector<cpu_set_t> mask((bytes + sizeof(cpu_set_t) - 1) / sizeof(cpu_set_t));
    if (sched_getaffinity(0, bytes, mask.data()) == 0) return CPU_COUNT_S(bytes, mask.data());
    if (errno != EINVAL) break;
  }
  return 0;
}
#endif

// Whether a comma-separated list has this item.
bool lists(const std::string& list, const std::string& item) {
  return ("," + list + ",").find("," + item + ",") != std::string::npos;
}

int rounded_up(long long quota, long long period) {
  if (quota <= 0 || period <= 0) return INT_MAX;
  return static_cast<int>(std::min<long long>((quota - 1) / period + 1, INT_MAX));
}

// cgroup v2: "max 100000" or "150000 100000", in microseconds.
int quota_v2(const std::string& folder) {
  long long quota = 0, period = 0;
  std::ifstream(folder + "/cpu.max") >> quota >> period;
  return rounded_up(quota, period);
}

// cgroup v1: a quota of -1 is none.
int quota_v1(const std::string& folder) {
  long long quota = 0, period = 0;
  std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
  std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  return rounded_up(quota, period);
}

struct Hierarchy {
  bool v2 = false;
  std::string path;  // of this process, from the hierarchy's root
};

// The lines of /proc/self/cgroup that can limit CPU time: "0::/path" (v2), "4:cpu,cpuacct:/path" (v1).
std::vector<Hierarchy> hierarchies(const std::string& root) {
  std::vector<Hierarchy> found;
  std::ifstream file(root + "/proc/self/cgroup");
  std::string id, controllers, path;
  while (std::getline(file, id, ':') && std::getline(file, controllers, ':') && std::getline(file, path))
    if (controllers.empty() || lists(controllers, "cpu")) found.push_back({controllers.empty(), path});
  return found;
}

// Where a hierarchy is mounted decides which folder is ours: a container may see only its own part of the tree, or (v1
// without a cgroup namespace) be told a path that starts above what is mounted.
int quota_in_mount(const Hierarchy& own, const std::string& mount_root, const std::string& folder) {
  const std::string above = mount_root == "/" ? "" : mount_root;
  std::string below = own.path.starts_with(above) ? own.path.substr(above.size()) : "";
  if (below.starts_with("/..")) below.clear();
  int limit = INT_MAX;
  for (;; below.erase(below.rfind('/'))) {
    limit = std::min(limit, own.v2 ? quota_v2(folder + below) : quota_v1(folder + below));
    if (!below.starts_with('/')) return limit;
  }
}

}  // namespace

int detail::cgroup_cpus(const std::string& root) {
  const std::vector<Hierarchy> own = hierarchies(root);
  int limit = INT_MAX;
  // "31 23 0:28 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw": mount root and point fourth and fifth; after the
  // dash type, source, options.
  std::ifstream mounts(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const std::size_t dash = line.find(" - cgroup");
    if (dash == std::string::npos) continue;
    std::string skipped, mount_root, mount_point, type, source, options;
    std::istringstream(line) >> skipped >> skipped >> skipped >> mount_root >> mount_point;
    std::istringstream(line.substr(dash + 3)) >> type >> source >> options;
    for (const Hierarchy& h : own)
      if (h.v2 ? type == "cgroup2" : type == "cgroup" && lists(options, "cpu"))
        limit = std::min(limit, quota_in_mount(h, mount_root, root + mount_point));
  }
  return limit;
}

int usable_cpus() {
#if defined(__linux__)
  int cpus = affinity_cpus();
#else
  int cpus = 0;
#endif
  if (cpus <= 0) cpus = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpus = std::min(cpus, detail::cgroup_cpus(""));
#endif
  return std::max(cpus, 1);
}

}  // namespace fastconv
