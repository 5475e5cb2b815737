package workflows_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Why no recorded history runs a block.
const (
	validators     = "a replay asks no validator: a history holds only what was accepted"
	neverCancelled = "nothing cancels the context of a life, so waiting in it cannot fail"
	wellFormed     = "only a handler of the wrong shape is refused, and then nothing works"
	groupStarts    = "the start of a group fails only if its ID is taken, which is no error here"
)

// unreplayed are the blocks that no recorded history runs, and why. A block is named by its file, its function and the line
// that opens it; a function alone stands for all of its blocks.
var unreplayed = map[string]string{
	"authorize.go mayAuthorize":    validators,
	"content.go mayReceiveContent": validators,
	"confirm.go mayConfirm":        validators,
	"group.go mayConfirm":          validators,
	"subscription.go maySendTest":  validators,
	"group.go status":              "only a validator asks for it: " + validators,

	"cancel.go mayCancel: if t.refusal != nil {": "a refused transfer ends in the task that refuses it, before an operator's cancellation can reach it",

	"authorize.go authorized: if err := workflow.Await(ofLife(ctx), func() bool { return t.decided }); err != nil {":             neverCancelled,
	"cancel.go cancel: if err := workflow.Await(ctx, func() bool { return t.decided }); err != nil {":                            neverCancelled,
	"content.go awaitContent: if err != nil {":                                                                                   neverCancelled,
	"content.go contentReceived: if err != nil {":                                                                                neverCancelled,
	"deadline_timer.go wait: if err := workflow.Await(ctx, func() bool { return condition() || d.fired > fired }); err != nil {": neverCancelled,
	"deadline_timer.go start: if timer.Get(ctx, nil) != nil {":                                                                   neverCancelled,
	"purge.go discard: if err := workflow.Sleep(ctx, max(time.Second, left.RunningUntil.Sub(workflow.Now(ctx)))); err != nil {":  neverCancelled,
	"transfer.go drain: if wait := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); wait != nil {": neverCancelled,

	"group.go DeliveryGroup: if err := g.listen(ctx); err != nil {":                                               wellFormed,
	"subscription.go Subscription: if err := s.listen(ctx); err != nil {":                                         wellFormed,
	"transfer.go Transfer: if err := t.listen(ctx); err != nil {":                                                 wellFormed,
	"transfer.go listen: if err := workflow.SetUpdateHandlerWithOptions(ctx, h.name, h.handler, o); err != nil {": wellFormed,
	"transfer.go listen: if err := workflow.SetQueryHandler(ctx, QueryState, state); err != nil {":                wellFormed,
	"transfer.go listen: state := func() (TransferResult, error) { return t.result(), nil }":                      "a replay asks no query",

	"deliver.go deliverToAll: if err := t.startGroups(ctx, groups); err != nil {":                                                  groupStarts,
	"deliver.go startGroups: if err := start.Get(ctx, nil); err != nil && !temporal.IsWorkflowExecutionAlreadyStartedError(err) {": groupStarts,

	"messages.go forever: if !ch.Receive(ctx, &message) {":               "nobody closes the channel of a signal",
	"subscription.go Subscription: if err := s.drain(ctx); err != nil {": "an operator would have to cancel it in the seconds of a test, in the push that makes its history too long",
}

// block is a stretch of code that is run as a whole.
type block struct {
	file, function string
	line           int
	opens          string // the source line in which it begins
}

func (b block) String() string {
	return fmt.Sprintf("%s:%d in %s: %s", b.file, b.line, b.function, b.opens)
}

// excepted says whether the block, or all of its function, is among unreplayed, and under which name.
func (b block) excepted() (name string, is bool) {
	for _, name := range []string{b.file + " " + b.function, b.file + " " + b.function + ": " + b.opens} {
		if _, is := unreplayed[name]; is {
			return name, true
		}
	}
	return "", false
}

// workflowFiles are those whose code runs inside workflows.
func workflowFiles(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("*.go")
	require.NoError(t, err)
	all = slices.DeleteFunc(all, func(f string) bool {
		return strings.HasSuffix(f, "_test.go") || strings.HasPrefix(f, "client") || f == "encryption.go" || f == "doc.go"
	})
	require.NotEmpty(t, all)
	return all
}

// source is one file of workflow code.
type source struct {
	name  string
	lines []string
	fset  *token.FileSet
	file  *ast.File
}

func parse(t *testing.T, name string) source {
	t.Helper()
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	s := source{name: name, lines: strings.Split(string(raw), "\n"), fset: token.NewFileSet()}
	s.file, err = parser.ParseFile(s.fset, name, raw, parser.ParseComments)
	require.NoError(t, err)
	return s
}

// block is what begins in a line of the source.
func (s source) block(line int) block {
	b := block{file: s.name, line: line, opens: strings.TrimSpace(s.lines[line-1])}
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && s.fset.Position(f.Pos()).Line <= line && line <= s.fset.Position(f.End()).Line {
			b.function = f.Name.Name
		}
	}
	return b
}

// buildReplay builds internal/replay, which replays histories and nothing else.
func buildReplay(ctx context.Context, t *testing.T, flags ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "replay")
	args := slices.Concat([]string{"build"}, flags, []string{"-o", program, "../internal/replay"})
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

