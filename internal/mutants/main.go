package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// patches is where the bugs are, from the root of the module.
const patches = "internal/mutants/patches"

// fewest is how many bugs the folder must hold.
const fewest = 24

func main() {
	pattern := flag.String("name", "", "run the mutants whose names match this regular expression")
	onlyChanged := flag.Bool("changed", false, "run those that touch what the change touches")
	least := flag.Int("least", 6, "with -changed, run so many at least")
	budget := flag.Duration("budget", time.Hour, "begin no other one after so long, once -least have run")
	trust := flag.Bool("trust", false, "do not run the tests without the bugs first: they just passed")
	jobs := flag.Int("j", 2, "mutants at once")
	flag.Parse()
	if err := run(*pattern, *onlyChanged, *least, *jobs, *budget, *trust); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(pattern string, onlyChanged bool, least, jobs int, budget time.Duration, trust bool) error {
	name, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	all, err := mutants(os.DirFS(patches))
	if err != nil {
		return err
	}
	if len(all) < fewest {
		return fmt.Errorf("%d bugs are in %s, and should be %d at least", len(all), patches, fewest)
	}
	var chosen []mutant
	for _, m := range all {
		if name.MatchString(m.name) {
			chosen = append(chosen, m)
		}
	}
	if onlyChanged {
		dirs, head := changed()
		chosen = choose(chosen, dirs, least, head)
	}
	if len(chosen) == 0 {
		return fmt.Errorf("no bug has a name like %s", pattern)
	}
	h := &hunt{least: least, deadline: time.Now().Add(budget), trust: trust, sound: map[string]func() error{}}
	return h.all(chosen, jobs)
}

// hunt runs mutants and counts what became of them.
type hunt struct {
	least    int
	deadline time.Time
	trust    bool

	mu                        sync.Mutex
	begun                     int
	killed, survived, waiting []string
	faults                    []error
	sound                     map[string]func() error // by the arguments of go test: whether they pass without a bug
}

// all runs the mutants, some at once, and prints what became of each.
func (h *hunt) all(chosen []mutant, jobs int) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "formidling-mutants-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	queue := make(chan mutant)
	var workers sync.WaitGroup
	for range jobs {
		workers.Go(func() {
			for m := range queue {
				h.one(m, root, filepath.Join(dir, m.name))
			}
		})
	}
	for _, m := range chosen {
		queue <- m
	}
	close(queue)
	workers.Wait()
	return h.summary()
}

// one runs one mutant, unless time is up.
func (h *hunt) one(m mutant, root, dir string) {
	h.mu.Lock()
	if h.begun >= h.least && time.Now().After(h.deadline) {
		h.waiting = append(h.waiting, m.name)
		h.mu.Unlock()
		return
	}
	h.begun++
	h.mu.Unlock()

	began := time.Now()
	by, err := h.hunt(m, root, dir)
	took := time.Since(began).Round(time.Second)

	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err != nil:
		h.faults = append(h.faults, err)
		fmt.Printf("error     %4s  %s: %v\n", took, m.name, err)
	case by == "":
		h.survived = append(h.survived, m.name)
		fmt.Printf("SURVIVED  %4s  %s (%s): %s\n", took, m.name, strings.Join(m.tests, " "), m.why)
	default:
		h.killed = append(h.killed, m.name)
		fmt.Printf("killed    %4s  %s by %s\n", took, m.name, by)
	}
}

// hunt plants a bug, runs its tests, and returns the test that killed it, or nothing.
func (h *hunt) hunt(m mutant, root, dir string) (by string, err error) {
	overlay, err := m.plant(root, dir)
	if err != nil {
		return "", err
	}
	if err := h.passWithout(m.tests); err != nil {
		return "", err
	}
	out, err := goTest(slices.Concat([]string{"-count=1", "-overlay", overlay}, m.tests, m.quiet(root)))
	return verdict(out, err)
}

// passWithout runs tests without any bug, once for all mutants that ask for the same ones: a test that fails anyway
// kills nothing.
func (h *hunt) passWithout(tests []string) error {
	if h.trust {
		return nil
	}
	key := strings.Join(tests, " ")
	h.mu.Lock()
	once := h.sound[key]
	if once == nil {
		once = sync.OnceValue(func() error {
			if out, err := goTest(tests); err != nil {
				return fmt.Errorf("go test %s fails without a bug:\n%s", key, out)
			}
			return nil
		})
		h.sound[key] = once
	}
	h.mu.Unlock()
	return once()
}

func goTest(args []string) (string, error) {
	out, err := exec.Command("go", append([]string{"test", "-failfast", "-vet=off", "-timeout=5m"}, args...)...).CombinedOutput()
	return string(out), err
}

var (
	failed = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)
	broken = regexp.MustCompile(`(?m)\[(?:build|setup) failed\]`)
)

// verdict reads what go test said of a bug: the test that failed, or nothing when all passed.
func verdict(out string, err error) (by string, _ error) {
	var exit *exec.ExitError
	switch {
	case strings.Contains(out, "[no tests to run]"):
		return "", fmt.Errorf("no test has the name that the patch gives:\n%s", out)
	case err == nil:
		return "", nil
	case !errors.As(err, &exit):
		return "", err
	case broken.MatchString(out):
		return "", fmt.Errorf("the bug does not compile:\n%s", out)
	}
	if name := failed.FindStringSubmatch(out); name != nil {
		return name[1], nil
	}
	if strings.Contains(out, "panic: ") {
		return "a panic", nil
	}
	return "", fmt.Errorf("go test failed, and no test did:\n%s", out)
}

// summary counts, and is an error unless every bug that was planted was killed.
func (h *hunt) summary() error {
	fmt.Printf("mutants: %d killed, %d survived, %d in error\n", len(h.killed), len(h.survived), len(h.faults))
	if len(h.waiting) > 0 {
		fmt.Printf("mutants: time was up before %d others (make mutants runs all): %s\n", len(h.waiting), strings.Join(h.waiting, " "))
	}
	if len(h.survived) > 0 || len(h.faults) > 0 {
		return fmt.Errorf("write a test that kills what survived, and patches anew that are in error")
	}
	return nil
}
