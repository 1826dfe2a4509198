// Package house_test tests which room may import which.
package house_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/smspager/smspager/"

var update = flag.Bool("update", false, "rewrite testdata/arrows.txt")

// levels lists the rooms from bottom to top. A room imports only rooms of lower levels; rooms of
// one level do not import one another.
var levels = [][]string{
	{"internal/freeport", "internal/realpart", "internal/resident", "internal/testwait", "internal/zoneinfo"},
	{
		"templating/gsm7", "receiver/e164", "receiver/internal/response", "receiver/internal/loop", "receiver/internal/status", "receiver/internal/people/rota", "receiver/internal/alias",
		"receiver/outbox/internal/group",
		"internal/postgrestest", "internal/alertmanagertest", "internal/browsertest", "internal/logs",
	},
	{"receiver/textinghouse", "templating"},
	{"receiver/outbox", "receiver/config", "receiver/textinghouse/textinghousetest"},
	{"receiver/outbox/internal/table"},
	{
		"receiver/outbox/sqlite", "receiver/outbox/postgres", "receiver/outbox/outboxtest",
		"receiver/internal/mark", "receiver/internal/delivery/queue", "receiver/internal/httpclient", "receiver/internal/access", "receiver/internal/link",
	},
	{"receiver/internal/spool"},    // the only way to the store
	{"receiver/internal/delivery"}, // the sender uses it too
	{"receiver/internal/people", "receiver/internal/alertmanager", "receiver/internal/oncall/page", "receiver/internal/oncall/command"},
	{"receiver/internal/intake", "receiver/internal/oncall", "receiver/internal/watch", "receiver/internal/api", "receiver/internal/console", "receiver/internal/phone"},
	{"receiver"},
	{"receiver/notifier"},
	{"cmd/smspager", "deploy", "bench/backlog", "bench/chaos", "bench/field", "bench/sachet", "bench/start", "bench/texts", "bench/truth"},
}

// alone lists the rooms that others use without the rest, and the rooms of ours that they may
// import.
var alone = map[string][]string{
	"receiver/textinghouse": {"templating/gsm7"},
	"templating":            {"templating/gsm7"},
	"templating/gsm7":       {},
}

// pure lists the rooms whose results depend on their arguments alone, and what they may import.
var pure = map[string][]string{
	"receiver/internal/delivery/queue": {
		"cmp", "container/heap", "hash/maphash", "math", "slices", "strings", "time",
		module + "receiver/e164", module + "receiver/outbox", module + "templating",
	},
	"receiver/internal/oncall/page": {
		"cmp", "encoding/json", "errors", "fmt", "hash/fnv", "slices", "strings", "time", "unicode", "github.com/prometheus/alertmanager/template", "github.com/prometheus/common/model",
		module + "receiver/e164", module + "receiver/outbox", module + "templating",
	},
	"receiver/internal/oncall/command": {
		"embed", "encoding/hex", "fmt", "html", "net/url", "regexp", "slices", "strconv", "strings", "sync", "time", "unicode", "unicode/utf16", "golang.org/x/text/unicode/norm",
		module + "receiver/e164", module + "receiver/outbox", module + "templating/gsm7",
	},
}

// impure lists what reads a clock, waits, or makes something new at each call.
var impure = []string{
	"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.AfterFunc", "time.NewTimer", "time.NewTicker", "time.Tick", "outbox.NewIDs",
}

// TestPure: a pure room has no clock, network or store.
func TestPure(t *testing.T) {
	for room, allowed := range pure {
		names, err := filepath.Glob(room + "/*.go")
		if err != nil || len(names) == 0 {
			t.Fatalf("no room %s (%v)", room, err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range file.Imports {
				if imported, err := strconv.Unquote(spec.Path.Value); err != nil || !slices.Contains(allowed, imported) {
					t.Errorf("%s: %s is imported", files.Position(spec.Pos()), spec.Path.Value)
				}
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok && slices.Contains(impure, x.Name+"."+s.Sel.Name) {
						t.Errorf("%s: %s.%s is used", files.Position(s.Pos()), x.Name, s.Sel.Name)
					}
				}
				return true
			})
		}
	}
}

// TestHouse reads the imports of every room. Each must point down, and each is listed in
// testdata/arrows.txt, so that reviewers see a new one.
func TestHouse(t *testing.T) {
	level := make(map[string]int)
	for i, rooms := range levels {
		for _, room := range rooms {
			level[room] = i
		}
	}
	arrows := rooms(t)
	var list strings.Builder
	for _, from := range slices.Sorted(maps.Keys(arrows)) {
		above, known := level[from]
		if !known {
			t.Errorf("%s has no place in the house; give it one in levels", from)
			continue
		}
		for _, to := range arrows[from] {
			if below, known := level[to]; known && below >= above {
				t.Errorf("%s imports %s, which is not below it", from, to)
			}
			if only, ok := alone[from]; ok && !slices.Contains(only, to) {
				t.Errorf("%s imports %s; others use it without that", from, to)
			}
			fmt.Fprintf(&list, "%s -> %s\n", from, to)
		}
	}
	const golden = "testdata/arrows.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(list.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	had, has := lines(string(old)), lines(list.String())
	for arrow := range has {
		if !had[arrow] {
			t.Errorf("a new arrow: %s; if it is meant, run go test . -update", arrow)
		}
	}
	for arrow := range had {
		if !has[arrow] {
			t.Errorf("an arrow no longer exists: %s; run go test . -update", arrow)
		}
	}
}

func lines(s string) map[string]bool {
	all := make(map[string]bool)
	for line := range strings.Lines(s) {
		all[strings.TrimSpace(line)] = true
	}
	return all
}

// rooms returns the rooms that each room of the module imports, tests excluded.
func rooms(t *testing.T) map[string][]string {
	arrows := make(map[string][]string)
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || name != "." && strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		case name == "deploy/charts": // a module of its own
			return fs.SkipDir
		case path.Ext(name) != ".go", strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		room := path.Dir(name)
		below := arrows[room]
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if to, ours := strings.CutPrefix(imported, module); ours && !slices.Contains(below, to) {
				below = append(below, to)
			}
		}
		slices.Sort(below)
		arrows[room] = below
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return arrows
}
