package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machine is what the figures depend on.
type machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	MemoryMiB  int64  `json:"memoryMiB"`
	Kernel     string `json:"kernel"`
	FileSystem string `json:"fileSystem"` // that the files are written to
	FreeMiB    int64  `json:"freeMiB"`
	Go         string `json:"go"`
	Load       string `json:"load"`
}

func thisMachine(dir string) machine {
	m := machine{
		CPU: field("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH,
		Load: load(), Kernel: strings.TrimSpace(readFile("/proc/sys/kernel/osrelease")), FileSystem: "unknown",
	}
	m.MemoryMiB = kibibytes("/proc/meminfo", "MemTotal") >> 10
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) == nil {
		m.FileSystem = fileSystems[uint32(s.Type)]
		m.FreeMiB = free(dir) >> 20
	}
	if m.FileSystem == "" {
		m.FileSystem = fmt.Sprintf("type %#x", s.Type)
	}
	return m
}

var fileSystems = map[uint32]string{
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
	unix.TMPFS_MAGIC: "tmpfs (in memory!)", unix.OVERLAYFS_SUPER_MAGIC: "overlayfs",
}

func (m machine) print(w io.Writer) {
	fmt.Fprintf(w, "%s, %d cores, %.1f GiB memory, Linux %s, files on %s with %.0f GiB free, %s, load %s\n",
		m.CPU, m.Cores, float64(m.MemoryMiB)/1024, m.Kernel, m.FileSystem, float64(m.FreeMiB)/1024, m.Go, m.Load)
	fmt.Fprintln(w, "Clients, servers and databases share these cores; everything goes over loopback.")
}

// free is how many bytes may still be written to the disk of dir.
func free(dir string) int64 {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0
	}
	return int64(s.Bavail) * s.Bsize
}

// load is the load average of one, five and fifteen minutes.
func load() string {
	words := strings.Fields(readFile("/proc/loadavg"))
	return strings.Join(words[:min(3, len(words))], " ")
}

func readFile(name string) string {
	raw, _ := os.ReadFile(name) // empty when it is not there
	return string(raw)
}

// field is the value of the first line "name : value" of a file.
func field(file, name string) string {
	lines := bufio.NewScanner(strings.NewReader(readFile(file)))
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// kibibytes is such a value that ends in kB.
func kibibytes(file, name string) int64 {
	var n int64
	_, _ = fmt.Sscanf(field(file, name), "%d kB", &n) // 0 when it is not there
	return n
}