func TestHistories_RunEveryLineOfTheWorkflows(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	const pkg = "github.com/formidling/formidling/workflows"
	program := buildReplay(ctx, t, "-cover", "-coverpkg="+pkg+",github.com/formidling/formidling/internal/replay") // main writes the profile
	counters := t.TempDir()
	cmd := exec.CommandContext(ctx, program, histories(t)...)
	cmd.Env = append(os.Environ(), "GOCOVERDIR="+counters)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	profile := filepath.Join(counters, "profile")
	out, err = exec.CommandContext(ctx, "go", "tool", "covdata", "textfmt", "-i="+counters, "-pkg="+pkg, "-o="+profile).CombinedOutput()
	require.NoError(t, err, "%s", out)

	missing := unrun(t, profile)
	used := map[string]int{}
	missing = slices.DeleteFunc(missing, func(b block) bool {
		name, is := b.excepted()
		used[name]++
		return is
	})
	for _, b := range missing {
		t.Errorf("no recorded history runs %s", b) // add a life to lives_…_test.go and record
	}
	for name := range unreplayed {
		switch n := used[name]; {
		case n == 0:
			t.Errorf("histories run %q by now: it needs no exception", name)
		case n > 1 && strings.Contains(name, ": "):
			t.Errorf("%d blocks that no history runs are called %q: an exception is for one", n, name)
		}
	}
}

// unrun are the blocks of workflow code that a profile counts no run of.
func unrun(t *testing.T, profile string) []block {
	t.Helper()
	raw, err := os.ReadFile(profile)
	require.NoError(t, err)
	sources := map[string]source{}
	for _, name := range workflowFiles(t) {
		sources[name] = parse(t, name)
	}
	var out []block
	counted := 0
	for lines := bufio.NewScanner(strings.NewReader(string(raw))); lines.Scan(); {
		path, rest, found := strings.Cut(lines.Text(), ".go:") // FILE.go:LINE.COLUMN,LINE.COLUMN STATEMENTS COUNT
		s, ours := sources[filepath.Base(path)+".go"]
		if !found || !ours {
			continue
		}
		counted++
		if !strings.HasSuffix(rest, " 0") {
			continue
		}
		line, _, _ := strings.Cut(rest, ".")
		n, err := strconv.Atoi(line)
		require.NoError(t, err)
		out = append(out, s.block(n))
	}
	require.Greater(t, counted, 100, "the profile counts the blocks of workflows")
	return out
}

// A sleep at the head of a step is what a careless edit looks like to a history: one command more. Every block in which a
// workflow can sleep gets one, each is woken alone, and some history must notice each.
func TestHistories_NoticeASleepInAnyBlock(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	add := func(name, text string) {
		planted, err := filepath.Abs(name)
		require.NoError(t, err)
		overlay.Replace[planted] = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(overlay.Replace[planted], []byte(text), 0o600))
	}
	var blocks []block
	for _, name := range workflowFiles(t) {
		s := parse(t, name)
		add(name, s.plant(&blocks))
	}
	add("planted.go", plantedSleep)
	raw, err := json.Marshal(overlay)
	require.NoError(t, err)
	file := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	require.Greater(t, len(blocks), 80)

	program := buildReplay(ctx, t, "-overlay="+file)
	out, err := exec.CommandContext(ctx, program, append([]string{"-plants", strconv.Itoa(len(blocks))}, histories(t)...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, n := range strings.Fields(string(out)) {
		i, err := strconv.Atoi(n)
		require.NoError(t, err, "%s", out)
		if _, is := blocks[i].excepted(); !is {
			t.Errorf("every history replays with a sleep planted at %s", blocks[i])
		}
	}
}

// plantedSleep is added to the package: it sleeps if it is the one that is awake.
const plantedSleep = `package workflows

import (
	"os"
	"strconv"
	"time"

	"go.temporal.io/sdk/workflow"
)

func plantedSleep(ctx workflow.Context, n int) {
	if os.Getenv("REPLAY_PLANT") == strconv.Itoa(n) {
		_ = workflow.Sleep(ctx, time.Second)
	}
}
`

// plant returns the source with a sleep at the head of each block of a function that has a workflow.Context.
func (s source) plant(blocks *[]block) string {
	at := map[int]string{} // by offset
	var walk func(n ast.Node, ctx string)
	head := func(ctx string, pos token.Pos) {
		if ctx == "" {
			return
		}
		p := s.fset.Position(pos)
		at[p.Offset] = fmt.Sprintf(" plantedSleep(%s, %d); ", ctx, len(*blocks))
		*blocks = append(*blocks, s.block(p.Line))
	}
	walk = func(n ast.Node, ctx string) {
		ast.Inspect(n, func(c ast.Node) bool {
			switch c := c.(type) {
			case *ast.FuncLit:
				if c != n {
					walk(c.Body, contextOf(c.Type))
					return false
				}
			case *ast.BlockStmt:
				if len(c.List) > 0 && !isClause(c.List[0]) {
					head(ctx, c.Lbrace+1)
				}
			case *ast.CaseClause:
				head(ctx, c.Colon+1)
			}
			return true
		})
	}
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			walk(f.Body, contextOf(f.Type))
		}
	}
	text := strings.Join(s.lines, "\n")
	for _, offset := range slices.Backward(slices.Sorted(maps.Keys(at))) {
		text = text[:offset] + at[offset] + text[offset:]
	}
	return text
}

// contextOf is the name of a function's first parameter if it is a workflow.Context: there it may block.
func contextOf(f *ast.FuncType) string {
	if f.Params == nil || len(f.Params.List) == 0 || len(f.Params.List[0].Names) == 0 {
		return ""
	}
	first := f.Params.List[0]
	if sel, ok := first.Type.(*ast.SelectorExpr); !ok || sel.Sel.Name != "Context" {
		return ""
	}
	return first.Names[0].Name
}

func isClause(s ast.Stmt) bool {
	switch s.(type) {
	case *ast.CaseClause, *ast.CommClause:
		return true
	}
	return false
}
